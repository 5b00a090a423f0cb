"""IssuingService: the licences this node's member issues, and their status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ledger.errors import ConflictError, FatalError, InvalidInputError, LedgerError
from ledger.events import LABEL
from ledger.identifiers import parse_licence_type
from ledger.licences.templates import template
from ledger.storage.licencerows import LicenceRow, State
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc
from node.licences.bundling import make_bundle
from node.licences.fetching import HOLDER
from node.licences.issuer import Issued, Issuer
from node.licences.making import VALID_FROM, VALID_UNTIL, Order, decode_order
from node.licences.restoring import restore
from node.licences.slips import MAX_SECONDS, MIN_SECONDS, make_slip
from node.rpc.auth import Call
from node.services import fields, licencewire

if TYPE_CHECKING:
    from node.context import NodeContext

#: Rows of a bulk issue that are signed and logged together.
CHUNK = 512
MAX_ERASED = 1_000
MAX_TOKENS = 32
MAX_WAIT_MS = 60_000
_STATES: tuple[State, ...] = ("valid", "suspended", "revoked", "superseded")


class IssuingService(licences_pb2_grpc.IssuingServiceServicer):
    """The department's own clerks and systems issue, change and find licences."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._issuer: Issuer = context.licences.issuer

    def Issue(self, request: pb.IssueLicenceRequest, call: Call) -> pb.IssuedLicence:
        """One licence; durable and on record when answered."""
        self._context.require_fresh_chain()
        order = _order(request, _label("request", request.request, 64))
        return licencewire.issued(_only(self._issuer.issue([order])))

    def IssueBulk(self, requests: Iterator[pb.IssueBulkRequest], call: Call) -> Iterator[pb.IssueBulkResponse]:
        """Rows in chunks; each answered in order, a refused one with its reason."""
        self._context.require_fresh_chain()
        batch = ""
        stream = iter(requests)
        while chunk := list(islice(stream, CHUNK)):
            call.recheck()
            if not batch:
                batch = _label("batch", chunk[0].batch, 48)
            yield from self._bulk(batch, chunk)

    def Suspend(self, request: pb.ChangeLicenceRequest, call: Call) -> pb.Licence:
        """Until it is resumed."""
        return self._change(request, "suspended")

    def Resume(self, request: pb.ChangeLicenceRequest, call: Call) -> pb.Licence:
        """End a suspension."""
        row = self._row(request.id, request.identifier)
        if row.state not in ("suspended", "valid"):
            raise ConflictError(
                "licence.state",
                f"a licence that is {row.state} cannot be resumed",
                hint="issue a new one",
                expected="suspended",
                actual=row.state,
            )
        return licencewire.licence(self._issuer.change(row.id, "valid", _reason(request.reason)))

    def Revoke(self, request: pb.ChangeLicenceRequest, call: Call) -> pb.Licence:
        """For good."""
        return self._change(request, "revoked")

    def Renew(self, request: pb.ReplaceLicenceRequest, call: Call) -> pb.IssuedLicence:
        """The next version with another validity."""
        self._context.require_fresh_chain()
        if set(request.fields) - {VALID_FROM, VALID_UNTIL} or VALID_UNTIL not in request.fields:
            raise fields.refuse(
                "fields", f"of a renewal are {VALID_UNTIL} and, where it does not begin today, {VALID_FROM}"
            )
        self._check_examined(request, {VALID_UNTIL})
        return self._replace(request, {VALID_FROM: "", **licencewire.given_fields(request.fields)})

    def Supersede(self, request: pb.ReplaceLicenceRequest, call: Call) -> pb.IssuedLicence:
        """The next version with other fields."""
        self._context.require_fresh_chain()
        if not request.fields:
            raise fields.refuse("fields", "are what changes: name at least one", hint="or renew the licence instead")
        self._check_examined(request, set(request.fields))
        return self._replace(request, licencewire.given_fields(request.fields))

    def _check_examined(self, request: pb.ReplaceLicenceRequest, changed: set[str]) -> None:
        """What a medical certificate has of its examination, and how long that lasts, only another one changes."""
        payload = self._context.licences.store.payload(self._row(request.id, request.identifier).id)
        form = None if payload is None else template(decode_order(payload.asked).template)
        if form is not None and form.examination and changed & {*form.examined, HOLDER, VALID_FROM, VALID_UNTIL}:
            raise InvalidInputError(
                "licence.examination-fixed",
                "finding, holder and validity of a medical certificate come from its examination",
                hint="make a new certificate of a newer examination: civicledger licence certify",
            )

    def Get(self, request: pb.GetLicenceRequest, call: Call) -> pb.IssuedLicence:
        """One licence with what is about its holder."""
        row = self._row(request.id, request.identifier)
        return licencewire.issued(Issued(row=row, payload=self._context.licences.store.payload(row.id)))

    def List(self, request: pb.ListLicencesRequest, call: Call) -> pb.ListLicencesResponse:
        """Licences in order of issue, without their holders."""
        type_ = parse_licence_type(request.type) if request.type else None
        state = next((state for state in _STATES if state == request.state), None)
        if request.state and state is None:
            raise fields.refuse("state", "is not one of " + ", ".join(_STATES), actual=ascii(request.state)[:40])
        size = fields.number("page_size", request.page_size, 0, fields.MAX_PAGE) or fields.DEFAULT_PAGE
        rows, token = self._context.licences.store.page(
            type_=type_, state=state, page_size=size, token=fields.token("page_token", request.page_token)
        )
        return pb.ListLicencesResponse(licences=[licencewire.licence(row) for row in rows], next_page_token=token.hex())

    def MakeSlip(self, request: pb.MakeSlipRequest, call: Call) -> pb.MakeSlipResponse:
        """A slip of a valid licence, on record when answered."""
        self._context.require_fresh_chain()
        if bool(request.recipient) != bool(request.matter):
            raise fields.refuse("recipient", "and matter go together", hint="give both for a copy, or neither")
        made = make_slip(
            self._context,
            self._row(request.id, request.identifier),
            seconds=fields.number("seconds", request.seconds, MIN_SECONDS, MAX_SECONDS),
            recipient=fields.optional_member("recipient", request.recipient) or "",
            matter=request.matter,
        )
        return pb.MakeSlipResponse(slip=made.text, ends_ms=made.ends_s * 1_000, log_index=made.log_index)

    def MakeBundle(self, request: pb.MakeLicenceBundleRequest, call: Call) -> pb.MakeLicenceBundleResponse:
        """A licence and what proves it to a stranger without a network."""
        if len(request.show) > licencewire.MAX_FIELDS:
            raise fields.refuse("show", f"has at most {licencewire.MAX_FIELDS} names", actual=len(request.show))
        bundle = make_bundle(
            self._context,
            self._row(request.id, request.identifier),
            show=[fields.text("show", name, limit=64) for name in request.show],
            timeout_s=fields.number("wait_ms", request.wait_ms, 0, MAX_WAIT_MS) / 1_000,
        )
        return pb.MakeLicenceBundleResponse(bundle=bundle)

    def PublishStatus(self, request: pb.PublishStatusRequest, call: Call) -> pb.PublishStatusResponse:
        """Publish every list now; answered when the heads are on chain."""
        licences = self._context.licences
        found = licences.publisher.publish()
        return pb.PublishStatusResponse(
            lists=[
                pb.StatusListVersion(
                    list=item.number,
                    version=item.version,
                    uri=licences.uri(item.number),
                    height=item.height,
                    made_ms=item.made_ms,
                    list_digest=item.list_digest,
                )
                for item in found
            ]
        )

    def RestoreStatus(self, request: pb.RestoreStatusRequest, call: Call) -> pb.RestoreStatusResponse:
        """Take over what was published after the copy that this store was put back from."""
        self._context.require_fresh_chain()
        if not 1 <= len(request.tokens) <= MAX_TOKENS:
            raise fields.refuse("tokens", f"are 1 to {MAX_TOKENS}", actual=len(request.tokens))
        done = restore(self._context, list(request.tokens))
        return pb.RestoreStatusResponse(
            lists=[
                pb.RestoredList(
                    list=item.number, version=item.version, changed=item.merged.changed, unknown=item.merged.unknown
                )
                for item in done
            ]
        )

    def Erase(self, request: pb.EraseLicencesRequest, call: Call) -> pb.EraseLicencesResponse:
        """Delete what is about holders, then say so on the trail."""
        if not 1 <= len(request.ids) <= MAX_ERASED:
            raise fields.refuse("ids", f"are 1 to {MAX_ERASED} in one request", actual=len(request.ids))
        if not LABEL.accepts(request.basis):
            raise fields.refuse("basis", f"is not: {LABEL.meaning}", hint='a code of the law, such as "PIPL/47"')
        names = list(dict.fromkeys(_id(name) for name in request.ids))
        return pb.EraseLicencesResponse(count=self._issuer.erase(names, request.basis))

    # --- inside -------------------------------------------------------------------------------------------------------
    def _bulk(self, batch: str, chunk: Iterable[pb.IssueBulkRequest]) -> Iterator[pb.IssueBulkResponse]:
        answers: dict[int, pb.IssueBulkResponse] = {}
        orders: list[tuple[int, Order]] = []
        rows = list(chunk)
        for place, request in enumerate(rows):
            try:
                if request.licence.request:
                    raise fields.refuse("request", "stays empty in a batch: it is made of the batch id and the row")
                row = fields.number("row", request.row, 1, 2**53 - 1)
                orders.append((place, _order(request.licence, f"{batch}#{row}")))
            except LedgerError as error:
                answers[place] = _refused(request.row, error)
        done = self._issuer.issue([order for _, order in orders])
        for (place, _), answer in zip(orders, done, strict=True):
            number = rows[place].row
            answers[place] = (
                _refused(number, answer)
                if isinstance(answer, LedgerError)
                else pb.IssueBulkResponse(row=number, issued=licencewire.issued(answer))
            )
        for place in range(len(rows)):
            yield answers[place]

    def _change(self, request: pb.ChangeLicenceRequest, state: State) -> pb.Licence:
        row = self._row(request.id, request.identifier)
        return licencewire.licence(self._issuer.change(row.id, state, _reason(request.reason)))

    def _replace(self, request: pb.ReplaceLicenceRequest, changed: Mapping[str, str]) -> pb.IssuedLicence:
        row = self._row(request.id, request.identifier)
        key = fields.json_object("holder_key", request.holder_key, required=False, limit=licencewire.MAX_KEY)

        def next_version(before: Order) -> Order:
            return replace(before, fields={**before.fields, **changed}, holder_key=key or before.holder_key)

        return licencewire.issued(self._issuer.replace(row.id, next_version, _label("request", request.request, 64)))

    def _row(self, identity: bytes, identifier: str) -> LicenceRow:
        store = self._context.licences.store
        if identifier:
            found = store.of_identifier(fields.text("identifier", identifier, limit=128))
            return found if found is not None else store.require(b"")
        return store.require(_id(identity))


