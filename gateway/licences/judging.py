"""Judging licences that anybody hands in: one function of the library judges, with what the gateway knows."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from gateway.licences.lists import StatusLists
from gateway.licences.nonces import Nonce, Nonces
from gateway.licences.references import References, Waiting, is_reference
from gateway.licences.sources import IssuerKey
from gateway.licences.trusts import FRESH_MS, IssuerTrusts, KnownIssuer
from gateway.metrics import Metrics
from ledger.errors import InvalidInputError, LedgerError
from ledger.identifiers import parse_uscc
from ledger.licences.batch import judge_batch, judge_done, judge_one
from ledger.licences.judging import Terms
from ledger.licences.ready import ReadyVerdicts
from ledger.licences.slip import is_slip
from ledger.licences.slipverdict import judge_slip
from ledger.licences.statustoken import VerifiedStatusList
from ledger.licences.trust import IssuerTrust
from ledger.licences.verdict import Verdict
from ledger.verifyissue import ProvenIssue, looks_like_bundle

#: Characters of an audience; a USCC or an address has far fewer.
MAX_AUDIENCE: Final = 512
MAX_BATCH: Final = 256
#: What a bundle counts beside its licence: it takes a core for some milliseconds.
PROOF_COST: Final = 25


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks to be judged: ``licence`` is a presentation, the text of a slip, a reference, or the bundle of
    a licence; the others are empty where they are not asked for.

    ``proof``: the bundle of the licence that is presented, which proves its time of issue.
    """

    licence: str
    nonce: str = ""
    audience: str = ""
    recipient: str = ""
    require_binding: bool = False
    proof: bytes = b""

    @property
    def has_proof(self) -> bool:
        """Whether a bundle is to be verified for it."""
        return bool(self.proof) or looks_like_bundle(self.licence)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and the key it rests on, None where none was trusted. ``presentation``: what waited behind a reference
    or stood in a bundle, or ""."""

    verdict: Verdict
    key: IssuerKey | None
    presentation: str = ""

    def told(self) -> dict[str, Any]:
        """For the encoder: the verdict's own JSON; ``key``: what it was checked with, for whoever checks again;
        ``presentation``: what waited behind a reference."""
        value = self.verdict.told()
        if self.key is not None:
            value["key"] = _key(self.key)
        if self.presentation:
            value["presentation"] = self.presentation
        return value


@lru_cache(maxsize=256)
def _key(key: IssuerKey) -> msgspec.Raw:
    spki = base64.b64encode(key.spki).decode("ascii")
    return msgspec.Raw(msgspec.json.encode({"kid": key.kid, "alg": key.alg, "spki": spki}))


class _Known:
    """What judging asks of the gateway, asked once for all licences that are judged together. The address of a status
    list is read only at the node of the issuer that the licence's key belongs to."""

    __slots__ = ("_found", "_listed", "key", "listed", "lists", "trust", "trusts", "until_ms")

    def __init__(self, trusts: IssuerTrusts, lists: StatusLists) -> None:
        self.trusts = trusts
        self.lists = lists
        self.trust: IssuerTrust | None = None
        self.key: IssuerKey | None = None
        self.listed: VerifiedStatusList | None = None
        #: Before when nothing that was answered is read anew.
        self.until_ms = 1 << 62
        self._found: dict[tuple[str, str, str], KnownIssuer] = {}
        self._listed: dict[tuple[str, str], VerifiedStatusList] = {}

    def issuer(self, kid: str, iss: str, vct: str) -> IssuerTrust | None:
        name = (kid, iss, vct)
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self.trusts.judged_by(kid, iss, vct)
            self.until_ms = min(self.until_ms, found.until_ms)
        self.trust, self.key = found.trust, found.key
        return self.trust

    def status(self, uri: str) -> VerifiedStatusList | None:
        if self.trust is None:
            return None
        name = (self.trust.issuer, uri)
        found = self._listed.get(name)
        if found is None:
            reading = self.lists.newest(*name)
            found = self._listed[name] = reading.value.content
            self.until_ms = min(self.until_ms, reading.read_ms + FRESH_MS)
        self.listed = found
        return found


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its nonce spent, its reference resolved and its proof verified. ``left``: what waited behind a
    reference or stood in a bundle, or ""."""

    text: str
    terms: Terms
    left: str


class LicenceDesk:
    """Judges licences. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(
        self,
        trusts: IssuerTrusts,
        lists: StatusLists,
        metrics: Metrics,
        clock: Callable[[], int],
        proven: Callable[[bytes], ProvenIssue],
    ) -> None:
        """``proven``: verifies the bundle of a licence."""
        self._proven = proven
        self.trusts = trusts
        self.lists = lists
        self._metrics = metrics
        self._clock = clock
        self._nonces = Nonces(clock)
        self._references = References(clock)
        self._ready = ReadyVerdicts()

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
            UntrustedError: a proof of issue does not hold: the code names the broken link, or ``licence.proof-*``.
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
            verdict = judge_one(
                opened.text,
                terms=opened.terms,
                trust=known.issuer,
                status=known.status,
                keys=self.trusts.at_hand(),
            )
        return self._judged(verdict, known.key, opened.left)

    def judge_alone(self, text: str) -> bytes | Judged:
        """The judgement of a licence (of :func:`ledger.licences.ready.alone`) of which nothing special is asked: as it
        is answered on the wire where that much is ready, which is so of sound licences of issuers in use.

        Raises: UnavailableError, as :meth:`judge`.
        """
        now_ms = self._clock()
        found = self._ready.answer(text, self.trusts.at_hand(), now_ms)
        if isinstance(found, bytes):
            self._metrics.licence_judged("valid")
            return found
        known = _Known(self.trusts, self.lists)
        verdict = judge_done(found, 0, text, Terms(now_ms=now_ms), known.issuer, known.status)
        key, trust, listed = known.key, known.trust, known.listed
        if verdict.code == "valid" and trust is not None and listed is not None:
            self._ready.learn(
                found,
                trust=trust,
                listed=listed,
                times_ms=(now_ms, known.until_ms),
                told=lambda verdict: Judged(verdict=verdict, key=key).told(),
            )
        return self._judged(verdict, key, "")

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
        special = asked.nonce or asked.audience or asked.recipient or asked.require_binding or asked.proof
        text = asked.licence
        return not (special or is_slip(text) or is_reference(text) or looks_like_bundle(text))

    def _together(self, asked: Sequence[Presented]) -> list[Judged | LedgerError]:
        """Licences of which nothing special is asked, opened natively in one go."""
        known = _Known(self.trusts, self.lists)
        verdicts = judge_batch(
            [item.licence.strip() for item in asked],
            terms=Terms(now_ms=self._clock()),
            trust=known.issuer,
            status=known.status,
            keys=self.trusts.at_hand(),
        )
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

    def _judged(self, verdict: Verdict, key: IssuerKey | None, left: str) -> Judged:
        self._metrics.licence_judged(verdict.code)
        return Judged(verdict=verdict, key=key, presentation=left)

    def _open(self, asked: Presented) -> _Opened:
        nonce = self._nonce(asked)
        recipient = parse_uscc(asked.recipient) if asked.recipient else None
        # What is pasted ends in line breaks; a blank may belong to a slip's text.
        text = asked.licence.strip("\r\n\t")
        left = self._references.presentation(text) if is_reference(text) else ""
        issue = None
        if looks_like_bundle(text):
            issue = self._proven(text.encode("utf-8", "replace"))
            left = issue.presentation
        elif asked.proof:
            issue = self._proven(asked.proof)
        terms = Terms(
            now_ms=self._clock(),
            audience=asked.audience or None,
            nonce=nonce,
            require_binding=asked.require_binding or bool(asked.nonce or asked.audience),
            copy_recipient=recipient,
        )
        shown = left or (text if is_slip(text) else text.strip())
        if issue is not None:
            terms = msgspec.structs.replace(terms, issue_time=issue.of(shown))
        return _Opened(text=shown, terms=terms, left=left)

    def _nonce(self, asked: Presented) -> str | None:
        if len(asked.audience) > MAX_AUDIENCE:
            raise InvalidInputError("licence.audience", f"an audience has at most {MAX_AUDIENCE} characters")
        if not asked.nonce:
            return None
        # A nonce that is not to be accepted is replaced by one that nobody can have signed: the library refuses it.
        return asked.nonce if self._nonces.spend(asked.nonce) else secrets.token_urlsafe(32)
