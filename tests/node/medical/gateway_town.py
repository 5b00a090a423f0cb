"""A partner city's hospital that reaches the others only through a gateway: its node's settings, and the gateway as a
process that can be killed."""

from __future__ import annotations

import base64
import os
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from medical_city import DAY_S, ROOT, USCC, City, Rules, eventually

from ledger.evidence.carried import Carried
from ledger.evidence.envelope import Envelope, body_digest, sign_envelope
from ledger.medical.model import OfferedReport
from ledger.medical.standing import Agreement, Institution
from ledger.model import KeyRole
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import node_pb2, recognition_pb2
from node.city.ports import free_ports
from node.config import load_config
from node.forward import domain_of
from node.identity.keyfiles import key_file, write_key, write_passphrase
from node.identity.tls import client_context, make_named_certificate
from node.medical.sealing import ReplyKey

SERVICE = "/ledger.v1.MedicalPeerService/"
PARTNER, PARTNER_REGION = "east", "330100"
#: What the agreement of the two regions lists; the same range's label counts for nothing else.
AGREED = "wbc"


@dataclass(slots=True, kw_only=True)
class Town:
    """The clinic's city with the gateway in front of it."""

    city: City
    folder: Path
    grpc_port: int
    https_port: int
    #: A report of the partner's, opened by west while they reached each other.
    opened: Any = None
    process: subprocess.Popen[bytes] | None = None
    kept: dict[Path, bytes] = field(default_factory=dict)
    rules: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def certificate(self) -> bytes:
        return (self.folder / "tls.crt").read_bytes()

    def post(self, path: str, value: Any) -> tuple[int, Any]:
        """Status and JSON of the gateway's answer to a value, or to bytes as they are."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        connection = HTTPSConnection("localhost", self.https_port, context=context, timeout=180)
        try:
            body = value if isinstance(value, bytes) else msgspec.json.encode(value)
            connection.request("POST", path, body)
            answer = connection.getresponse()
            return answer.status, msgspec.json.decode(answer.read())
        finally:
            connection.close()

    def start_gateway(self) -> None:
        """Start the gateway's process, and wait until it has read the city."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        assert b"listening" in self.process.stdout.readline()
        eventually(self._reads, "the gateway reads the city")

    def stop_gateway(self) -> None:
        """As an operator ends it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            if self.process.stdout is not None:
                self.process.stdout.close()

    def kill_gateway(self) -> None:
        """As ``kill -9``."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _reads(self) -> bool:
        try:
            context = ssl.create_default_context(cadata=self.certificate.decode())
            connection = HTTPSConnection("localhost", self.https_port, context=context, timeout=60)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False


def make_gateway(city: City, folder: Path) -> Town:
    """The folder of a gateway whose home is the commission's node."""
    folder.mkdir()
    grpc_port, https_port = free_ports(2)
    home = city.foundings["health"].folder
    secret = b"\x11" * 32
    write_passphrase(folder / "passphrase", b"a passphrase of a test")
    write_key(key_file(folder, KeyRole.TLS), KeyRole.TLS, secret, b"a passphrase of a test")
    key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    now_ms = time.time_ns() // 1_000_000
    certificate = make_named_certificate(key, ("localhost",), now_ms, x509.random_serial_number())
    (folder / "tls.crt").write_bytes(certificate)
    for name in ("genesis.json", "peers.json"):
        (folder / name).write_bytes((home / name).read_bytes())
    member, local = city.foundings["health"].peer.uscc, load_config(home).local.port
    (folder / "gateway.toml").write_text(
        f'[grpc]\nport = {grpc_port}\n\n[https]\nport = {https_port}\n\n[home]\nmember = "{member}"\n'
        f'jsonrpc = "http://127.0.0.1:{local}/"\n\n[limits]\nburst = 10000\nrequests_per_second = 1000.0\n',
        "utf-8",
    )
    return Town(city=city, folder=folder, grpc_port=grpc_port, https_port=https_port)


