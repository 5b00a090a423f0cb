"""A small city of medicine in one process: three hospitals, the health commission and a quality centre, as real nodes.

Its other parts are those of ``medical_parts``: these tests are about what passes between hospitals.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
from medical_parts import DAY_S, HOSPITALS, ROLES, USCC, Kept, Parts, Rules, starting_rules

from ledger import codec
from ledger.errors import LedgerError
from ledger.medical.model import Category, Facts, OfferedReport
from ledger.model import Record
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from node.city.ports import free_ports
from node.compose import Node
from node.config import ChainSection, LogSection
from node.founding import Founding, MemberPlan, found_city, found_member
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import CHANNEL_OPTIONS
from node.identity.tls import Identity, certificate_name, channel_credentials
from node.medical.desk import road_of
from node.medical.dialogue import Dialogue
from node.rpc.errors import from_rpc
from tests.ledger.medical.bundles import BLOOD_COUNT, Measured, Person, encode, panel, resource

__all__ = ["DAY_S", "HOSPITALS", "ROLES", "USCC", "City", "Parts", "Rules"]

ROOT = Path(__file__).resolve().parents[3]
WAIT_S = 300.0


def eventually(check: Callable[[], Any], what: str, timeout: float = WAIT_S) -> Any:
    """The first truthy answer of ``check``; fails, naming ``what``, when the time is over."""
    deadline, pause = time.monotonic() + timeout, threading.Event()
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        pause.wait(0.02)
    return answer


@dataclass(slots=True, kw_only=True)
class City:
    """The nodes by handle, their parts, and clients of them."""

    foundings: dict[str, Founding]
    parts: dict[str, Parts]
    nodes: dict[str, Node] = field(default_factory=dict)
    channels: dict[str, grpc.Channel] = field(default_factory=dict)
    patients: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def patient(self) -> str:
        """The identity of a patient nobody has seen."""
        return f"31010119800101{next(self.patients):04d}"

    def report(self, at: str, identity: str, *items: str, taken_s: int = 0, status: str = "final") -> OfferedReport:
        """Keep a report of a patient at a hospital; its offer."""
        parts = self.parts[at]
        known = [parts.pseudonyms.find(pseudonym) for _, pseudonym in parts.pseudonyms.of(identity)]
        subject = next((one for one in known if one is not None), os.urandom(32))
        # As a hospital does that entered the patient last year: the older pseudonym alone.
        parts.pseudonyms.subjects[parts.pseudonyms.of(identity)[1][1]] = subject
        taken = taken_s or time.time_ns() // 1_000_000_000 - DAY_S
        rules = parts.rules.rules
        found = [one for one in map(rules.item, items or ("wbc", "haemoglobin")) if one]
        offer = OfferedReport(
            report=os.urandom(32),
            institution=USCC[at],
            category=Category.LABORATORY,
            status=status,
            issued_s=taken,
            facts=tuple(
                Facts(
                    place=place,
                    item=item.id,
                    state="mapped",
                    status="final",
                    taken_s=taken,
                    specimen=item.specimens[0] if item.specimens else None,
                    method=item.methods[0] if item.methods else None,
                )
                for place, item in enumerate(found)
            ),
            version=1,
            concluded=False,
        )
        parts.reports.rows[offer.report] = Kept(offer=offer, subject=subject, data=bundle(identity, offer))
        return offer

    def said_otherwise(self, at: str, offer: OfferedReport, place: int, **facts: Any) -> None:
        """The report at a hospital says other ``facts`` of one item than are offered of it."""
        changed = [replace(one, **facts) if one.place == place else one for one in offer.facts]
        reports = self.parts[at].reports
        kept = reports.rows[offer.report]
        data = bundle("P1", replace(offer, facts=tuple(changed)))
        reports.rows[offer.report] = replace(kept, data=data)

    def correct(self, at: str, report: bytes) -> None:
        """A new version of a report."""
        reports = self.parts[at].reports
        kept = reports.rows[report]
        offer = replace(kept.offer, version=kept.offer.version + 1, status="corrected")
        data = kept.data.replace(b'"status": "final"', b'"status": "corrected"', 1)
        assert data != kept.data
        reports.change(report, replace(kept, offer=offer, data=data), "corrected")

    def withdraw(self, at: str, report: bytes) -> None:
        """The report was entered in error."""
        reports = self.parts[at].reports
        reports.change(report, replace(reports.rows[report], withdrawn=True), "withdrawn")

    def start(self, handle: str) -> Node:
        """Open and start a node, with the parts it has in this city."""
        folder = self.foundings[handle].folder
        node = open_hospital(folder, self.parts[handle]) if self.parts else Node.open(folder, environ={})
        node.start()
        self.nodes[handle] = node
        return node

    def stop(self, handle: str) -> None:
        """Drain a node."""
        self.nodes.pop(handle).drain()

    def service(self, handle: str) -> rpc.MedicalServiceStub:
        """The medical service of a hospital, called by its own system."""
        return rpc.MedicalServiceStub(self.channel(handle))

    def channel(self, handle: str) -> grpc.Channel:
        """A channel to a node with its own member's identity."""
        if handle not in self.channels:
            founding = self.foundings[handle]
            identity: Identity = KeyRing(
                founding.folder / "keys", USCC[handle], read_passphrase(founding.folder, "", {})
            ).identity
            name = ("grpc.ssl_target_name_override", certificate_name(founding.peer.uscc))
            self.channels[handle] = grpc.secure_channel(
                founding.peer.grpc,
                channel_credentials(identity, founding.peer.certificate),
                options=[*CHANNEL_OPTIONS, name],
            )
        return self.channels[handle]

    # --- short ways -------------------------------------------------------------------------------------------------

    def search(self, at: str, identity: str, **changes: Any) -> pb.SearchResultsResponse:
        """A search, with a deadline no slow machine meets."""
        values: dict[str, Any] = {"purpose": "treatment", "course": "chronic", "deadline_ms": 60_000} | changes
        return self.service(at).Search(pb.SearchResultsRequest(identity=identity, **values), timeout=180)

    def open(self, at: str, provider: str, offer: OfferedReport, **changes: Any) -> pb.OpenedReport:
        """Open a report."""
        values: dict[str, Any] = {"version": offer.version, "purpose": "treatment", "course": "chronic"} | changes
        request = pb.OpenReportRequest(institution=USCC[provider], report=offer.report, **values)
        return self.service(at).Open(request, timeout=180)

    def decide(self, at: str, opening: bytes, kind: str = "recognise", **changes: Any) -> pb.MedicalStep:
        """Decide on items of an opened report."""
        return self.service(at).Decide(pb.DecideRequest(opening=opening, kind=kind, **changes), timeout=180)

    def records(self, handle: str, type_: str, report: bytes | None = None) -> list[Record]:
        """The records of a type in a hospital's log."""
        log = self.nodes[handle].context.log
        entries = [entry for entry in log.read(0, log.size) if json.loads(entry)["type"] == type_]
        found = [codec.decode_record(entry) for entry in entries]
        return [record for record in found if report is None or record.body["report"] == report.hex()]


