"""Members come and go by vote while the city runs: a suspension acts at once, a new member catches up and joins in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import ProposalKind
from ledger.chain.bindings.proposals import encode_admit, encode_arguments
from ledger.errors import LedgerError, NotAllowedError
from ledger.keys import AccountSigner
from ledger.model import KeyRole, MemberStatus, Roles
from ledger.v1 import peer_pb2, peer_pb2_grpc
from node.compose import Node
from node.context import system_clock
from node.founding import found_member
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import decode_peers, encode_peers
from node.rpc.errors import from_rpc
from tests.node.core.city import CHAIN, LOG, City, found, make_plan, record
from tests.node.core.makers import eventually


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with City(found(tmp_path, 4)) as running:
        running.start()
        yield running


def decide(voters: list[Node], kind: ProposalKind, arguments: bytes) -> None:
    """Propose, let everybody vote yes, execute; then wait until every voter's own chain shows it."""
    consortium = voters[0].core.contracts.consortium
    expiry = system_clock() // 1_000 + 3_600
    voters[0].sender.send(consortium.address, consortium.encode_propose(kind, arguments, expiry))
    number = consortium.proposal_count()
    for voter in voters:
        voter.sender.send(consortium.address, consortium.encode_vote(number, True))
    done = voters[0].sender.send(consortium.address, consortium.encode_execute(number))
    for voter in voters:
        eventually(lambda voter=voter: voter.core.chain.head().height >= done.height)


def test_a_suspended_member_is_out_at_once_and_back_after_reinstatement(city: City) -> None:
    suspended, others = city[3], [city[0], city[1], city[2]]
    member = suspended.core.member
    assert len(city[0].core.rosters.current().others(others[0].core.member)) == 3
    decide(others, ProposalKind.SUSPEND, encode_arguments(ProposalKind.SUSPEND, member))
    for node in others:
        assert node.core.rosters.current().members[member].status is MemberStatus.SUSPENDED
        assert len(node.core.rosters.current().others(node.core.member)) == node.core.rosters.current().quorum == 2
    # Its transactions change nothing, its calls are refused by name, its log is witnessed by nobody.
    anchors = suspended.core.contracts.anchors
    calldata = anchors.encode_record(member, 1, bytes(32), [])
    with pytest.raises(NotAllowedError, match=r"auth\.suspended"):
        suspended.sender.send(anchors.address, calldata, timeout=180)
    account = suspended.core.keys[KeyRole.ACCOUNT]
    assert isinstance(account, AccountSigner)
    chain = others[0].core.chain
    raw = sign_transaction(
        account, chain_id=chain.chain_id, nonce=chain.nonce(account.address), to=anchors.address, data=calldata
    )
    with pytest.raises(NotAllowedError, match=r"tx\.not-member"):
        chain.submit(raw)
    stub = peer_pb2_grpc.BlockServiceStub(suspended.core.peers.channel(others[0].core.member))
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetFinality(peer_pb2.GetFinalityRequest(), timeout=180)
    assert from_rpc(caught.value).code == "auth.suspended"
    suspended.core.log.append_record(record(suspended, 1))
    published = suspended.publisher.publish_now(wait_witnessed_s=1.0)
    assert published is not None
    assert published.cosignatures == 0
    eventually(lambda: "auth.suspended" in {one.code for one in suspended.context.diagnose()})
    # The rest goes on with a quorum of its own.
    for node in others:
        index = node.core.log.append_record(record(node, 1))
        assert node.anchors.parts(index, 180).size > index
    decide(others, ProposalKind.REINSTATE, encode_arguments(ProposalKind.REINSTATE, member))
    index = suspended.core.log.append_record(record(suspended, 2))
    assert suspended.anchors.parts(index, 180).size > index
    eventually(lambda: all(one.severity == "ok" for one in suspended.context.diagnose()))


def test_a_new_member_joins_by_vote_catches_up_and_takes_part(city: City, tmp_path: Path) -> None:
    founding = found_member(
        tmp_path / "joiner", make_plan(5, "joiner"), random=os.urandom, now_ms=system_clock(), chain=CHAIN, log=LOG
    )
    voters = [city[number] for number in range(4)]
    index = voters[1].core.log.append_record(record(voters[1], 1))
    voters[1].anchors.parts(index, 180)
    body = founding.member
    keys = KeyRing(founding.folder / "keys", body.uscc, read_passphrase(founding.folder, "", {}))
    digest = voters[0].core.contracts.consortium.account_key_digest(body.uscc, body.account)
    account = keys[KeyRole.ACCOUNT]
    assert isinstance(account, AccountSigner)
    signature = account.sign_digest(digest)
    arguments = encode_admit(
        uscc=body.uscc,
        handle=body.handle,
        region=body.region,
        roles=Roles(0),
        account=body.account,
        validator=False,
        keys=body.keys,
        possession=signature[:64] + bytes([27 + signature[64]]),
    )
    decide(voters, ProposalKind.ADMIT, arguments)
    # The operators exchange addresses; what counts is on chain already.
    for folder in (*city.founded.folders, founding.folder):
        known = decode_peers((city.founded.folders[0] / "peers.json").read_bytes())
        together = {peer.uscc: peer for peer in (*known, founding.peer)}
        (folder / "peers.json").write_bytes(encode_peers(tuple(together.values())))
    (founding.folder / "genesis.json").write_bytes((city.founded.folders[0] / "genesis.json").read_bytes())
    joiner = Node.open(founding.folder, environ={})
    city.nodes[4] = joiner
    joiner.start()
    assert joiner.wait_open(180)
    assert eventually(lambda: joiner.core.rosters.current().members.get(body.uscc))
    index = joiner.core.log.append_record(record(joiner, 1))
    kept = joiner.anchors.parts(index, 180)
    assert kept.size > index
    # Others need its cosignature no less than each other's: five members, so four others and a quorum of three.
    assert joiner.core.rosters.current().quorum == 3
    eventually(lambda: all(one.severity == "ok" for one in joiner.context.diagnose()))
    for voter in voters:
        eventually(lambda voter=voter: body.uscc in {s.member for s in voter.core.tracker.states() if s.reachable})


def test_an_outsider_with_a_node_of_his_own_gets_nowhere(city: City, tmp_path: Path) -> None:
    founding = found_member(
        tmp_path / "outsider", make_plan(6, "outsider"), random=os.urandom, now_ms=system_clock(), chain=CHAIN, log=LOG
    )
    for name in ("genesis.json", "peers.json"):
        (founding.folder / name).write_bytes((city.founded.folders[0] / name).read_bytes())
    outsider = Node.open(founding.folder, environ={})
    city.nodes[5] = outsider
    outsider.start()
    height = city[0].core.chain.head().height
    eventually(lambda: outsider.orderer.loop.problem)
    assert "member.unknown" in {one.code for one in outsider.context.diagnose()}
    anchors = outsider.core.contracts.anchors
    with pytest.raises(LedgerError) as caught:
        outsider.sender.send(anchors.address, anchors.encode_record(founding.member.uscc, 1, bytes(32), []), timeout=5)
    assert caught.value.code in ("peer.unreachable", "peer.timeout")
    assert city[0].core.contracts.anchors.anchor(founding.member.uscc, height=height) is None
    assert outsider.core.chain.head().height == 0