def move_away(town: Town) -> None:
    """Make one hospital a partner city's: its region is another, its node and the other hospitals' do not reach each
    other, and its calls go through the gateway."""
    city = town.city
    city.stop(PARTNER)
    (dead,) = free_ports(1)
    for handle, lost in ((PARTNER, ("west", "north")), ("west", (PARTNER,)), ("north", (PARTNER,))):
        file = city.foundings[handle].folder / "peers.json"
        town.kept[file] = file.read_bytes()
        peers = msgspec.json.decode(town.kept[file])
        for peer in peers["peers"]:
            if peer["uscc"] in [USCC[name] for name in lost]:
                peer["grpc"] = f"127.0.0.1:{dead}"
        file.write_bytes(msgspec.json.encode(peers))
    folder = city.foundings[PARTNER].folder
    (folder / "gateway.crt").write_bytes(town.certificate)
    settings = folder / "node.toml"
    town.kept[settings] = settings.read_bytes()
    text = town.kept[settings].decode().replace('gateway = ""', f'gateway = "https://localhost:{town.https_port}"')
    settings.write_text(text.replace('gateway_ca = ""', 'gateway_ca = "gateway.crt"'), "utf-8")
    for handle, parts in city.parts.items():
        town.rules[handle] = parts.rules.region, parts.rules.versions, parts.rules.known
        _agree(parts.rules, PARTNER_REGION if handle == PARTNER else "310000")
    city.start(PARTNER)
    assert city.nodes[PARTNER].wait_open(300)


def move_back(town: Town) -> None:
    """As it was."""
    city = town.city
    city.stop(PARTNER)
    for file, data in town.kept.items():
        file.write_bytes(data)
    for handle, parts in city.parts.items():
        parts.rules.region, parts.rules.versions, parts.rules.known = town.rules[handle]
    city.start(PARTNER)
    assert city.nodes[PARTNER].wait_open(300)


def report(town: Town, at: str, who: str, *items: str) -> OfferedReport:
    """A report of a patient at a hospital of the city, whom its commission's pseudonyms find, as the partner asks."""
    offer = town.city.report(at, who, *items)
    parts = town.city.parts[at]
    subject = parts.reports.rows[offer.report].subject
    parts.pseudonyms.subjects[parts.pseudonyms.of(who, "310000")[0][1]] = subject
    return offer


def _agree(rules: Rules, region: str) -> None:
    known = rules.known
    # The city's own range, which counts in its region: elsewhere only by agreement.
    (own,) = known.ranges
    city_range = replace(own, code="city-hr", name="市HR")
    eqas = tuple(replace(one, range=city_range.code) for one in known.eqas)
    away = tuple(
        Institution(member=one.member, region=PARTNER_REGION, level=3) if one.member == USCC[PARTNER] else one
        for one in known.institutions
    )
    now_s = time.time_ns() // 1_000_000_000
    agreement = Agreement(
        range=city_range.code,
        item=AGREED,
        region_a="310000",
        region_b=PARTNER_REGION,
        from_s=now_s - 400 * DAY_S,
    )
    rules.region, rules.versions = region, {PARTNER_REGION: 7, "310000": 1}
    rules.known = replace(known, ranges=(city_range,), eqas=eqas, institutions=away, agreements=(agreement,))


def carried(clinic: City, *, signer: str = PARTNER, body: bytes | None = None, **changes: Any) -> Carried:
    """A search of west's results, carried."""
    context = clinic.nodes[signer].context
    message = pb.PeerSearchRequest(pseudonyms=[bytes(32)], purpose="treatment").SerializeToString()
    values: dict[str, Any] = {
        "chain": context.genesis_digest,
        "caller": USCC[signer],
        "target": USCC["west"],
        "method": SERVICE + "Search",
        "nonce": os.urandom(32),
        "expires": context.clock() + 30_000,
    } | changes
    data = recognition_pb2.SealedRequest(message=message, reply_key=ReplyKey().public).SerializeToString()
    data = data if body is None else body
    envelope = Envelope(body_digest=body_digest(data), **values)
    signature = sign_envelope(context.signers[KeyRole.ACCOUNT], domain_of(context), envelope)
    return Carried(envelope=envelope, body=data, signature=signature)


def decoded(data: bytes) -> bytes:
    """What stands in Base64 in an answer or a request."""
    value = msgspec.json.decode(data)
    rows = value.get("answers", value.get("envelopes", [value]))
    return b"".join(base64.b64decode(row.get("answer", row.get("body", ""))) for row in rows)


def at_the_door(clinic: City, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer of west's own door: whoever comes there, it judges by itself."""
    founding = clinic.foundings["west"]
    context = client_context(founding.peer.certificate)
    host, _, port = founding.peer.https.rpartition(":")
    connection = HTTPSConnection(host, int(port), context=context, timeout=180)
    try:
        connection.request("POST", "/v1/forward", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wired(call: Carried) -> node_pb2.Envelope:
    """A carried call as gRPC has it."""
    return node_pb2.Envelope(
        chain=call.envelope.chain,
        caller=call.envelope.caller,
        target=call.envelope.target,
        method=call.envelope.method,
        body=call.body,
        nonce=call.envelope.nonce,
        expires=call.envelope.expires,
        signature=call.signature,
    )