def open_hospital(folder: Path, parts: Parts) -> Node:
    """Open a node with these parts."""
    node = Node.open(folder, environ={})
    parts.reports.told.clear()
    dialogue = Dialogue(
        context=node.context,
        steps=node.medical.steps,
        reports=parts.reports,
        pseudonyms=parts.pseudonyms,
        consents=parts.consents,
        notices=parts.notices,
        rules=parts.rules,
        road=road_of(node.context),
    )
    node.medical.converse(dialogue, lambda: node.gate.is_open, node._fatal)
    return node


def bundle(identity: str, offer: OfferedReport) -> bytes:
    """A report as its hospital received it, in FHIR: what the offer says of it, with values."""
    rules = starting_rules()
    items = [item for facts in offer.facts if (item := rules.item(facts.item or ""))]
    assert len(items) == len(offer.facts)
    known = {one.code: one for one in BLOOD_COUNT}
    made = panel(
        [
            known.get(item.loinc[0]) or Measured(code=item.loinc[0], value="4.60", unit=item.unit or "1")
            for item in items
        ],
        person=Person(local=identity, identity=""),
        institution=offer.institution,
        number=offer.report.hex(),
        taken_s=offer.facts[0].taken_s,
        issued_s=offer.issued_s,
        status=offer.status,
    )
    (codes,) = [one.codes for one in rules.specimens if one.id == offer.facts[0].specimen]
    resource(made, "Specimen")["type"] = {"coding": [{"system": codes[0][0], "code": codes[0][1]}]}
    for place, facts in enumerate(offer.facts):
        if facts.method is not None:
            resource(made, "Observation", place)["method"] = {"text": facts.method}
    return encode(made)


def refused(call: Callable[[], Any]) -> LedgerError:
    """The library's error of a call that must fail."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return from_rpc(error)
    raise AssertionError(f"the call was answered: {answer!r}")


def found(folder: Path) -> dict[str, Founding]:
    """Folders of all five members; the commission sequences."""
    ports = free_ports(3 * len(ROLES))
    now_ms = time.time_ns() // 1_000_000
    foundings = {}
    for number, (handle, roles) in enumerate(ROLES.items()):
        grpc_port, https_port, local_port = ports[3 * number : 3 * number + 3]
        plan = MemberPlan(
            uscc=USCC[handle],
            name=f"演示 {handle}",
            handle=handle,
            region="310000",
            roles=roles,
            grpc_port=grpc_port,
            https_port=https_port,
            local_port=local_port,
        )
        foundings[handle] = found_member(
            folder / handle,
            plan,
            random=os.urandom,
            now_ms=now_ms,
            chain=ChainSection(block_interval_ms=20, heartbeat_interval=2),
            log=LogSection(anchor_interval_ms=2_000),
        )
        # Public figures have what happened to the second, and not to the end of yesterday.
        settings = folder / handle / "node.toml"
        settings.write_text(
            settings.read_text("utf-8").replace("figures_interval = 86400", "figures_interval = 1"), "utf-8"
        )
    found_city(
        tuple(foundings.values()),
        chain_id=620_311,
        region="310000",
        time_ms=now_ms - 60_000,
        sequencer=USCC["health"],
    )
    return foundings


def start(folder: Path, *, whole: bool = False) -> City:
    """Found and start the city; ``whole``: with the nodes' own parts."""
    city = City(foundings=found(folder), parts={} if whole else {handle: Parts() for handle in ROLES})
    try:
        for handle in ROLES:
            city.start(handle)
        for handle, node in city.nodes.items():
            assert node.wait_open(WAIT_S), f"{handle} does not open: {node.gate.reason}"
        height = max(node.context.chain.head().height for node in city.nodes.values())
        for handle, node in city.nodes.items():
            eventually(lambda node=node: node.context.chain.head().height >= height, f"{handle} at height {height}")
    except BaseException:
        stop(city)
        raise
    return city


def stop(city: City) -> None:
    """Close the clients and drain the nodes."""
    for channel in city.channels.values():
        channel.close()
    threads = [threading.Thread(target=node.drain) for node in city.nodes.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
