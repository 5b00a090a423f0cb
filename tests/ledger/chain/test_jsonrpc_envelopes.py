"""The envelope of JSON-RPC: what is none, ids, batches, transactions that go in together, notifications."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.devnet import CHAIN_ID, Devnet
from ledger.chain.engine import EmbeddedChain
from ledger.chain.jsonrpc import MAX_BATCH, MAX_BODY_BYTES, JsonRpc
from ledger.chain.mempool import Admission
from ledger.errors import UnavailableError

from .conftest import ask, raw_of


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[" * 9_000, -32700),
        (b"[" * 100_000, -32600),
        (b'"eth_chainId"', -32600),
        (b"5", -32600),
        (b"null", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_sign"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":""}', -32601),
        (b" " * (MAX_BODY_BYTES + 1), -32600),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_broken_envelope_gets_the_usual_code(rpc: JsonRpc, body: bytes, code: int) -> None:
    answer = json.loads(rpc.handle(body))
    assert answer["error"]["code"] == code
    assert answer["jsonrpc"] == "2.0"


def test_ids_come_back_and_params_may_be_left_out(rpc: JsonRpc) -> None:
    for id_ in (0, -5, "abc", None, 1.5):
        body = json.dumps({"jsonrpc": "2.0", "id": id_, "method": "eth_chainId"}).encode()
        assert json.loads(rpc.handle(body)) == {"jsonrpc": "2.0", "id": id_, "result": hex(CHAIN_ID)}


def test_a_batch_is_answered_in_order_and_bounded(rpc: JsonRpc) -> None:
    one = {"jsonrpc": "2.0", "method": "eth_chainId"}
    batch = [{**one, "id": 1}, 5, one, {**one, "id": 2, "method": "nope"}, {**one, "id": 3}]
    answers = json.loads(rpc.handle(json.dumps(batch).encode()))
    assert [answer["id"] for answer in answers] == [1, None, 2, 3]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32600, -32601, None]
    full = json.dumps([{**one, "id": n} for n in range(MAX_BATCH)]).encode()
    assert len(json.loads(rpc.handle(full))) == MAX_BATCH
    over = json.dumps([{**one, "id": n} for n in range(MAX_BATCH + 1)]).encode()
    assert json.loads(rpc.handle(over))["error"]["code"] == -32600


def test_transactions_of_a_batch_go_in_together_and_are_answered_as_alone(
    rpc: JsonRpc, devnet: Devnet, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = sign_transaction(
        devnet.members[1].account, chain_id=CHAIN_ID, nonce=0, to=b"\x0a" * 20, data=b"", gas=30_000
    )
    sent: list[list[object]] = [[raw_of(devnet, published)], ["0x1234"], ["0x" + used.hex()], [5], [], [], ["0xc0"]]
    alone = [ask(rpc, "eth_sendRawTransaction", *params) for params in sent]
    together: list[int] = []
    submit_many = EmbeddedChain.submit_many

    def counted(chain: EmbeddedChain, raws: Sequence[bytes]) -> list[Admission]:
        # Chains of other tests' cities go on.
        if chain is devnet.chain:
            together.append(len(raws))
        return submit_many(chain, raws)

    monkeypatch.setattr(EmbeddedChain, "submit_many", counted)
    send = {"jsonrpc": "2.0", "method": "eth_sendRawTransaction"}
    calls = [{**send, "id": 1, "params": params} for params in sent]
    # A notification is sent and not answered; another method in between parts what goes together.
    calls[5] = {**send, "params": sent[0]}
    batch = [*calls, {"jsonrpc": "2.0", "id": 2, "method": "eth_chainId"}, calls[0]]
    answers = json.loads(rpc.handle(json.dumps(batch).encode()))
    assert together == [5, 1]
    assert answers == [*alone[:5], alone[6], {"jsonrpc": "2.0", "id": 2, "result": hex(CHAIN_ID)}, alone[0]]

    def broken(chain: EmbeddedChain, raws: Sequence[bytes]) -> list[Admission]:
        if chain is not devnet.chain:
            return submit_many(chain, raws)
        raise UnavailableError("chain.stopped", "no more blocks")

    monkeypatch.setattr(EmbeddedChain, "submit_many", broken)
    answers = json.loads(rpc.handle(json.dumps(calls[:4]).encode()))
    assert [answer["error"].get("data", {}).get("code") for answer in answers] == ["chain.stopped"] * 3 + [None]

    def defect(chain: EmbeddedChain, raws: Sequence[bytes]) -> list[Admission]:
        if chain is not devnet.chain:
            return submit_many(chain, raws)
        raise RuntimeError("a defect")

    monkeypatch.setattr(EmbeddedChain, "submit_many", defect)
    answers = json.loads(rpc.handle(json.dumps(calls[:2]).encode()))
    assert [answer["error"]["code"] for answer in answers] == [-32603, -32603]


def test_notifications_get_no_answer(rpc: JsonRpc) -> None:
    one = {"jsonrpc": "2.0", "method": "eth_chainId"}
    assert rpc.handle(json.dumps(one).encode()) == b""
    assert rpc.handle(json.dumps([one, one]).encode()) == b""
