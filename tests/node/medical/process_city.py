"""Hospitals of two regions as real processes: three of a city, one of a partner city whose node reaches them through
the city's gateway alone, each region's commission, and that gateway."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import msgspec
from gateway_town import Town, make_gateway
from medical_city import ROOT, WAIT_S, eventually

from ledger._native import LogReader
from ledger.codec import decode_record
from ledger.medical.rules import starting_rules
from ledger.model import Record, Roles
from ledger.v1 import keeping_pb2, keeping_pb2_grpc, node_pb2, node_pb2_grpc, reports_pb2, reports_pb2_grpc
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from ledger.v1 import medicalrules_pb2 as rules_pb
from ledger.v1.medicalrules_pb2_grpc import MedicalRulesServiceStub
from node.city.ports import free_ports
from node.city.roster import demo_uscc
from node.config import ChainSection, LogSection, encode_config, load_config
from node.founding import Founding, MemberPlan, found_city, found_member
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import CHANNEL_OPTIONS
from node.identity.tls import certificate_name, channel_credentials
from tests.ledger.medical.bundles import BLOOD_COUNT, Person, encode, panel

HOME, PARTNER = "310000", "330100"
#: handle -> (region, roles). The commissions assess as well, which spares two processes.
MEMBERS = {
    "health": (HOME, Roles.HEALTH | Roles.QUALITY),
    "partner": (PARTNER, Roles.HEALTH),
    "east": (HOME, Roles.HOSPITAL),
    "west": (HOME, Roles.HOSPITAL),
    "north": (HOME, Roles.HOSPITAL),
    "south": (PARTNER, Roles.HOSPITAL),
}
HOSPITALS = ("east", "west", "north", "south")
USCC = {handle: demo_uscc(region, number) for number, (handle, (region, _)) in enumerate(MEMBERS.items(), start=401)}
ITEMS = ("haemoglobin", "rbc", "platelets", "wbc")
MEASURED = tuple(one for one in BLOOD_COUNT if one.code in ("718-7", "789-8", "777-3", "6690-2"))
DAY_S = 86_400
CALL_S = 180
TOKEN = "token-of-an-order-system"


@dataclass(slots=True, kw_only=True)
class ProcessCity:
    """The processes by handle, and clients with their members' own identities."""

    folder: Path
    foundings: dict[str, Founding]
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    channels: dict[str, grpc.Channel] = field(default_factory=dict)
    gateway: Town | None = None

    # --- processes ----------------------------------------------------------------------------------------------------

    def launch(self, handle: str, plan: Path | None = None) -> None:
        """Start a node; with a plan one that dies by it."""
        folder = self.foundings[handle].folder
        program = ["-m", "node.daemon"] if plan is None else [str(Path(__file__).with_name("deadly_node.py"))]
        with (folder / "output.log").open("ab") as log:
            self.processes[handle] = subprocess.Popen(
                [sys.executable, *program, str(folder), *([str(plan)] if plan else [])],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            )

    def serving(self, handle: str) -> None:
        """Wait until a started node's services answer."""
        output = self.processes[handle].stdout
        assert output is not None
        for line in output:
            if json.loads(line)["event"] == "serving":
                return
        raise AssertionError((self.foundings[handle].folder / "output.log").read_text("utf-8")[-3_000:])

    def signal(self, handle: str, number: signal.Signals) -> None:
        """Send a signal to a node's process."""
        self.processes[handle].send_signal(number)

    def stop(self) -> None:
        """End every process: those that do not drain in time are killed."""
        for channel in self.channels.values():
            channel.close()
        if self.gateway is not None:
            self.gateway.stop_gateway()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    # --- clients ------------------------------------------------------------------------------------------------------

    def channel(self, handle: str) -> grpc.Channel:
        """A channel to a node as its own member's system has one."""
        if handle not in self.channels:
            founding = self.foundings[handle]
            keys = KeyRing(founding.folder / "keys", USCC[handle], read_passphrase(founding.folder, "", {}))
            name = ("grpc.ssl_target_name_override", certificate_name(USCC[handle]))
            self.channels[handle] = grpc.secure_channel(
                founding.peer.grpc,
                channel_credentials(keys.identity, founding.peer.certificate),
                options=[*CHANNEL_OPTIONS, name],
            )
        return self.channels[handle]

    def service(self, handle: str) -> rpc.MedicalServiceStub:
        """A hospital's medical service."""
        return rpc.MedicalServiceStub(self.channel(handle))

    def ingest(self, at: str, person: Person, number: str, **changes: Any) -> bytes:
        """A report as the hospital's system sends it; the report's id."""
        now_s = time.time_ns() // 1_000_000_000
        times = {"taken_s": now_s - DAY_S, "issued_s": now_s - DAY_S + 7_200} | changes
        data = encode(panel(MEASURED, person=person, institution=USCC[at], number=number, **times))
        stub = reports_pb2_grpc.ReportServiceStub(self.channel(at))
        taken = stub.Ingest(reports_pb2.IngestReportRequest(fhir=data), timeout=CALL_S)
        assert taken.state in ("offered", "corrected"), taken
        return bytes(taken.report)

    def withdraw(self, at: str, report: bytes) -> None:
        """A report was wrong."""
        request = reports_pb2.WithdrawReportRequest(report=report, reason="wrong-patient")
        reports_pb2_grpc.ReportServiceStub(self.channel(at)).Withdraw(request, timeout=CALL_S)

    def forbid(self, at: str, person: Person, *, permit: bool = False) -> None:
        """A patient forbids (or allows) that others are shown anything."""
        request = keeping_pb2.ChangeConsentRequest(patient=f"urn:hospital:patients|{person.local}", permit=permit)
        keeping_pb2_grpc.KeepingServiceStub(self.channel(at)).ChangeConsent(request, timeout=CALL_S)

    def reachable(self, at: str, person: Person) -> None:
        """Keep where a patient is told, who has a result at the hospital."""
        request = keeping_pb2.SetContactRequest(
            patient=f"urn:hospital:patients|{person.local}", phone="+8613800000017", language="en"
        )
        keeping_pb2_grpc.KeepingServiceStub(self.channel(at)).SetContact(request, timeout=CALL_S)

    def messages(self, at: str) -> list[str]:
        """The texts of all messages to patients that a hospital wrote."""
        files = load_config(self.foundings[at].folder).medical_folder.glob("notices/*.json")
        return [json.loads(file.read_bytes())["text"] for file in files]

    def search(self, at: str, person: Person, deadline_ms: int = 60_000) -> pb.SearchResultsResponse:
        """A search, by default with a deadline that no slow machine meets."""
        request = pb.SearchResultsRequest(
            identity=f"ric:{person.identity}", purpose="treatment", course="chronic", deadline_ms=deadline_ms
        )
        return self.service(at).Search(request, timeout=CALL_S)

    def found(self, at: str, person: Person) -> list[pb.FoundReport]:
        """What a search finds, nobody being absent."""
        answer = self.search(at, person)
        assert not answer.absent, answer.absent
        return list(answer.reports)

    def open(self, at: str, provider: str, report: bytes, version: int = 1, nonce: bytes = b"") -> pb.OpenedReport:
        """Open a report of another hospital."""
        request = pb.OpenReportRequest(
            institution=USCC[provider],
            report=report,
            version=version,
            purpose="treatment",
            course="chronic",
            nonce=nonce,
        )
        return self.service(at).Open(request, timeout=CALL_S)

    def decide(self, at: str, opening: bytes, kind: str, *places: int, reason: str = "") -> pb.MedicalStep:
        """Decide on items of an opened report."""
        request = pb.DecideRequest(opening=opening, kind=kind, places=places, reason=reason)
        return self.service(at).Decide(request, timeout=CALL_S)

    # --- what an auditor reads ----------------------------------------------------------------------------------------

    def records(self, handle: str, *types: str, report: bytes | None = None) -> list[Record]:
        """The records of these types in a hospital's log, from its files alone."""
        stub = node_pb2_grpc.StatusServiceStub(self.channel(handle))
        status = stub.GetStatus(node_pb2.GetStatusRequest(), timeout=CALL_S)
        entries = LogReader.open(str(self.foundings[handle].folder / "log"), status.log_size).read(0, status.log_size)
        found = [decode_record(entry) for entry in entries]
        return [
            record
            for record in found
            if record.type in types and (report is None or record.body["report"] == report.hex())
        ]


