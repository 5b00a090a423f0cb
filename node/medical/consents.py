"""Whether a patient lets results be shared: with whom, from when to when; a change acts at once.

By default results are shared among hospitals (the measures of 2022 ask for that); a patient may forbid it to all or to
one body, and allow it again. What names one body goes before what names all, the newer before the older. The log holds
a commitment to each new state only. A hospital's own use is not sharing.

Source: FHIR R4 Consent.provision; PIPL articles 13 to 15 (consent, and its withdrawal).
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from ledger import codec
from ledger.codec import commitment
from ledger.errors import FatalError, InvalidInputError
from ledger.identifiers import parse_uscc
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.keeping import Keeping

logger = structlog.get_logger("node.medical")

#: Names every body.
ALL: Final = "*"
#: Type line of the commitment in ``medical.consent-changed``.
CONSENT_TYPE: Final = "medical.consent-changed/consents"
#: Most rules kept of a patient; older ones that no longer matter are dropped first.
MAX_RULES: Final = 200
_NAME: Final = b"consent/"
#: Where a rule has no end, Unix seconds.
ENDLESS: Final = 1 << 52


class ConsentRule(msgspec.Struct, frozen=True, kw_only=True):
    """``asker``: a member's USCC, or ``*``; ``from_s``, ``until_s``: Unix seconds, the latter excluded; ``via``: how
    the hospital was told, a word; ``source``: identifier of the FHIR Consent that says so, empty for none."""

    asker: str
    permit: bool
    from_s: int
    until_s: int = ENDLESS
    via: str = "desk"
    source: str = ""

    @property
    def ends(self) -> bool:
        """Whether it is for a time only."""
        return self.until_s != ENDLESS

    def speaks(self, asker: str, at_s: int) -> bool:
        """Whether the rule is about this body at this time."""
        return self.asker in (ALL, asker) and self.from_s <= at_s < self.until_s

    def replaces(self, older: ConsentRule, now_s: int) -> bool:
        """Whether an older rule says nothing any more beside this one."""
        return self.asker == older.asker and self.from_s <= max(older.from_s, now_s) and self.until_s >= older.until_s


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    rules: tuple[ConsentRule, ...]
    salt: bytes
    #: Identifier of a FHIR Consent -> when it was last changed, Unix seconds (0: it does not say).
    sources: dict[str, int] = {}


class Consents:
    """The consents of this hospital's patients, by subject."""

    def __init__(self, context: NodeContext, keeping: Keeping) -> None:
        self._context = context
        self._keeping = keeping
        self._pending = context.medical.rows.sub(b"consent/")
        self._lock = threading.Lock()

    def allows(self, subject: bytes, asker: str, at_s: int) -> bool:
        """Whether results of a subject may be offered to and opened by a body (USCC) at a time (Unix seconds)."""
        if asker == self._context.member:
            return True
        for named in (asker, ALL):
            for rule in reversed(self.rules(subject)):
                if rule.asker == named and rule.speaks(asker, at_s):
                    return rule.permit
        return True

    def rules(self, subject: bytes) -> tuple[ConsentRule, ...]:
        """What was said, in the order it was said."""
        return self._kept(subject).rules

    def standing(self, subject: bytes, at_s: int) -> dict[str, ConsentRule]:
        """What holds at a time (Unix seconds), by whom it names (USCC or ``*``): the newest rule about each."""
        return {rule.asker: rule for rule in self.rules(subject) if rule.from_s <= at_s < rule.until_s}

    def change(
        self, subject: bytes, *, permit: bool, asker: str = ALL, until_s: int = 0, via: str = "desk", from_s: int = 0
    ) -> int:
        """Forbid or allow, from now on (or ``from_s``) and until a time (0: without end); the index of the record. It
        acts before that returns.

        Raises: NotFoundError(vault.no-subject), InvalidInputError(identifier.uscc | consent.time),
        UnavailableError(disk.full).
        """
        now_ms = self._context.clock()
        begins = from_s or now_ms // 1_000
        rule = ConsentRule(
            asker=asker if asker == ALL else parse_uscc(asker),
            permit=permit,
            from_s=begins,
            until_s=until_s or ENDLESS,
            via=via,
        )
        if rule.until_s <= max(begins, now_ms // 1_000):
            raise InvalidInputError("consent.time", "the end lies before the beginning, or in the past", actual=until_s)
        with self._lock:
            kept = self._kept(subject)
            rules = (*_still(kept.rules, now_ms // 1_000), rule)
            return self._put(subject, rules, kept.sources, now_ms)

    def state(
        self, subject: bytes, source: str, rules: tuple[ConsentRule, ...], *, updated_s: int | None = None
    ) -> bool | None:
        """What one FHIR Consent says from now on, in the place of what it said before; ``rules`` none: nothing.

        ``updated_s``: when it was last changed. True once that acts and is on record, False where it says what it
        said, None where a newer version of it is known. Raises: NotFoundError(vault.no-subject),
        UnavailableError(disk.full).
        """
        now_ms = self._context.clock()
        with self._lock:
            kept = self._kept(subject)
            before = tuple(rule for rule in kept.rules if rule.source == source)
            known_s = kept.sources.get(source, -1)
            if updated_s is not None and updated_s < known_s:
                return None
            if known_s >= 0 and before == rules and (updated_s or 0) == known_s:
                return False
            others = tuple(rule for rule in kept.rules if rule.source != source)
            now_s = now_ms // 1_000
            made = (*_still(others, now_s, len(rules)), *rules)
            self._put(subject, made, {**kept.sources, source: max(updated_s or 0, known_s, 0)}, now_ms)
            return True

    def carry_over(self, before: bytes, subject: bytes) -> None:
        """A subject turns out to be another one, too: what it forbids is forbidden there. Raises: as :meth:`change`."""
        now_s = self._context.clock() // 1_000
        held = self.standing(before, now_s)
        coming = [rule for rule in self.rules(before) if rule.from_s > now_s]
        for rule in (*held.values(), *coming):
            if not rule.permit:
                until_s = rule.until_s if rule.ends else 0
                self.change(subject, permit=False, asker=rule.asker, until_s=until_s, via=rule.via, from_s=rule.from_s)

    def resume(self) -> None:
        """Record what a crash kept from the log."""
        with self._lock:
            for told, time in list(self._pending.scan()):
                self._tell(told, int.from_bytes(time, "big"))

    def _kept(self, subject: bytes) -> _Kept:
        vault = self._keeping.vault
        if not vault.has(_NAME + subject):
            return _Kept(rules=(), salt=b"")
        try:
            return msgspec.msgpack.decode(vault.get(_NAME + subject), type=_Kept)
        except msgspec.MsgspecError as error:
            raise FatalError("store.corrupt", f"consents in the vault do not decode: {error}") from error

    def _put(self, subject: bytes, rules: tuple[ConsentRule, ...], sources: dict[str, int], now_ms: int) -> int:
        salt = secrets.token_bytes(32)
        told = commitment(CONSENT_TYPE, salt, codec.encode([msgspec.to_builtins(one) for one in rules]))
        # Noted first: a consent that acts and is on no record must not be.
        self._pending.put(told, now_ms.to_bytes(8, "big"))
        kept = msgspec.msgpack.encode(_Kept(rules=rules, salt=salt, sources=sources))
        name = _NAME + subject
        # Each state's commitment stays listed, so that an erasure records all of them.
        self._keeping.vault.put_all(subject, {name: kept, name + b"/" + told: b""}, {name + b"/" + told: told})
        return self._tell(told, now_ms)

    def _tell(self, told: bytes, time_ms: int) -> int:
        body = {"commitment": told.hex()}
        index = trail.write_once(self._context, "medical.consent-changed", body, time_ms, told)
        self._pending.erase_all([told], within=told)
        return index


def _still(rules: tuple[ConsentRule, ...], now_s: int, room: int = 1) -> tuple[ConsentRule, ...]:
    """The rules that are kept beside ``room`` new ones."""
    if len(rules) + room <= MAX_RULES:
        return rules
    # What a newer rule about the same body wholly replaces goes before anything that still matters.
    matters = tuple(
        rule
        for place, rule in enumerate(rules)
        if rule.until_s > now_s and not any(newer.replaces(rule, now_s) for newer in rules[place + 1 :])
    )
    return matters[-(MAX_RULES - room) :]
