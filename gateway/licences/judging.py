"""Judging licences that anybody hands in: one function of the library judges, with what the gateway knows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.licences.lists import StatusLists
from gateway.licences.nonces import Nonce, Nonces
from gateway.licences.references import References, Waiting, is_reference
from gateway.licences.sources import IssuerKey
from gateway.licences.trusts import IssuerTrusts
from gateway.metrics import Metrics
from ledger.errors import InvalidInputError, LedgerError
from ledger.identifiers import parse_uscc
from ledger.licences import verify
from ledger.licences.slip import is_slip
from ledger.licences.slipverdict import judge_slip
from ledger.licences.statustoken import VerifiedStatusList
from ledger.licences.suites import kid_of
from ledger.licences.trust import IssuerTrust
from ledger.licences.verdict import Verdict

#: Characters of an audience; a USCC or an address has far fewer.
MAX_AUDIENCE: Final = 512
MAX_BATCH: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What somebody asks to be judged: ``licence`` is a presentation, the text of a slip, or a reference; the others
    are empty where they are not asked for."""

    licence: str
    nonce: str = ""
    audience: str = ""
    recipient: str = ""
    require_binding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict and the key it rests on, None where none was trusted. ``presentation``: what waited behind a reference,
    or ""."""

    verdict: Verdict
    key: IssuerKey | None
    presentation: str = ""


class _Known:
    """What one judgement asks of the gateway. The address of a status list is read only at the node of the issuer that
    the licence's key belongs to."""

    __slots__ = ("key", "lists", "trust", "trusts")

    def __init__(self, trusts: IssuerTrusts, lists: StatusLists) -> None:
        self.trusts = trusts
        self.lists = lists
        self.trust: IssuerTrust | None = None
        self.key: IssuerKey | None = None

    def issuer(self, kid: str, iss: str, vct: str) -> IssuerTrust | None:
        self.trust = self.trusts.trust(kid, iss, vct)
        if self.trust is not None:
            self.key = self.trusts.key(self.trust.issuer, kid_of(self.trust.spki))
        return self.trust

    def status(self, uri: str) -> VerifiedStatusList | None:
        return None if self.trust is None else self.lists.newest(self.trust.issuer, uri).content


class LicenceDesk:
    """Judges licences. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, trusts: IssuerTrusts, lists: StatusLists, metrics: Metrics, clock: Callable[[], int]) -> None:
        self.trusts = trusts
        self.lists = lists
        self._metrics = metrics
        self._clock = clock
        self._nonces = Nonces(clock)
        self._references = References(clock)

    def nonce(self) -> Nonce:
        """A nonce for one presentation."""
        return self._nonces.give()

    def leave(self, host: str, presentation: str) -> Waiting:
        """Keep a presentation behind a reference for five minutes. Raises: as ``References.leave``."""
        return self._references.leave(host, presentation)

    def judge(self, asked: Presented) -> Judged:
        """The judgement of a licence as of now.

        Raises:
            InvalidInputError: ``licence.audience``, ``identifier.uscc``.
            NotFoundError: ``licence.reference-unknown``.
            UnavailableError: ``chain.*``, ``node.*``, ``licence.*``: the chain or the issuer was away too long.
        """
        nonce = self._nonce(asked)
        recipient = parse_uscc(asked.recipient) if asked.recipient else None
        # What is pasted ends in line breaks; a blank may belong to a slip's text.
        text = asked.licence.strip("\r\n\t")
        presentation = self._references.presentation(text) if is_reference(text) else ""
        known, now = _Known(self.trusts, self.lists), self._clock()
        if is_slip(text):
            verdict = judge_slip(text, now_ms=now, trust=known.issuer, status=known.status, copy_recipient=recipient)
        else:
            verdict = verify.judge(
                presentation or text.strip(),
                now_ms=now,
                trust=known.issuer,
                status=known.status,
                audience=asked.audience or None,
                nonce=nonce,
                require_binding=asked.require_binding or bool(asked.nonce or asked.audience),
                copy_recipient=recipient,
            )
        self._metrics.licence_judged(verdict.code)
        return Judged(verdict=verdict, key=known.key, presentation=presentation)

    def judge_many(self, asked: Sequence[Presented]) -> list[Judged | LedgerError]:
        """Judgements in order; where one could not be made, why.

        Raises: InvalidInputError(licence.batch).
        """
        if not 1 <= len(asked) <= MAX_BATCH:
            raise InvalidInputError(
                "licence.batch", f"a message has 1 to {MAX_BATCH} licences", expected=MAX_BATCH, actual=len(asked)
            )
        return [self._one(item) for item in asked]

    # --- inside -------------------------------------------------------------------------------------------------------

    def _one(self, asked: Presented) -> Judged | LedgerError:
        try:
            return self.judge(asked)
        except LedgerError as error:
            return error

    def _nonce(self, asked: Presented) -> str | None:
        if len(asked.audience) > MAX_AUDIENCE:
            raise InvalidInputError("licence.audience", f"an audience has at most {MAX_AUDIENCE} characters")
        if not asked.nonce:
            return None
        # A nonce that is not to be accepted is replaced by one that nobody can have signed: the library refuses it.
        return asked.nonce if self._nonces.spend(asked.nonce) else secrets.token_urlsafe(32)