def found_all(folder: Path) -> ProcessCity:
    """Folders of all members; the first commission orders the chain."""
    ports: Sequence[int] = free_ports(3 * len(MEMBERS))
    now_ms = time.time_ns() // 1_000_000
    foundings = {}
    for number, (handle, (region, roles)) in enumerate(MEMBERS.items()):
        grpc_port, https_port, local_port = ports[3 * number : 3 * number + 3]
        plan = MemberPlan(
            uscc=USCC[handle],
            name=f"演示 {handle}",
            handle=handle,
            region=region,
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
            chain=ChainSection(block_interval_ms=50, heartbeat_interval=5),
            log=LogSection(anchor_interval_ms=60_000),
        )
    found_city(
        tuple(foundings.values()), chain_id=620_331, region=HOME, time_ms=now_ms - 60_000, sequencer=USCC["health"]
    )
    east, north, south = (foundings[handle].folder for handle in ("east", "north", "south"))
    change(north, notices="file", quiet_from="00:00", quiet_until="00:00")
    change(east, order_token_file="orders", order_deadline_ms=60_000)
    (east / "orders").write_text(TOKEN)
    city = ProcessCity(folder=folder, foundings=foundings)
    city.gateway = make_gateway(city, folder / "gateway")  # type: ignore[arg-type]
    change(south, gateway=f"https://localhost:{city.gateway.https_port}", gateway_ca="gateway.crt")
    (south / "gateway.crt").write_bytes(city.gateway.certificate)
    # There is no line from the partner's node to the city's hospitals.
    (dead,) = free_ports(1)
    peers = json.loads((south / "peers.json").read_bytes())
    for peer in peers["peers"]:
        if peer["uscc"] in [USCC[handle] for handle in ("east", "west", "north")]:
            peer["grpc"] = f"127.0.0.1:{dead}"
    (south / "peers.json").write_text(json.dumps(peers), "utf-8")
    return city


