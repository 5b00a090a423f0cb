"""Judging a licence at this node: by its own view of the chain, and by the issuer's status list, fetched whole.

The list is fetched from the issuer's node alone, whatever address the licence names: the address must be one of a list
that the issuer signed, and no licence makes this node call a stranger.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from ledger.codec import commitment, unb64
from ledger.errors import LedgerError, NotFoundError, UnavailableError
from ledger.identifiers import parse_licence_type, parse_uscc
from ledger.keys import material
from ledger.licences import b64, packing, statustoken
from ledger.licences.cose import KID_BYTES
from ledger.licences.slip import is_slip
from ledger.licences.slipverdict import judge_slip
from ledger.licences.statuschain import check_list
from ledger.licences.statustoken import ListKey, VerifiedStatusList
from ledger.licences.suites import kid_of
from ledger.licences.trust import Accreditation, IssuerTrust, Proven, key_end
from ledger.licences.verdict import Verdict
from ledger.licences.verify import judge
from ledger.model import KeyInfo, KeyRole
from ledger.verifyissue import ProvenIssue, verify_issue
from node.identity.pinned import PinnedClient
from node.licences.desk import STATUS_PATH
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: The type line of the commitment in a record of a check.
VERIFIED_TYPE = "licence.verified/licence"
_ISSUER = "urn:cn:uscc:"
_VCT = re.compile(r"urn:cn:elicence:([0-9A-Z]{18}[0-9]{3}):1\Z")
_PATH = re.compile(re.escape(STATUS_PATH) + r"([1-9][0-9]{0,8})\Z")
_TIMEOUT_S = 10.0
#: Fetched lists that are kept, and for how long at most, milliseconds.
_KEPT = 64
_KEEP_MS = 60_000
_MAX_KEYS = 100
_DIGEST_BYTES = 32


class _Key(msgspec.Struct, frozen=True):
    kid: str
    spki: str


class _Issuer(msgspec.Struct, frozen=True):
    issuer: str
    keys: list[_Key]


class Verifier:
    """Judges licences for this node's member. Thread-safe."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._spkis: dict[bytes, bytes] = {}
        self._fetched: OrderedDict[str, tuple[int, VerifiedStatusList]] = OrderedDict()

    def judge(
        self,
        presentation: str,
        *,
        audience: str | None = None,
        nonce: str | None = None,
        require_binding: bool = False,
        recipient: str | None = None,
        issue_time: int | None = None,
    ) -> Verdict:
        """The verdict at this moment. ``issue_time``: of :meth:`issue`, Unix milliseconds."""
        case = _Case(self, self._context)
        if is_slip(presentation):
            return judge_slip(
                presentation,
                now_ms=self._context.clock(),
                trust=case.trust,
                status=case.status,
                copy_recipient=recipient,
            )
        return judge(
            presentation,
            now_ms=self._context.clock(),
            trust=case.trust,
            status=case.status,
            audience=audience,
            nonce=nonce,
            require_binding=require_binding,
            issue_time=issue_time,
            copy_recipient=recipient,
        )

    def issue(self, bundle: bytes) -> ProvenIssue:
        """When the licence of a bundle was on record at the latest, by this node's own view of the chain.

        Raises: UntrustedError: the code names the broken link; UnavailableError(chain.no-finality).
        """
        return verify_issue(bundle, self._context.anchors.policy(), at_ms=self._context.clock())

    def record(self, presentation: str, verdict: Verdict) -> tuple[int, bytes]:
        """Put a check on the trail without anything about the holder: (index, what opens the commitment)."""
        salt = secrets.token_bytes(32)
        value = packing.plain(presentation).partition("~")[0].encode("utf-8", "replace")
        body = {"licence": commitment(VERIFIED_TYPE, salt, value).hex(), "verdict": verdict.code}
        if verdict.licence is not None:
            for name, text, parse in (
                ("issuer", verdict.licence.issuer, parse_uscc),
                ("type", verdict.licence.type_code, parse_licence_type),
            ):
                try:
                    body[name] = parse(text)
                except LedgerError:
                    continue
        return trail.write(self._context, "licence.verified", body), salt

    # --- what the chain and the issuer's node say ---------------------------------------------------------------------
    def issuer_key(self, issuer: str, kid: str) -> tuple[KeyInfo, bytes] | None:
        """(key on chain, SubjectPublicKeyInfo) of an issuer's key by its name; None where there is none.

        Raises: UnavailableError(peer.*), NotFoundError(peer.*) where nobody here knows the key itself.
        """
        try:
            name = b64.decode(kid)
        except LedgerError:
            return None
        if self._context.contracts.consortium.member(issuer) is None:
            return None
        digest = self._whole(issuer, name)
        info = self._context.contracts.consortium.key(digest) if len(digest) == _DIGEST_BYTES else None
        if info is None or info.role is not KeyRole.ISSUER or info.member != issuer:
            return None
        spki = self._spki(issuer, digest)
        return None if spki is None else (info, spki)

    def _spki(self, issuer: str, digest: bytes) -> bytes | None:
        own = dict(self._context.licences.lists.signing_keys()) if issuer == self._context.member else {}
        with self._lock:
            found = own.get(digest) or self._spkis.get(digest)
        if found is not None or issuer == self._context.member:
            return found
        # What it says is believed where the chain has the digest, and nowhere else.
        digests = self._told(issuer)
        with self._lock:
            self._spkis.update({name: spki for name, spki in digests.items() if name == digest})
        return digests.get(digest)

    def _told(self, issuer: str) -> dict[bytes, bytes]:
        """The keys an issuer's node names, by their digests."""
        answer = self._get(issuer, "/licence/issuer")
        try:
            told = msgspec.json.decode(answer, type=_Issuer)
            spkis = [unb64(key.spki) for key in told.keys[:_MAX_KEYS]]
        except (msgspec.MsgspecError, LedgerError):
            raise UnavailableError("peer.answer", f"the node of {issuer} answers no keys of an issuer") from None
        return {material(KeyRole.ISSUER, spki): spki for spki in spkis if len(spki) >= 64}

    def _whole(self, issuer: str, name: bytes) -> bytes:
        """The digest of the key that a slip names by its first bytes; any other name is whole already."""
        if len(name) != KID_BYTES:
            return name
        if issuer == self._context.member:
            known = [digest for digest, _ in self._context.licences.lists.signing_keys()]
        else:
            with self._lock:
                known = list(self._spkis)
            if not any(digest.startswith(name) for digest in known):
                known = list(self._told(issuer))
        return next((digest for digest in known if digest.startswith(name)), name)

    def status_list(self, issuer: str, uri: str) -> VerifiedStatusList:
        """The newest list of an issuer.

        Raises: UnavailableError(peer.*), NotFoundError(licence.no-status-list), UntrustedError(licence.status-*).
        """
        now = self._context.clock()
        name = f"{issuer}\n{uri}"
        path = _path(uri)
        head = self._context.contracts.licences.list_head(issuer, int(path.removeprefix(STATUS_PATH)))
        with self._lock:
            kept = self._fetched.get(name)
        # A kept list is used on only where the chain has no newer one.
        least = 0 if head is None else head.newest.version
        if kept is not None and 0 <= now - kept[0] < _KEEP_MS and (kept[1].version or 0) >= least:
            verified = kept[1]
        else:
            verified = statustoken.verify(
                self._token(issuer, path, uri),
                uri=uri,
                issuer=issuer,
                key_of=lambda kid: self._list_key(issuer, kid),
                now_s=now // 1_000,
            )
            if issuer != self._context.member:
                with self._lock:
                    self._fetched[name] = now, verified
                    while len(self._fetched) > _KEPT:
                        self._fetched.popitem(last=False)
        check_list(verified, key=self._context.contracts.consortium.key(b64.decode(verified.kid)), head=head)
        return verified

    def _list_key(self, issuer: str, kid: str) -> ListKey | None:
        found = self.issuer_key(issuer, kid)
        return None if found is None or kid_of(found[1]) != kid else ListKey(issuer=issuer, spki=found[1])

    def _token(self, issuer: str, path: str, uri: str) -> str:
        if issuer == self._context.member:
            token = self._context.licences.publisher.token(int(path.removeprefix(STATUS_PATH)))
            if token is None:
                raise _no_list(uri)
            return token
        return self._get(issuer, path).decode("ascii", "replace").strip()

    def _get(self, issuer: str, path: str) -> bytes:
        client = PinnedClient(self._context.peers.require(issuer), _TIMEOUT_S)
        try:
            answer = client.read(path, statustoken.MAX_TOKEN_CHARACTERS)
        finally:
            client.close()
        if answer.status != 200:
            raise NotFoundError(
                "licence.no-status-list",
                f"the node of {issuer} answers {answer.status} at {path}",
                hint="ask the issuer; its node may have lost its store",
            )
        return answer.body