def _order(request: pb.IssueLicenceRequest, name: str) -> Order:
    key = fields.json_object("holder_key", request.holder_key, required=False, limit=licencewire.MAX_KEY)
    return Order(
        request=name,
        type=parse_licence_type(request.type),
        template=template(request.template).id,
        fields=licencewire.given_fields(request.fields),
        holder_key=key or None,
        serial=fields.text("serial", request.serial, limit=64, required=False),
    )


def _only(answers: list[Issued | LedgerError]) -> Issued:
    answer = answers[0]
    if isinstance(answer, LedgerError):
        raise answer
    return answer


def _refused(row: int, error: LedgerError) -> pb.IssueBulkResponse:
    if isinstance(error, FatalError):
        raise error
    return pb.IssueBulkResponse(row=row, code=error.code, message=error.message, hint=error.hint)


def _id(data: bytes) -> bytes:
    if len(data) != 16:
        raise fields.refuse("id", f"needs 16 bytes, not {len(data)}", hint="or give the identifier instead")
    return bytes(data)


def _label(field: str, value: str, limit: int) -> str:
    if len(value) > limit or not LABEL.accepts(value):
        raise fields.refuse(
            field, f"is not: {LABEL.meaning}", hint="choose it once and repeat it when you repeat the call"
        )
    return value


def _reason(value: str) -> str:
    if not LABEL.accepts(value):
        raise fields.refuse("reason", f"is not: {LABEL.meaning}", hint="a code of your list of reasons, not free text")
    return value
