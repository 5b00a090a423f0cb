"""eth_getProof answers: others' verified by us, ours verified by us and by EIP-1186's plain walk."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import rlp

from ledger import _native
from ledger.errors import UntrustedError
from tests.native_chain.native_city import ZERO, City

EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
EMPTY_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")


def hexed(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def walk(root: bytes, key: bytes, proof: list[bytes]) -> bytes | None:
    """EIP-1186 in its plainest form: the reference our verifier is compared with."""
    if not proof:
        return None
    path, wanted, rest = key.hex(), root, list(proof)
    while True:
        node = rlp.decode(rest.pop(0)) if isinstance(wanted, bytes) else wanted
        if len(node) == 17:
            if not path:
                return bytes(node[16])
            wanted, path = node[int(path[0], 16)], path[1:]
        else:
            flag = node[0].hex()
            part = flag[1:] if flag[0] in "13" else flag[2:]
            if not path.startswith(part):
                return None
            wanted, path = node[1], path[len(part) :]
            if flag[0] in "23":
                return None if path else bytes(wanted)
        if wanted == b"":
            return None


def test_the_answers_of_execution_apis_verify(vectors: Path) -> None:
    folder = vectors / "eth_getProof-execution-apis" / "tests"
    blocks = []
    data = (folder / "chain.rlp").read_bytes()
    while data:
        block, end = rlp.codec.consume_item(data, 0)[0], rlp.codec.consume_length_prefix(data, 0)
        blocks.append(block)
        data = data[end[3] + end[2] :]
    root = next(block[0][3] for block in blocks if int.from_bytes(block[0][8]) == 54)
    answers = [
        json.loads(line[3:])["result"]
        for path in sorted((folder / "eth_getProof").glob("*.io"))
        for line in path.read_text().splitlines()
        if line.startswith("<<")
    ]
    assert len(answers) == 4
    for answer in answers:
        nodes = [hexed(node) for node in answer["accountProof"]]
        account = _native.verify_account(root, hexed(answer["address"]), nodes)
        assert account == {
            "nonce": int(answer["nonce"], 16),
            "balance": int(answer["balance"], 16),
            "code_hash": hexed(answer["codeHash"]),
            "storage_hash": hexed(answer["storageHash"]),
        }
        for slot in answer["storageProof"]:
            key = int(slot["key"], 16).to_bytes(32, "big")
            value = _native.verify_storage(account["storage_hash"], key, [hexed(node) for node in slot["proof"]])
            assert int.from_bytes(value) == int(slot["value"], 16)


@pytest.fixture(scope="module")
def city() -> City:
    founded = City.found()
    for round_ in range(8):
        founded.block([founded.publish(place, f"{round_}-{place}")[1] for place in range(5)])
    return founded


def test_our_answers_verify_at_every_height_and_agree_with_the_plain_walk(city: City) -> None:
    directory = city.contracts["Directory"]
    slots = [number.to_bytes(32, "big") for number in range(6)]
    # The elements of a dynamic array at slot n live from keccak(n): absent at first, then present.
    slots += [
        (int.from_bytes(_native.keccak256(slot)) + place).to_bytes(32, "big")
        for slot in slots[:4]
        for place in range(12)
    ]
    present = 0
    for height in range(city.chain.height() + 1):
        answer = city.chain.proof(directory, slots, height)
        account = _native.verify_account(city.roots[height], directory, answer["account_proof"])
        assert account == {name: answer[name] for name in ("nonce", "balance", "code_hash", "storage_hash")}
        assert account == city.chain.account(directory, height)
        for entry in answer["storage"]:
            value = _native.verify_storage(account["storage_hash"], entry["key"], entry["proof"])
            assert value == entry["value"] == city.chain.storage(directory, entry["key"], height)
            plain = walk(account["storage_hash"], _native.keccak256(entry["key"]), entry["proof"])
            assert int.from_bytes(value) == (0 if plain is None else int.from_bytes(rlp.decode(plain)))
            present += value != ZERO
    assert present > 20


def test_an_absent_account_is_proven_absent(city: City) -> None:
    root = city.chain.head()["state_root"]
    for number in range(50):
        address = _native.keccak256(bytes([number]))[:20]
        answer = city.chain.proof(address, [ZERO])
        account = _native.verify_account(root, address, answer["account_proof"])
        assert account == {"nonce": 0, "balance": 0, "code_hash": EMPTY_CODE, "storage_hash": EMPTY_ROOT}
        assert answer["storage"] == [{"key": ZERO, "value": ZERO, "proof": []}]
        assert _native.verify_storage(EMPTY_ROOT, ZERO, []) == ZERO


def test_every_single_changed_bit_is_noticed(city: City) -> None:
    root = city.chain.head()["state_root"]
    address = city.contracts["Grants"]
    proof = city.chain.proof(address, [])["account_proof"]
    numbers = random.Random(1186)
    for _ in range(300):
        nodes = [bytearray(node) for node in proof]
        node = numbers.randrange(len(nodes))
        bit = numbers.randrange(len(nodes[node]) * 8)
        nodes[node][bit // 8] ^= 1 << bit % 8
        with pytest.raises(UntrustedError, match=r"\[state\."):
            _native.verify_account(root, address, [bytes(node) for node in nodes])


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("state.node-missing", lambda proof: proof[:-1]),
        ("state.node-missing", lambda proof: []),
        ("state.node-unused", lambda proof: [*proof, proof[0]]),
        ("state.node-hash", lambda proof: proof[::-1]),
        ("state.node-hash", lambda proof: [proof[0] + b"\0", *proof[1:]]),
        ("state.node-malformed", lambda proof: proof * 129),
    ],
)
def test_a_proof_holds_exactly_its_path(city: City, code: str, change: object) -> None:
    address = city.contracts["Grants"]
    proof = city.chain.proof(address, [])["account_proof"]
    with pytest.raises(UntrustedError) as raised:
        _native.verify_account(city.chain.head()["state_root"], address, change(proof))  # type: ignore[operator]
    assert raised.value.code == code


@pytest.mark.parametrize(
    "node",
    [
        b"",
        b"\x80",
        rlp.encode([b"\x20"]),
        rlp.encode([b"", b""]),
        rlp.encode([b"\x00" + bytes(32), b"\x01"]),
        rlp.encode([b"\x20" + bytes(31), b"\x01"]),
        rlp.encode([b"\x40" + bytes(32), b"\x01"]),
        rlp.encode([b"\x21" + bytes(32), b"\x01"]),
        rlp.encode([b"\x00", b"\x01" * 32]),
        rlp.encode([b""] * 16 + [b"value"]),
        rlp.encode([b""] * 18),
        rlp.encode([b"\x01" * 31] * 16 + [b""]),
        b"\xf8\x01\x80",
    ],
)
def test_a_malformed_node_under_its_own_hash_is_refused(node: bytes) -> None:
    with pytest.raises(UntrustedError) as raised:
        _native.verify_storage(_native.keccak256(node), ZERO, [node])
    assert raised.value.code == "state.node-malformed"


def test_a_leaf_must_hold_what_belongs_there() -> None:
    address = bytes(20)
    path = b"\x20" + _native.keccak256(address)
    for value in (
        b"",
        b"\x01",
        rlp.encode([1, 0, EMPTY_ROOT]),
        rlp.encode([1, 0, EMPTY_ROOT, EMPTY_CODE, b""]),
        rlp.encode([b"\x00", 0, EMPTY_ROOT, EMPTY_CODE]),
    ):
        node = rlp.encode([path, value])
        with pytest.raises(UntrustedError) as raised:
            _native.verify_account(_native.keccak256(node), address, [node])
        assert raised.value.code == "state.node-malformed"
    path = b"\x20" + _native.keccak256(ZERO)
    for value in (b"\x80", b"\x00", b"\x81\x05", b"\xa1" + bytes([1]) * 33, b"\xc0", b"\x05\x05"):
        node = rlp.encode([path, value])
        with pytest.raises(UntrustedError) as raised:
            _native.verify_storage(_native.keccak256(node), ZERO, [node])
        assert raised.value.code == "state.node-malformed"