class _Case:
    """One licence being judged: whose it is, once that is known."""

    def __init__(self, verifier: Verifier, context: NodeContext) -> None:
        self._verifier = verifier
        self._context = context
        self._issuer = ""

    def trust(self, kid: str, iss: str, vct: str) -> IssuerTrust | None:
        """What the chain says of the issuer and its key. Raises: UnavailableError(peer.*)."""
        kind = _VCT.match(vct)
        if not iss.startswith(_ISSUER) or kind is None:
            return None
        issuer, type_ = iss.removeprefix(_ISSUER), kind[1]
        context = self._context
        try:
            parse_uscc(issuer), parse_licence_type(type_)
        except LedgerError:
            return None
        found = self._verifier.issuer_key(issuer, kid)
        if found is None:
            return None
        self._issuer = issuer
        info, spki = found
        licences = context.contracts.licences
        known = licences.licence_type(type_)
        withdrawn = known.withdrawn_at if known is not None else 0
        spans = licences.accreditations(type_, issuer) if known is not None else ()
        head = context.chain.head()
        ended_ms, how = key_end(info)
        return IssuerTrust(
            issuer=issuer,
            spki=spki,
            key_from_ms=info.valid_from * 1_000,
            key_ended_ms=ended_ms,
            key_ended_kind=how,
            key_until_ms=info.valid_to * 1_000 or None,
            accreditations=tuple(
                Accreditation(from_ms=span.valid_from * 1_000, until_ms=_until(span.valid_until, withdrawn), by=span.by)
                for span in spans
            ),
            type_known=known is not None,
            view_height=head.height,
            view_time_ms=context.clock() - context.chain_age_ms(),
            proven=Proven.CHAIN_STATE,
        )

    def status(self, uri: str) -> VerifiedStatusList:
        """The newest status list. What keeps it away is the reason in the verdict's line."""
        return self._verifier.status_list(self._issuer, uri)


def _until(until_s: int, withdrawn_s: int) -> int | None:
    """The end of a span, milliseconds; a type that was withdrawn ends all of them."""
    ends = [end for end in (until_s, withdrawn_s) if end]
    return min(ends) * 1_000 if ends else None


def _path(uri: str) -> str:
    """The path of a status list in its address. Raises: NotFoundError(licence.no-status-list)."""
    slash = uri.find("/", len("https://")) if uri.startswith("https://") else -1
    found = _PATH.match(uri[slash:]) if slash > 0 else None
    if found is None:
        raise _no_list(uri)
    return found[0]


def _no_list(uri: str) -> NotFoundError:
    return NotFoundError(
        "licence.no-status-list",
        "its status list is not at an address of a node",
        hint="ask the issuer",
        actual=uri[:100],
    )
