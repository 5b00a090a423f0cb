"""Judging licences that anybody hands in: one function of the library judges, with what the gateway knows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
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
from ledger.licences.batch import judge_batch
from ledger.licences.judging import Terms
from ledger.licences.slip import is_slip
from ledger.licences.slipverdict import judge_slip
from ledger.licences.statustoken import VerifiedStatusList
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
        self.trust, self.key = self.trusts.judged_by(kid, iss, vct)
        return self.trust

    def status(self, uri: str) -> VerifiedStatusList | None:
        return None if self.trust is None else self.lists.newest(self.trust.issuer, uri).content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A question with its nonce spent and its reference resolved. ``left``: what waited behind it, or ""."""

    text: str
    terms: Terms
    left: str


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
        opened = self._open(asked)
        known = _Known(self.trusts, self.lists)
        if is_slip(opened.text):
            terms = opened.terms
            verdict = judge_slip(
                opened.text,
                now_ms=terms.now_ms,
                trust=known.issuer,
                status=known.status,
                copy_recipient=terms.copy_recipient,
            )
        else:
            verdict = next(self._verdicts([opened.text], opened.terms, known))
        return self._judged(verdict, known.key, opened.left)

    def judge_many(self, asked: Sequence[Presented]) -> list[Judged | LedgerError]:
        """Judgements in order; where one could not be made, why.

        Raises: InvalidInputError(licence.batch).
        """
        if not 1 <= len(asked) <= MAX_BATCH:
            raise InvalidInputError(
                "licence.batch", f"a message has 1 to {MAX_BATCH} licences", expected=MAX_BATCH, actual=len(asked)
            )
        plain = [item for item in asked if self._is_plain(item)]
        return self._together(plain) if len(plain) == len(asked) else [self._one(item) for item in asked]

    # --- inside -------------------------------------------------------------------------------------------------------

    def _is_plain(self, asked: Presented) -> bool:
        """Whether nothing is asked of a licence that others in its batch are not asked."""
        special = asked.nonce or asked.audience or asked.recipient or asked.require_binding
        return not (special or is_slip(asked.licence) or is_reference(asked.licence))

    def _together(self, asked: Sequence[Presented]) -> list[Judged | LedgerError]:
        """Licences of which nothing special is asked, opened natively in one go."""
        known = _Known(self.trusts, self.lists)
        verdicts = self._verdicts([item.licence.strip() for item in asked], Terms(now_ms=self._clock()), known)
        judged: list[Judged | LedgerError] = []
        try:
            for verdict in verdicts:
                judged.append(self._judged(verdict, known.key, ""))
                known.key = None
        except LedgerError:
            # An issuer away ends the batch's own judging: whoever is left is judged alone, and gets its own reason.
            judged += [self._one(item) for item in asked[len(judged) :]]
        return judged

    def _one(self, asked: Presented) -> Judged | LedgerError:
        try:
            return self.judge(asked)
        except LedgerError as error:
            return error

    def _verdicts(self, texts: Sequence[str], terms: Terms, known: _Known) -> Iterator[Verdict]:
        return judge_batch(texts, terms=terms, trust=known.issuer, status=known.status, keys=self.trusts.at_hand())

    def _judged(self, verdict: Verdict, key: IssuerKey | None, left: str) -> Judged:
        self._metrics.licence_judged(verdict.code)
        return Judged(verdict=verdict, key=key, presentation=left)

    def _open(self, asked: Presented) -> _Opened:
        nonce = self._nonce(asked)
        recipient = parse_uscc(asked.recipient) if asked.recipient else None
        # What is pasted ends in line breaks; a blank may belong to a slip's text.
        text = asked.licence.strip("\r\n\t")
        left = self._references.presentation(text) if is_reference(text) else ""
        terms = Terms(
            now_ms=self._clock(),
            audience=asked.audience or None,
            nonce=nonce,
            require_binding=asked.require_binding or bool(asked.nonce or asked.audience),
            copy_recipient=recipient,
        )
        return _Opened(text=left or (text if is_slip(text) else text.strip()), terms=terms, left=left)

    def _nonce(self, asked: Presented) -> str | None:
        if len(asked.audience) > MAX_AUDIENCE:
            raise InvalidInputError("licence.audience", f"an audience has at most {MAX_AUDIENCE} characters")
        if not asked.nonce:
            return None
        # A nonce that is not to be accepted is replaced by one that nobody can have signed: the library refuses it.
        return asked.nonce if self._nonces.spend(asked.nonce) else secrets.token_urlsafe(32)
