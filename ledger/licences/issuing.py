"""SD-JWT on the issuer's and the holder's side: what is signed, and what of it is shown.

Randomness comes in as salts. The same claims, salts and key give the same token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.licences import b64, jws
from ledger.licences.sdjwt import ELEMENT, MAX_BYTES, MAX_DISCLOSURES, SD, SD_ALG, Disclosure, open_claims, parse
from ledger.licences.suites import Signer, Suite

#: Bytes of a salt at least: 128 bits. Source: RFC 9901, 9.3.
MIN_SALT_BYTES: Final = 16

#: One step in choosing claims: a name, a place in an array, or None for every element. Source: OpenID4VP 1.0, 7.
Choice = Sequence[str | int | None]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that the holder may show or hold back: a claim's value, or an element of an array."""

    value: Any


def issue(claims: Mapping[str, Any], *, typ: str, signer: Signer, salts: Iterable[bytes], decoys: int = 0) -> str:
    """An SD-JWT with all its disclosures, as the holder gets it: ``<JWT>~<disclosure>~…~``.

    ``claims``: JSON, with :class:`Hidden` around what is selectively disclosable, at any depth; ``salts``: fresh random
    bytes, at least 16 each, one for every hidden value (:func:`salts_needed`) and every decoy; ``decoys``: digests at
    the top level that nothing belongs to.

    Raises: InvalidInputError(licence.salt-short | licence.salt-repeated | licence.salts | licence.reserved-name |
    licence.size | licence.disclosures | json.*). Source: RFC 9901, 4.1 and 4.2.
    """
    hiding = _Hiding(salts, signer.suite)
    payload = hiding.object(claims)
    if decoys:
        payload[SD] = sorted([*payload.get(SD, []), *(hiding.decoy() for _ in range(decoys))])
    if hiding.used:
        payload[SD_ALG] = signer.suite.sd_alg
    issued = jws.make({"kid": signer.kid, "typ": typ}, payload, signer)
    text = "~".join([issued, *hiding.disclosures, ""])
    if len(text) > MAX_BYTES or len(hiding.disclosures) > MAX_DISCLOSURES:
        raise InvalidInputError(
            "licence.size",
            f"a licence has at most {MAX_BYTES} characters and {MAX_DISCLOSURES} disclosures",
            hint="leave large values, pictures above all, out of the licence and put their digest in",
            expected=MAX_BYTES,
            actual=len(text),
        )
    return text


def salts_needed(claims: Any) -> int:
    """How many salts :func:`issue` takes for these claims, decoys not counted."""
    if isinstance(claims, Hidden):
        return 1 + salts_needed(claims.value)
    if isinstance(claims, Mapping):
        return sum(salts_needed(item) for item in claims.values())
    if isinstance(claims, list | tuple):
        return sum(salts_needed(item) for item in claims)
    return 0


def present(text: str, choices: Iterable[Choice]) -> str:
    """What the holder shows: the signed part and the disclosures of the chosen claims, ``…~`` at the end.

    A choice is a claim path; it brings the disclosures it lies in, and everything disclosable inside it. Key binding is
    added by :func:`ledger.licences.binding.bind`.

    Raises: InvalidInputError(licence.path) where nothing is at a path; what parsing and opening raise.
    """
    sdjwt = parse(text)
    if sdjwt.key_binding is not None:
        raise InvalidInputError(
            "licence.bound-already",
            "this is a presentation with key binding: what it shows cannot be changed",
            hint="present from the licence as it was issued",
        )
    opened = open_claims(sdjwt)
    wanted: set[str] = set()
    for choice in choices:
        if not choice or not _exists(opened.claims, tuple(choice), opened.disclosures):
            raise InvalidInputError(
                "licence.path",
                "the licence has no claim at this path",
                hint="`civicledger licence show` lists the claims of a licence",
                actual=ascii("/".join("*" if step is None else str(step) for step in choice))[:80],
            )
        for item in opened.disclosures:
            if _within(item.path, choice):
                wanted.update((item.text, *item.parents))
    return "~".join([sdjwt.issued, *(item for item in sdjwt.disclosures if item in wanted), ""])


def _within(path: Sequence[str | int], choice: Choice) -> bool:
    """Whether a disclosed path lies on the way to a choice, or inside it."""
    return all(_fits(step, wanted) for step, wanted in zip(path, choice, strict=False))


def _fits(step: str | int, wanted: str | int | None) -> bool:
    return isinstance(step, int) if wanted is None else step == wanted


def _exists(claims: Any, choice: tuple[str | int | None, ...], disclosures: Sequence[Disclosure]) -> bool:
    # Places of an array count as it was issued: with elements held back they are only known from the disclosures.
    if any(len(item.path) >= len(choice) and _within(item.path, choice) for item in disclosures):
        return True
    for place, step in enumerate(choice):
        if isinstance(step, str):
            if not isinstance(claims, Mapping) or step not in claims:
                return False
            claims = claims[step]
        else:
            if not isinstance(claims, list) or not claims:
                return False
            if step is None:
                return any(_exists(item, choice[place + 1 :], ()) for item in claims)
            if not 0 <= step < len(claims):
                return False
            claims = claims[step]
    return True


class _Hiding:
    """Turns claims with hidden values into a payload with digests, and collects the disclosures."""

    def __init__(self, salts: Iterable[bytes], suite: Suite) -> None:
        self._salts: Iterator[bytes] = iter(salts)
        self._suite = suite
        self.used: set[bytes] = set()
        self.disclosures: list[str] = []

    def object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        payload: dict[str, Any] = {}
        digests: list[str] = []
        for name, item in value.items():
            if name in (SD, SD_ALG, ELEMENT):
                raise InvalidInputError(
                    "licence.reserved-name", "a claim may not be named _sd, _sd_alg or ...", actual=name
                )
            if isinstance(item, Hidden):
                digests.append(self._hide([self._salt(), name, self.value(item.value)]))
            else:
                payload[name] = self.value(item)
        if digests:
            # Sorted: the order says nothing about the claims. Source: RFC 9901, 4.2.4.1.
            payload[SD] = sorted(digests)
        return payload

    def value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self.object(value)
        if isinstance(value, list | tuple):
            return [self._element(item) for item in value]
        return value

    def decoy(self) -> str:
        """A digest of nothing anybody has. Source: RFC 9901, 4.2.5."""
        return b64.encode(self._suite.digest(self._salt().encode("ascii")))

    def _element(self, item: Any) -> Any:
        if isinstance(item, Hidden):
            return {ELEMENT: self._hide([self._salt(), self.value(item.value)])}
        return self.value(item)

    def _hide(self, parts: list[Any]) -> str:
        text = b64.encode(codec.encode(parts))
        self.disclosures.append(text)
        return b64.encode(self._suite.digest(text.encode("ascii")))

    def _salt(self) -> str:
        salt = next(self._salts, None)
        if salt is None:
            raise InvalidInputError("licence.salts", "fewer salts than hidden values", actual=len(self.used))
        if len(salt) < MIN_SALT_BYTES:
            raise InvalidInputError(
                "licence.salt-short",
                f"a salt has at least {MIN_SALT_BYTES} bytes",
                expected=MIN_SALT_BYTES,
                actual=len(salt),
            )
        if salt in self.used:
            raise InvalidInputError("licence.salt-repeated", "a salt is used for one value only")
        self.used.add(salt)
        return b64.encode(salt)
