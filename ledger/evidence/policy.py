"""Trust policies: the offline verifier's file.

The policy file carries all the trust a verifier starts from: which chain, which contracts, which validators at a pinned
block, how long that pin is believed, and the least quorum accepted. Everything else is proven by the bundle itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.bft import BFT, BftFinality
from ledger.evidence.fields import array, fields, flag, hex0x_of, hex_of, integer, text, unhex, unhex0x
from ledger.evidence.finality import SOLO, Validator
from ledger.evidence.light import verify_light
from ledger.evidence.network import EXTERNAL, NetworkPin, network_pin_object, read_network_pin
from ledger.evidence.note import VKey, parse_vkey
from ledger.identifiers import parse_uscc
from ledger.model import MAX_TIME_MS, format_time, parse_time

MAX_POLICY_BYTES: Final = 262_144
MAX_VALIDATORS: Final = 1_000
MAX_PINS: Final = 1_000
#: The longest time a pin may be believed: ten years.
MAX_TRUSTING_PERIOD: Final = 315_360_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The block a policy of a solo city starts from: height, hash (32 bytes), when it was checked (Unix ms), who
    validated then."""

    height: int
    hash: bytes
    checked_at_ms: int
    validators: tuple[Validator, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LightPin:
    """The signed header a policy of a cometbft city starts from: consensus height, hash of the header and of the
    validators that sign it (32 bytes each), when it was checked (Unix ms)."""

    height: int
    hash: bytes
    validators_hash: bytes
    checked_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """What a verifier trusts. ``chain``: genesis digest; code hashes: 32 bytes; address: 20 bytes; without
    ``licences_code_hash`` bundles of licences are not judged.

    ``pinned`` is a :class:`Pin` for the engine ``solo``, a :class:`LightPin` for ``cometbft``, a :class:`NetworkPin`
    for ``external``;
    ``quorum``: the least quorum of cosignatures accepted; ``trusting_period``: seconds after
    ``pinned.checked_at_ms``; ``pins``: extra log or witness keys that must be the ones used where their names appear.
    """

    chain: bytes
    consortium: bytes
    consortium_code_hash: bytes
    anchors_code_hash: bytes
    pinned: Pin | LightPin | NetworkPin
    quorum: int
    trusting_period: int
    engine: str = SOLO
    pins: tuple[VKey, ...] = ()
    licences_code_hash: bytes | None = None

    @property
    def trusted_until_ms(self) -> int:
        """When the pin stops being believed."""
        return self.pinned.checked_at_ms + 1000 * self.trusting_period

    @property
    def takes_unproven(self) -> bool:
        """Whether its holder takes blocks that nobody vouches for; the log and witness keys are pinned then."""
        return isinstance(self.pinned, NetworkPin) and not self.pinned.validators


def light_pin(finality: BftFinality) -> LightPin:
    """The pin of a cometbft city at a finality that whoever makes the policy has checked, as of its signed time.

    Raises: UntrustedError(finality.*).
    """
    light = finality.light
    found = verify_light([light], light.chain_id)[0]
    return LightPin(
        height=light.height, hash=found.hash, validators_hash=light.validators_hash, checked_at_ms=light.time_ms
    )


def encode_policy(policy: TrustPolicy) -> bytes:
    """The policy file: JCS. Raises: InvalidInputError(policy.format) for values a verifier would refuse."""
    value: dict[str, Any] = {
        "chain": hex_of(policy.chain),
        "contracts": {
            "anchors": {"codeHash": hex0x_of(policy.anchors_code_hash)},
            "consortium": {
                "address": hex0x_of(policy.consortium, 20),
                "codeHash": hex0x_of(policy.consortium_code_hash),
            },
        },
        "engine": policy.engine,
        "pinned": _pin_object(policy.pinned),
        "quorum": policy.quorum,
        "trustingPeriod": policy.trusting_period,
        "v": 1,
    }
    if policy.licences_code_hash is not None:
        value["contracts"]["licences"] = {"codeHash": hex0x_of(policy.licences_code_hash)}
    if policy.pins:
        value["pins"] = [str(key) for key in policy.pins]
    data = codec.encode(value)
    decode_policy(data)
    return data


def decode_policy(data: bytes) -> TrustPolicy:
    """The policy in a policy file. Raises: InvalidInputError(policy.format)."""
    try:
        value = fields(
            codec.decode(data, max_bytes=MAX_POLICY_BYTES),
            frozenset({"chain", "contracts", "engine", "pinned", "quorum", "trustingPeriod", "v"}),
            frozenset({"pins"}),
        )
        contracts = fields(value["contracts"], frozenset({"anchors", "consortium"}), frozenset({"licences"}))
        anchors = fields(contracts["anchors"], frozenset({"codeHash"}))
        consortium = fields(contracts["consortium"], frozenset({"address", "codeHash"}))
        licences = fields(contracts["licences"], frozenset({"codeHash"})) if "licences" in contracts else None
        engine = text(value["engine"])
        policy = TrustPolicy(
            chain=unhex(value["chain"]),
            consortium=unhex0x(consortium["address"], 20),
            consortium_code_hash=unhex0x(consortium["codeHash"]),
            anchors_code_hash=unhex0x(anchors["codeHash"]),
            licences_code_hash=None if licences is None else unhex0x(licences["codeHash"]),
            engine=engine,
            pinned=_PINS.get(engine, _decode_pin)(value["pinned"]),
            quorum=integer(value["quorum"]),
            trusting_period=integer(value["trustingPeriod"]),
            pins=tuple(parse_vkey(text(item)) for item in array(value.get("pins", []), MAX_PINS)),
        )
        _check(policy, empty_pins=value.get("pins") == [])
    except LedgerError as error:
        raise InvalidInputError(
            "policy.format",
            f"not a trust policy: {error.message}",
            hint="take the policy file from a member you trust: `civicledger` writes it with GetPolicy",
            expected=error.expected,
            actual=error.actual,
        ) from None
    return policy


def _pin_object(pin: Pin | LightPin | NetworkPin) -> dict[str, Any]:
    if isinstance(pin, NetworkPin):
        return network_pin_object(pin)
    common: dict[str, Any] = {"checkedAt": format_time(pin.checked_at_ms), "height": pin.height}
    if isinstance(pin, LightPin):
        return common | {"hash": hex_of(pin.hash), "validatorsHash": hex_of(pin.validators_hash)}
    validators = [
        {"key": hex_of(item.key), "member": item.member, "sequencer": item.sequencer} for item in pin.validators
    ]
    return common | {"hash": hex0x_of(pin.hash), "validators": validators}


def _decode_light_pin(value: Any) -> LightPin:
    pin = fields(value, frozenset({"checkedAt", "hash", "height", "validatorsHash"}))
    return LightPin(
        height=integer(pin["height"]),
        hash=unhex(pin["hash"]),
        validators_hash=unhex(pin["validatorsHash"]),
        checked_at_ms=parse_time(text(pin["checkedAt"])),
    )


def _decode_pin(value: Any) -> Pin:
    pin = fields(value, frozenset({"checkedAt", "hash", "height", "validators"}))
    validators = []
    for entry in array(pin["validators"], MAX_VALIDATORS):
        item = fields(entry, frozenset({"key", "member", "sequencer"}))
        validators.append(
            Validator(
                key=unhex(item["key"]), member=parse_uscc(text(item["member"])), sequencer=flag(item["sequencer"])
            )
        )
    return Pin(
        height=integer(pin["height"]),
        hash=unhex0x(pin["hash"]),
        checked_at_ms=parse_time(text(pin["checkedAt"])),
        validators=tuple(validators),
    )


_PINS: Final[dict[str, Callable[[Any], Pin | LightPin | NetworkPin]]] = {
    BFT: _decode_light_pin,
    EXTERNAL: read_network_pin,
}


def _check(policy: TrustPolicy, *, empty_pins: bool) -> None:
    """Rules a policy must follow for its checks to mean something."""
    pin = policy.pinned
    rules = [
        (policy.engine in (SOLO, BFT, EXTERNAL), f"this library verifies the engines {SOLO}, {BFT} and {EXTERNAL}"),
        (isinstance(pin, LightPin) == (policy.engine == BFT), "the pin is of another engine"),
        (isinstance(pin, NetworkPin) == (policy.engine == EXTERNAL), "the pin is of another engine"),
        (not policy.takes_unproven or bool(policy.pins), "where no block is proven, log and witness keys are pinned"),
        (policy.quorum >= 1, "a quorum is at least 1"),
        (1 <= policy.trusting_period <= MAX_TRUSTING_PERIOD, "a trusting period is 1 second to ten years"),
        (len({key.name for key in policy.pins}) == len(policy.pins), "a pinned key name stands once"),
        (not empty_pins, "no pins means no field"),
        (policy.trusted_until_ms <= MAX_TIME_MS, "a trusting period ends before the year 10000"),
    ]
    if isinstance(pin, LightPin):
        rules.append((pin.height >= 1, "consensus heights begin at 1"))
    elif isinstance(pin, Pin):
        rules += _validator_rules(pin.validators)
    for holds, rule in rules:
        if not holds:
            raise InvalidInputError("policy.rule", rule)


def _validator_rules(validators: tuple[Validator, ...]) -> list[tuple[bool, str]]:
    return [
        (sum(item.sequencer for item in validators) == 1, "exactly one validator is the sequencer"),
        (len({item.key for item in validators}) == len(validators), "a validator key stands once"),
        (len({item.member for item in validators}) == len(validators), "a validating member stands once"),
    ]
