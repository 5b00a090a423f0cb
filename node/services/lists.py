"""ListService: the three lists (责任清单, 需求清单, 负面清单) and the loop between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chain.bindings import decode_events
from ledger.directory.deadlines import due
from ledger.directory.lists import ListEntry, ListName, item_digest
from ledger.errors import FatalError, InvalidInputError, NotFoundError
from ledger.events import TITLE
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from node.documents import Documents, matter_bytes32
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

_LISTS = tuple(name.value for name in ListName)
_ADDED = frozenset({"ResponsibilityAdded", "DemandAdded", "NegativeAdded"})
_SCAN = 100


class ListService(department_pb2_grpc.ListServiceServicer):
    """What departments must supply, need, and do not share."""

    def __init__(self, context: NodeContext, documents: Documents) -> None:
        self._context = context
        self._documents = documents

    def Add(self, request: department_pb2.AddListEntryRequest, call: Call) -> department_pb2.AddListEntryResponse:
        """Enter an item. A demand without a time is due after the working days the configuration gives an answer."""
        asked = request.entry
        name = ListName(fields.word("list", asked.list, _LISTS))
        item = asked.item
        if not TITLE.accepts(item):
            raise fields.refuse("item", f"is not {TITLE.meaning}", actual=ascii(item)[:80])
        digest = item_digest(item)
        target = fields.optional_member("target", asked.target)
        basis = fields.optional_id32("basis_digest", asked.basis_digest) or bytes(32)
        at = fields.number("due", asked.due, 0, 2**40)
        directory = self._context.contracts.directory
        if name is ListName.RESPONSIBILITY:
            calldata = directory.encode_add_responsibility(target or self._context.member, digest, basis, at)
        elif name is ListName.DEMAND:
            at = at or due(self._context.clock() // 1000, self._context.config.deadlines.answer)[0]
            matter = matter_bytes32(fields.matter(asked.matter))
            calldata = directory.encode_add_demand(target or "", digest, matter, at)
        else:
            calldata = directory.encode_add_negative(digest, basis)
        self._documents.keep(digest, item.encode())
        outcome = self._context.sender.send(directory.address, calldata)
        identity = b""
        for event in decode_events(outcome.receipt):
            if event.name in _ADDED:
                identity = event.args["id"]
        entry = directory.entry(name, identity) if identity else None
        if entry is None:
            raise FatalError("chain.no-event", "the entry's transaction left no event", hint="civicledger doctor")
        trail.write(self._context, "list.added", {"list": name.value, "entry": identity.hex(), "item": item})
        return department_pb2.AddListEntryResponse(entry=self._show(entry), transaction=translate.transaction(outcome))

    def Answer(self, request: department_pb2.AnswerListEntryRequest, call: Call) -> types_pb2.TransactionResult:
        """Answer a demand by a dataset or from the negative list, or close a responsibility by a dataset."""
        name = ListName(fields.word("list", request.list, _LISTS))
        identity = fields.id32("id", request.id)
        dataset = fields.optional_id32("dataset", request.dataset)
        negative = fields.optional_id32("negative", request.negative)
        if (dataset is None) == (negative is None):
            raise fields.refuse("dataset", "or negative: exactly one of them answers an entry")
        directory = self._context.contracts.directory
        if directory.entry(name, identity) is None:
            raise NotFoundError(
                "list.unknown", f"the {name.value} list has no such entry", hint="civicledger list", actual=identity
            )
        if dataset is not None and directory.dataset(dataset) is None:
            raise NotFoundError(
                "dataset.unknown", "no such dataset is on the chain", hint="civicledger dataset list", actual=dataset
            )
        if name is ListName.DEMAND and dataset is not None:
            calldata = directory.encode_match_demand(identity, dataset)
        elif name is ListName.DEMAND and negative is not None:
            calldata = directory.encode_answer_demand(identity, negative)
        elif name is ListName.RESPONSIBILITY and dataset is not None:
            calldata = directory.encode_fulfil_responsibility(identity, dataset)
        else:
            raise InvalidInputError(
                "list.kind",
                f"an entry of the {name.value} list is not answered like this",
                hint="a demand takes a dataset or a negative entry, a responsibility a dataset",
            )
        outcome = self._context.sender.send(directory.address, calldata)
        trail.write(self._context, "list.answered", {"list": name.value, "entry": identity.hex()})
        return translate.transaction(outcome)

    def List(self, request: department_pb2.ListEntriesRequest, call: Call) -> department_pb2.ListEntriesResponse:
        """Entries of a list in the order they were added; of one member, if asked for."""
        name = ListName(fields.word("list", request.list, _LISTS))
        member = fields.optional_member("member", request.member)
        page = fields.page(request.page_size, request.page_token)
        directory = self._context.contracts.directory
        found: list[ListEntry] = []
        place, total = page.start, directory.list_counts()[name]
        while place < total and len(found) < page.size:
            for entry in directory.entries(name, place, _SCAN):
                place += 1
                if member is None or member in (entry.member, entry.target):
                    found.append(entry)
                if len(found) == page.size:
                    break
        if call.caller.own:
            self._documents.fetch_items(name.value, found)
        return department_pb2.ListEntriesResponse(
            entries=[self._show(entry) for entry in found], next_page_token=str(place) if place < total else ""
        )

    def _show(self, entry: ListEntry) -> department_pb2.ListEntry:
        item = self._documents.held(entry.item_digest).decode()
        return translate.list_entry(entry, item, self._context.clock() // 1000)
