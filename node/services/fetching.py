"""FetchingService: a department fetches a licence under a grant instead of asking the citizen for it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import structlog

from ledger.directory.catalogue import EXAMINATION_FORMAT, LICENCE_FORMAT, decode_metadata
from ledger.errors import FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.identifiers import parse_licence_type
from ledger.licences.templates import template
from ledger.licences.verdict import Verdict
from ledger.storage.examinations import Used
from ledger.storage.fetches import Fetch
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc, peer_pb2
from node.documents import Documents
from node.exchange.consumer import Consuming, Use
from node.licences import certifying, fetching
from node.licences.fetching import HOLDER
from node.licences.verifying import Verifier
from node.medical.certifying import log_certified
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields, licencewire
from node.services.exchange import ExchangeService

if TYPE_CHECKING:
    from ledger.model import GrantInfo
    from node.context import NodeContext

log = structlog.get_logger("node.licences")

MAX_CAUSE = 200


class FetchingService(licences_pb2_grpc.FetchingServiceServicer):
    """For the department's own systems; the exchange itself is ``ExchangeService``'s."""

    def __init__(self, context: NodeContext, documents: Documents, exchanges: ExchangeService) -> None:
        self._context = context
        self._documents = documents
        self._exchanges = exchanges
        self._verifier = Verifier(context)

    def Fetch(self, request: pb.FetchLicenceRequest, call: Call) -> pb.FetchLicenceResponse:
        """The licence, after both sides signed the receipt and the fetch is on record."""
        grant = fields.id32("grant", request.grant)
        nonce = fields.optional_id32("nonce", request.nonce) or secrets.token_bytes(32)
        holder = fields.text("holder", request.holder, limit=fetching.MAX_HOLDER)
        shown = self._fields(grant, tuple(request.fields))
        kept = self._keep(nonce, holder, request.use_cause)
        about = fetching.subject_of(kept)
        use = self._use(grant, nonce, shown, about, request.operator_pseudonym)
        with self._exchanges.one_at_a_time(nonce), closing(Consuming.begin(self._context, use)) as consuming:
            self._exchanges.converse(consuming, _subject(kept))
            text = b"".join(consuming.plain()).decode("utf-8", "replace")
            entry = consuming.entry
            index = fetching.log_fetched(self._context, entry, about, fetching.cause_commitment(kept))
        fetching.check_holder(text, about, shown)
        verdict: Verdict = self._verifier.judge(text)
        return pb.FetchLicenceResponse(
            presentation=text,
            receipt=translate.receipt(entry),
            verdict=json.dumps(verdict.to_dict(), ensure_ascii=False).encode(),
            log_index=index,
        )

    def Certify(self, request: pb.CertifyRequest, call: Call) -> pb.CertifyResponse:
        """The certificate, once the examination is here, on record at both sides, and finds the person fit."""
        context = self._context
        context.require_fresh_chain()
        grant = fields.id32("grant", request.grant)
        nonce = fields.optional_id32("nonce", request.nonce) or secrets.token_bytes(32)
        key = fields.json_object("holder_key", request.holder_key, required=False, limit=licencewire.MAX_KEY)
        wanted = certifying.Application(
            holder=fields.text("holder", request.holder, limit=fetching.MAX_HOLDER),
            type=parse_licence_type(request.type),
            form=template(request.template),
            fields=licencewire.given_fields(request.fields),
            holder_key=key or None,
            serial=fields.text("serial", request.serial, limit=64, required=False),
        )
        certifying.check(context, wanted)
        self._require_format(grant, EXAMINATION_FORMAT)
        kept = self._keep(nonce, wanted.holder, request.use_cause)
        about = fetching.subject_of(kept)
        use = self._use(grant, nonce, wanted.form.examined, about, request.operator_pseudonym)
        with self._exchanges.one_at_a_time(nonce), closing(Consuming.begin(context, use)) as consuming:
            entry = consuming.entry
            issued = certifying.issued_before(context, wanted, entry.id)
            if issued is None:
                self._exchanges.converse(consuming, _subject(kept))
                entry = consuming.entry
                given = certifying.decode_facts(b"".join(consuming.plain()), wanted.form, entry)
                index = log_certified(
                    context, entry, about, given.report, given.version, cause=fetching.cause_commitment(kept)
                )
                order = certifying.order_of(context, wanted, given, entry.id)
                # Before there is a certificate: whoever corrects the report finds whom to tell of it.
                used = Used(
                    report=given.report,
                    version=given.version,
                    institution=entry.counterpart,
                    exchange=entry.id,
                    request=order.request,
                    log_index=index,
                )
                context.medical.examinations.use(used)
                (answer,) = context.licences.issuer.issue([order])
                if isinstance(answer, LedgerError):
                    raise answer
                issued = answer
            else:
                self._hand_over(consuming, _subject(kept))
        used = context.medical.examinations.of_exchange(entry.id)
        return pb.CertifyResponse(
            issued=licencewire.issued(issued),
            receipt=translate.receipt(entry),
            log_index=0 if used is None else used.log_index,
            examination=None if used is None else _examination(certifying.rests_on(context, used)),
        )

    def ListExaminations(self, request: pb.ListExaminationsRequest, call: Call) -> pb.ListExaminationsResponse:
        """Certificates by the examinations they rest on."""
        found, following = certifying.resting(
            self._context,
            size=fields.number("page_size", request.page_size, 0, fields.MAX_PAGE) or fields.DEFAULT_PAGE,
            token=fields.token("page_token", request.page_token),
            changed=request.changed,
        )
        return pb.ListExaminationsResponse(
            examinations=[_examination(one) for one in found], next_page_token=following.hex()
        )

    def _hand_over(self, consuming: Consuming, subject: peer_pb2.ExchangeSubject) -> None:
        """The hospital may have stopped before it had both signatures: it is given them once more, where it can be."""
        try:
            self._exchanges.converse(consuming, subject)
        except FatalError:
            raise
        except LedgerError as error:
            log.info("licence.not-handed-over", exchange=consuming.entry.id.hex(), code=error.code)

    def _keep(self, nonce: bytes, holder: str, cause: str) -> Fetch:
        """Whom a nonce is about and why: kept before anything is asked, so that a repeat asks the same."""
        if len(cause) > MAX_CAUSE:
            raise fields.refuse("use_cause", f"is longer than {MAX_CAUSE} characters", expected=MAX_CAUSE)
        fresh = Fetch(
            salt=secrets.token_bytes(32),
            holder=holder,
            cause=fields.text("use_cause", cause, limit=4 * MAX_CAUSE),
            cause_salt=secrets.token_bytes(32),
        )
        return self._context.licences.fetches.keep(nonce, fresh)

    def _use(self, grant: bytes, nonce: bytes, shown: Iterable[str], about: fetching.Subject, operator: str) -> Use:
        return Use(
            grant=grant,
            dataset=b"",
            purpose="",
            nonce=nonce,
            query={"fields": sorted(shown), "rows": {HOLDER: about.commitment().hex()}},
            operator=fields.text("operator_pseudonym", operator, limit=128, required=False),
        )

    def _fields(self, grant: bytes, asked: tuple[str, ...]) -> tuple[str, ...]:
        info = self._require_format(grant, LICENCE_FORMAT)
        granted = self._documents.terms(info).scope.fields
        return tuple(sorted(set(asked))) or granted

    def _require_format(self, grant: bytes, format_: str) -> GrantInfo:
        info = self._context.contracts.grants.grant(grant)
        if info is None:
            raise NotFoundError("grant.unknown", "no such grant is on the chain", hint="civicledger grant list")
        dataset = self._context.contracts.directory.dataset(info.dataset)
        entry = b"" if dataset is None else self._documents.metadata(dataset)
        found = decode_metadata(entry).format if entry else format_
        if found != format_:
            code = "licence.no-licences" if format_ == LICENCE_FORMAT else "licence.no-examinations"
            raise InvalidInputError(
                code,
                f"the grant is for data of the format {found}, and this asks for {format_}",
                hint="civicledger licence fetch, licence certify and exchange pull take a format each",
                actual=grant,
            )
        return info


def _subject(kept: Fetch) -> peer_pb2.ExchangeSubject:
    return peer_pb2.ExchangeSubject(salt=kept.salt, holder=kept.holder)


def _examination(one: certifying.Resting) -> pb.CertifiedExamination:
    used, change = one.used, one.change
    return pb.CertifiedExamination(
        report=used.report,
        version=used.version,
        institution=used.institution,
        exchange=used.exchange,
        change="" if change is None else change.change,
        change_version=0 if change is None else change.version,
        change_ms=0 if change is None else change.time_ms,
        licence=None if one.licence is None else licencewire.licence(one.licence),
    )