def change(folder: Path, **settings: str | int) -> None:
    """Change settings of the section ``[medical]`` of a node."""
    config = load_config(folder)
    medical = msgspec.structs.replace(config.medical, **settings)
    (folder / "node.toml").write_bytes(encode_config(msgspec.structs.replace(config, medical=medical)))


def govern(city: ProcessCity) -> None:
    """Each region's rules and hospitals, one label assessed by the home commission, and an agreement about it."""
    now_s = time.time_ns() // 1_000_000_000
    home, partner = (MedicalRulesServiceStub(city.channel(handle)) for handle in ("health", "partner"))
    for commission, handles in ((home, ("east", "west", "north")), (partner, ("south",))):
        commission.AdoptRules(rules_pb.AdoptRulesRequest(file=starting_rules()), timeout=CALL_S)
        for handle in handles:
            commission.SetInstitution(rules_pb.SetInstitutionRequest(member=USCC[handle], level=3), timeout=CALL_S)
    opened = rules_pb.OpenRangeRequest(
        code="city-hr", label="市HR", quality=USCC["health"], valid_from=now_s - 400 * DAY_S
    )
    home.OpenRange(opened, timeout=CALL_S)
    entries = [
        rules_pb.EqaEntry(
            range="city-hr",
            item=item,
            institution=USCC[handle],
            scheme="sh-2026",
            round=1,
            passed=True,
            certificate_digest=hashlib.sha256(b"certificate").digest(),
            valid_from=now_s - 300 * DAY_S,
            valid_until=now_s + 60 * DAY_S,
        )
        for handle in HOSPITALS
        for item in ITEMS
    ]
    home.RecordEqas(rules_pb.RecordEqasRequest(entries=entries), timeout=CALL_S)
    proposal = rules_pb.ProposeAgreementRequest(range="city-hr", other=PARTNER, items=ITEMS)
    number = home.ProposeAgreement(proposal, timeout=CALL_S).agreement.number

    def accepted() -> bool:
        with contextlib.suppress(grpc.RpcError):
            partner.AcceptAgreement(rules_pb.AcceptAgreementRequest(number=number), timeout=CALL_S)
            return True
        return False

    eventually(accepted, "the partner's commission sees the proposal, and accepts it")


@contextlib.contextmanager
def running(folder: Path, plans: dict[str, Path]) -> Iterator[ProcessCity]:
    """The city, started and governed; the nodes named in ``plans`` die by theirs."""
    city = found_all(folder)
    try:
        for handle in MEMBERS:
            city.launch(handle, plans.get(handle))
        for handle in MEMBERS:
            city.serving(handle)
        assert city.gateway is not None
        city.gateway.start_gateway()
        govern(city)
        yield city
    finally:
        city.stop()


def settled(check: Callable[[], Any], what: str) -> Any:
    """As ``eventually``, where a call may fail on the way."""

    def tried() -> Any:
        with contextlib.suppress(grpc.RpcError, AssertionError):
            return check()
        return None

    return eventually(tried, what, WAIT_S)
