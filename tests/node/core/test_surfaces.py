"""What a node answers over HTTPS and on its loopback port, good and bad."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator

import pytest

from ledger.evidence import merkle
from ledger.evidence.checkpoint import (
    ED25519_NOTE,
    Checkpoint,
    VKey,
    format_checkpoint,
    parse_checkpoint,
    parse_note,
    parse_proof,
    sign_note,
    verify_checkpoint,
)
from ledger.evidence.witness import format_request
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from node.compose import Node
from node.identity.peers import decode_peers
from node.identity.pinned import PinnedClient
from node.trail.witnessing import witness_keys
from node.web.https import MAX_ADD_CHECKPOINT
from node.web.local import MAX_RPC_BODY
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually

RECORDS = 300


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with City(found(tmp_path_factory.mktemp("surfaces"), 3)) as running:
        running.start()
        node = running[1]
        for number in range(RECORDS):
            node.core.log.append_record(record(node, number))
        published = node.publisher.publish_now(wait_witnessed_s=180)
        assert published is not None
        assert published.witnessed
        yield running


@pytest.fixture(scope="module")
def node(city: City) -> Node:
    return city[1]


@pytest.fixture
def client(city: City) -> Iterator[PinnedClient]:
    peers = {peer.uscc: peer for peer in decode_peers((city.founded.folders[0] / "peers.json").read_bytes())}
    one = PinnedClient(peers[city[1].core.member], 180)
    yield one
    one.close()


def test_the_checkpoint_verifies_with_keys_of_the_chain(city: City, node: Node, client: PinnedClient) -> None:
    answer = client.get("/checkpoint")
    roster = city[0].core.rosters.current()
    info = roster.members[node.core.member]
    log = VKey(name=info.origin, type=ED25519_NOTE, public=node.core.keys[KeyRole.LOG].public)
    witnesses = [key for other in roster.others(info.uscc) for key in witness_keys(roster, other)]
    witnessed = verify_checkpoint(answer.body, log, witnesses, roster.quorum)
    assert witnessed.checkpoint.size > RECORDS


def test_tiles_and_proofs_agree_with_the_checkpoint(node: Node, client: PinnedClient) -> None:
    checkpoint = parse_checkpoint(parse_note(client.get("/checkpoint").body).text)
    width = checkpoint.size - 256
    leaves = client.get("/tile/0/000").body + client.get(f"/tile/0/001.p/{width}").body
    hashes = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
    assert merkle.root(hashes) == checkpoint.root
    assert client.get("/tile/1/000.p/1").body == merkle.root(hashes[:256])
    inclusion = json.loads(client.get(f"/v1/proof/inclusion?index=7&size={checkpoint.size}").body)
    proof = parse_proof(inclusion["tlogProof"])
    assert proof.index == 7
    merkle.verify_inclusion(hashes[7], 7, checkpoint.size, checkpoint.root, proof.hashes)
    consistency = json.loads(client.get(f"/v1/proof/consistency?size1=256&size2={checkpoint.size}").body)
    assert consistency["size1"] == 256
    assert len(consistency["hashes"]) == len(node.core.log.prove_consistency(256, checkpoint.size))


def test_the_public_status_says_nothing_private(node: Node, client: PinnedClient) -> None:
    def witnessed() -> dict[str, object] | None:
        said = json.loads(client.get("/v1/status").body)
        return said if said["log_size"] == said["witnessed_size"] > RECORDS else None

    status = eventually(witnessed)
    assert status["member"] == node.core.member
    assert set(status) == {
        "member", "origin", "engine", "chain", "height", "head", "final_height", "view_age_ms", "log_size",
        "witnessed_size", "anchored_size", "version",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tile/0/001", 404),
        ("/tile/0/001.p/255", 404),
        ("/tile/0/000.p/256", 404),
        ("/tile/0/000.p/0", 404),
        ("/tile/0/000.p/01", 404),
        ("/tile/00/000", 404),
        ("/tile/0/x000/000", 404),
        ("/tile/0/0000", 404),
        ("/tile/64/000", 404),
        ("/tile/-1/000", 404),
        ("/tile/entries/000", 403),
        ("/tile/entries/000.p/0", 404),
        ("/mirror/zz/checkpoint", 400),
        (f"/mirror/{'00' * 32}/checkpoint", 404),
        (f"/mirror/{'00' * 32}/tile/0/000", 404),
        ("/tile/0/../../keys/log.pem", 404),
        ("/keys/log.pem", 404),
        ("/v1/proof/inclusion", 400),
        ("/v1/proof/inclusion?index=-1", 400),
        ("/v1/proof/inclusion?index=01", 400),
        ("/v1/proof/inclusion?index=1e3", 400),
        ("/v1/proof/inclusion?index=99999999999999999999", 400),
        ("/v1/proof/inclusion?index=0&size=0", 400),
        ("/v1/proof/inclusion?index=5&size=5", 400),
        ("/v1/proof/inclusion?index=5&size=9999999", 400),
        ("/v1/proof/consistency?size1=9&size2=8", 400),
        ("/v1/proof/consistency?size1=9", 400),
        ("/v1/proof/consistency?size1=1&size2=9999999", 400),
        ("/witness/zz/checkpoint", 400),
        (f"/witness/{'00' * 32}/checkpoint", 404),
        ("/add-checkpoint", 405),
    ],
)
def test_a_bad_path_or_number_is_refused(client: PinnedClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status == status
    if status != 405:
        error = json.loads(answer.body)
        assert error["code"]
        assert error["message"]


# --- the witness ------------------------------------------------------------------------------------------------------


class Log:
    """A member's log as a stranger to the node would keep it: leaves and the member's real log key."""

    def __init__(self, city: City) -> None:
        owner = city[2]
        self.origin = owner.core.log.origin
        self.signer = owner.core.keys[KeyRole.LOG]
        self.leaves = [hashlib.sha256(bytes([number])).digest() for number in range(64)]

    def note(self, size: int, *, origin: str | None = None, signer: object = None, root: bytes | None = None) -> bytes:
        head = Checkpoint(
            origin=origin or self.origin,
            size=size,
            root=(merkle.root(self.leaves[:size]) if size else merkle.EMPTY_ROOT) if root is None else root,
        )
        return sign_note(format_checkpoint(head), head.origin, signer or self.signer)  # type: ignore[arg-type]


def test_the_witness_answers_by_the_rules_of_tlog_witness(tmp_path_factory: pytest.TempPathFactory) -> None:
    with City(found(tmp_path_factory.mktemp("witness"), 3)) as city:
        # The owner of the log never runs, so this dialogue is the only one the witness has about it.
        city.nodes[2] = Node.open(city.founded.folders[2], environ={})
        log, witness = Log(city), Node.open(city.founded.folders[1], environ={})
        city.nodes[1] = witness
        witness.start()
        client = PinnedClient(witness.core.peers[witness.core.member], 180)
        stranger = Ed25519Signer(KeyRole.LOG, b"\x55" * 32)

        def post(old: int, note: bytes, proof: list[bytes] | None = None) -> tuple[int, bytes]:
            answer = client.post("/add-checkpoint", format_request(old, proof or [], note))
            return answer.status, answer.body

        def path(old: int, new: int) -> list[bytes]:
            return merkle.consistency_proof(log.leaves, old, new)

        assert post(0, log.note(5, origin="310000.nobody.civicledger/log"))[0] == 404
        own = city[1].core.log.origin
        assert post(0, log.note(5, origin=own))[0] == 404, "a node is no witness of its own log"
        assert post(0, log.note(5, signer=stranger))[0] == 403
        assert post(6, log.note(5))[0] == 400
        assert post(0, b"no note")[0] == 400
        assert post(3, log.note(5), path(3, 5)) == (409, b"0\n")
        assert post(0, log.note(5), [bytes(32)])[0] == 422
        assert post(0, log.note(0, root=bytes(32)))[0] == 422
        status, line = post(0, log.note(5))
        assert status == 200
        assert line.decode().startswith(f"— {witness.witness._name} ")
        assert post(5, log.note(5))[0] == 200, "the same size again is no fault"
        assert post(5, log.note(5, root=bytes(32)))[0] == 422
        assert post(0, log.note(9), path(5, 9)) == (409, b"5\n")
        assert post(5, log.note(9), path(4, 9))[0] == 422
        assert post(5, log.note(9), path(5, 9))[0] == 200
        assert post(9, log.note(8))[0] == 400
        digest = hashlib.sha256(log.origin.encode()).hexdigest()
        assert client.get(f"/witness/{digest}/checkpoint").body == log.note(9)
        assert client.post("/add-checkpoint", b"x" * (MAX_ADD_CHECKPOINT + 1)).status == 400
        text = witness.core.metrics.render().decode()
        assert 'civicledger_witness_requests_total{status="200"} 3.0' in text
        assert 'civicledger_witness_requests_total{status="409"} 2.0' in text
        # What was cosigned is remembered: after a restart the old size is still refused.
        client.close()
        city.stop(1)
        city.nodes[1] = witness = Node.open(city.founded.folders[1], environ={})
        witness.start()
        client = PinnedClient(witness.core.peers[witness.core.member], 180)
        assert post(5, log.note(8), path(5, 8)) == (409, b"9\n")
        client.close()


# --- the loopback port ------------------------------------------------------------------------------------------------


def local(node: Node, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", node.core.config.local.port, timeout=180)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_json_rpc_answers_programs_of_this_machine(node: Node) -> None:
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()
    status, body = local(node, "POST", "/", call)
    assert status == 200
    assert json.loads(body) == {"jsonrpc": "2.0", "id": 1, "result": hex(31_337)}
    assert local(node, "POST", "/", call, Origin="https://a.page")[0] == 400
    assert local(node, "POST", "/", call, Host="rebound.example:80")[0] == 400
    assert local(node, "POST", "/", b" " * (MAX_RPC_BODY + 1))[0] == 400
    assert local(node, "PUT", "/")[0] == 405
    assert local(node, "GET", "/nothing")[0] == 404


def test_health_and_metrics_say_what_is(node: Node) -> None:
    assert local(node, "GET", "/healthz") == (200, b"ok\n")
    eventually(lambda: node.anchors.anchored_size() == node.core.log.size)

    def scraped() -> dict[str, str] | None:
        status, body = local(node, "GET", "/metrics")
        assert status == 200
        found = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#"))
        return found if float(found["civicledger_peers_reachable"]) == 2 else None

    lines = eventually(scraped)
    assert float(lines["civicledger_log_size"]) == node.core.log.size > RECORDS
    assert float(lines["civicledger_anchor_lag_records"]) == 0
    assert float(lines["civicledger_chain_height"]) >= 1
    assert float(lines["civicledger_serving"]) == 1


def test_a_node_that_is_not_open_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with City(found(tmp_path_factory.mktemp("closed"), 3)) as city:
        city.nodes[1] = alone = Node.open(city.founded.folders[1], environ={})
        alone.start()
        status, body = local(alone, "GET", "/healthz")
        assert status == 503
        assert "not open yet" in json.loads(body)["reason"]
