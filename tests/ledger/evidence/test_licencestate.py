"""An issuer's accreditation and a status list's version, proven by storage proofs of our own chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts, Licences
from ledger.chain.devnet import CHAIN_ID, DevMember, dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.errors import ConflictError, InvalidInputError, LedgerError, UntrustedError
from ledger.evidence import licencestate as proven
from ledger.evidence.finality import decode_header
from ledger.evidence.pieces import ContractEvidence, LicenceEvidence, SlotProof, contract_evidence
from ledger.model import KeyRole
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store

ROOT = Path(__file__).resolve().parents[3]
T0_MS = 1_795_318_800_000
BODY, ISSUER, OTHER = 1, 2, 3
#: SHA-256 of the issuer's SPKI.
KEY = b"\x0b" * 32
URI, LIST, TOKEN = (hashlib.sha256(text).digest() for text in (b"uri", b"list", b"token"))


@dataclass(slots=True)
class Issuing:
    """A chain on which one member defines a type, another issues it and records a status list."""

    chain: EmbeddedChain
    contracts: Contracts
    members: tuple[DevMember, ...]
    now_ms: int = T0_MS

    @property
    def licences(self) -> Licences:
        return self.contracts.licences

    @property
    def code(self) -> str:
        return self.members[BODY].uscc + "001"

    @property
    def issuer(self) -> str:
        return self.members[ISSUER].uscc

    def send(self, who: int, data: bytes, *, wait_s: int = 1, to: bytes = b"") -> int:
        """A transaction that must succeed, in a block of its own; the time of that block, seconds."""
        account, to = self.members[who].account, to or self.licences.address
        raw = sign_transaction(
            account, chain_id=CHAIN_ID, nonce=self.chain.pending_nonce(account.address), to=to, data=data, gas=4_000_000
        )
        hash_ = self.chain.submit(raw)
        self.now_ms += 1_000 * wait_s
        self.chain.produce(self.now_ms)
        receipt = self.chain.receipt(hash_)
        assert receipt is not None
        assert receipt.succeeded
        return self.now_ms // 1_000

    def record(self, version: int, content: bytes = LIST, size: int = 250_000) -> int:
        data = self.licences.encode_record_list(
            self.code, 1, version, uri_digest=URI, list_digest=content, token_digest=TOKEN, inflated_bytes=size, bits=2
        )
        return self.send(ISSUER, data)

    def evidence(self, consortium: tuple[bytes, ...], licences: tuple[bytes, ...]) -> LicenceEvidence:
        native, height = self.chain.native, self.chain.head().height
        made = [
            contract_evidence(native.proof(address, list(slots), height=height), slots)
            for address, slots in (
                (self.contracts.consortium.address, consortium),
                (self.licences.address, licences),
            )
        ]
        return LicenceEvidence(consortium=made[0], licences=made[1])

    def prove_issuer(self, *numbers: int) -> LicenceEvidence:
        slots = proven.issuer_slots(self.code, self.issuer, numbers)
        return self.evidence(proven.issuer_consortium_slots(KEY), slots)

    def prove_list(self, version: int) -> LicenceEvidence:
        return self.evidence(proven.list_consortium_slots(), proven.list_slots(self.issuer, 1, version))

    @property
    def trusted(self) -> dict[str, bytes]:
        native, consortium = self.chain.native, self.contracts.consortium.address
        return {
            "consortium": consortium,
            "consortium_code_hash": native.account(consortium)["code_hash"],
            "licences_code_hash": native.account(self.licences.address)["code_hash"],
        }

    @property
    def root(self) -> bytes:
        block = self.chain.block(self.chain.head().height)
        assert block is not None
        return decode_header(block.header).state_root

    def read_issuer(self, evidence: LicenceEvidence, *numbers: int, **changes: object) -> proven.ProvenIssuer:
        asked = {"code": self.code, "member": self.issuer, "key": KEY, "numbers": numbers} | self.trusted
        return proven.read_issuer(evidence, self.root, **(asked | changes))  # type: ignore[arg-type]

    def read_list(self, evidence: LicenceEvidence, version: int, **changes: object) -> proven.ProvenList:
        asked = {"issuer": self.issuer, "number": 1, "version": version} | self.trusted
        return proven.read_list(evidence, self.root, **(asked | changes))  # type: ignore[arg-type]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Issuing]:
    members = dev_members()
    with Store.open(tmp_path / "store") as store:
        chain = EmbeddedChain.open(ChainStore(store), dev_genesis(members, time_ms=T0_MS))
        made = Issuing(chain=chain, contracts=Contracts.at(chain.call, contract_addresses()), members=members)
        consortium = made.contracts.consortium
        made.send(ISSUER, consortium.encode_rotate_key(KeyRole.ISSUER, KEY), to=consortium.address)
        made.send(BODY, made.licences.encode_define(made.code, b"\x01" * 32))
        yield made
        chain.close()


def accredit(city: Issuing, **times: int) -> int:
    data = city.licences.encode_accredit(city.code, city.issuer, basis_digest=b"\x02" * 32, **times)
    return city.send(BODY, data)


def end(city: Issuing, number: int, wait_s: int = 100) -> int:
    data = city.licences.encode_end_accreditation(city.code, city.issuer, number, reason_digest=b"\x03" * 32)
    return city.send(BODY, data, wait_s=wait_s)


def refused(call: object) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        call()  # type: ignore[operator]
    return caught.value


def test_the_bindings_tell_what_the_chain_has(city: Issuing) -> None:
    (only,) = city.licences.licence_types()
    assert only == city.licences.licence_type(city.code)
    assert (only.body, only.by, only.metadata_digest) == (
        city.members[BODY].uscc,
        city.members[BODY].uscc,
        b"\x01" * 32,
    )
    assert city.licences.licence_type(city.members[OTHER].uscc + "001") is None
    assert city.licences.accreditations(city.code, city.issuer) == ()
    first = accredit(city)
    ended = end(city, 1)
    accredit(city, valid_until=ended + 9_000)
    one, two = city.licences.accreditations(city.code, city.issuer)
    assert (one.number, one.valid_from, one.valid_until, one.ended_at) == (1, first, ended, ended)
    assert (one.by, one.ended_by, one.basis_digest) == (city.members[BODY].uscc, city.members[BODY].uscc, b"\x02" * 32)
    assert (two.number, two.valid_until, two.ended_by) == (2, ended + 9_000, "")
    assert one.covers(first)
    assert not one.covers(ended)
    assert city.licences.issuers(city.code) == (city.issuer,)
    for time_s, expected in (
        (first - 1, False),
        (first, True),
        (ended, False),
        (ended + 10, True),
        (ended + 9_000, False),
    ):
        assert city.licences.accredited_at(city.code, city.issuer, time_s) is expected
    assert city.licences.list_head(city.issuer, 1) is None
    times = [city.record(1), city.record(2, content=b"\x05" * 32)]
    head = city.licences.list_head(city.issuer, 1)
    assert head is not None
    versions = city.licences.list_versions(city.issuer, 1)
    assert (head.uri_digest, head.newest) == (URI, versions[-1])
    assert [entry.time for entry in versions] == times
    assert [(entry.version, entry.list_digest) for entry in versions] == [(1, LIST), (2, b"\x05" * 32)]
    assert city.licences.list_versions(city.issuer, 1, first=2) == versions[1:]
    assert city.licences.list_count(city.issuer) == 1
    assert only.issuable_at(first)
    withdrawn = city.send(BODY, city.licences.encode_withdraw(city.code, b"\x04" * 32))
    gone = city.licences.licence_type(city.code)
    assert gone is not None
    assert gone.issuable_at(withdrawn - 1)
    assert not gone.issuable_at(withdrawn)


def test_an_accreditation_is_proven_and_stays_so_after_its_end(city: Issuing) -> None:
    first = accredit(city)
    made = city.read_issuer(city.prove_issuer(1), 1)
    assert (made.key.member, made.key.role, made.withdrawn_at) == (city.issuer, KeyRole.ISSUER, 0)
    span = made.accredited_at(first)
    assert span is not None
    assert (span.number, span.valid_from, span.valid_until, span.by) == (1, first, 0, city.members[BODY].uscc)
    assert made.accredited_at(first - 1) is None
    ended = end(city, 1)
    accredit(city)
    withdrawn = city.send(BODY, city.licences.encode_withdraw(city.code, b"\x04" * 32), wait_s=50)
    later = city.read_issuer(city.prove_issuer(1, 2), 1, 2)
    assert later.withdrawn_at == withdrawn
    for time_s in range(first, withdrawn + 2):
        found = later.accredited_at(time_s)
        expected = city.licences.accredited_at(city.code, city.issuer, time_s)
        assert (found is not None) is expected, time_s
    assert city.read_issuer(city.prove_issuer(2), 2).accredited_at(ended - 1) is None, "only what was proven is judged"
    with pytest.raises(ValueError, match="seal"):
        replace(later, withdrawn_at=0)


def test_a_version_of_a_list_is_proven(city: Issuing) -> None:
    accredit(city)
    times = [city.record(1), city.record(2, content=b"\x05" * 32, size=300_000)]
    newest = city.read_list(city.prove_list(2), 2)
    assert (newest.uri_digest, newest.versions) == (URI, 2)
    head = city.licences.list_head(city.issuer, 1)
    assert head is not None
    assert newest.version == head.newest
    assert (newest.version.inflated_bytes, newest.version.bits, newest.version.time) == (300_000, 2, times[1])
    older = city.read_list(city.prove_list(1), 1)
    assert (older.version.list_digest, older.version.time, older.versions) == (LIST, times[0], 2)
    with pytest.raises(ValueError, match="seal"):
        replace(newest, versions=1)


def test_what_is_not_there_is_not_proven(city: Issuing) -> None:
    accredit(city)
    city.record(1)
    assert refused(lambda: city.read_issuer(city.prove_issuer(1, 2), 1, 2)).code == "state.accreditation"
    assert refused(lambda: city.read_list(city.prove_list(2), 2)).code == "state.status-list"
    unknown = city.members[OTHER].uscc + "009"
    slots = proven.issuer_slots(unknown, city.issuer, [])
    evidence = city.evidence(proven.issuer_consortium_slots(KEY), slots)
    assert refused(lambda: city.read_issuer(evidence, code=unknown)).code == "licence.unknown-type"
    for numbers in ((2, 1), (1, 1), (0,), tuple(range(1, 34))):
        assert refused(lambda n=numbers: city.read_issuer(city.prove_issuer(1), *n)).code == "state.slots"


def test_proofs_of_other_things_are_refused(city: Issuing) -> None:
    accredit(city)
    city.record(1)
    evidence, of_list = city.prove_issuer(1), city.prove_list(1)
    other = city.members[OTHER]
    (log,) = [material for role, material in city.members[ISSUER].founder.keys if role is KeyRole.LOG]
    assert refused(lambda: city.read_issuer(evidence, 1, member=other.uscc)).code == "state.issuer-key"
    assert refused(lambda: city.read_issuer(evidence, 1, key=b"\x08" * 32)).code == "state.slots"
    assert refused(lambda: city.read_issuer(evidence)).code == "state.slots", "a span nobody asked for"
    foreign = city.evidence(proven.issuer_consortium_slots(log), proven.issuer_slots(city.code, city.issuer, [1]))
    assert refused(lambda: city.read_issuer(foreign, 1, key=log)).code == "state.issuer-key"
    for name in ("consortium_code_hash", "licences_code_hash"):
        assert refused(lambda n=name: city.read_issuer(evidence, 1, **{n: b"\x09" * 32})).code == "state.code"
        assert refused(lambda n=name: city.read_list(of_list, 1, **{n: b"\x09" * 32})).code == "state.code"
    assert refused(lambda: city.read_list(of_list, 1, issuer=other.uscc)).code == "state.slots"
    assert refused(lambda: city.read_list(of_list, 1, number=2)).code == "state.slots"
    # The same slots under the root of an older state.
    root = city.root
    end(city, 1)
    assert city.root != root
    assert refused(lambda: city.read_issuer(evidence, 1)).code == "state.account"


def test_no_node_of_a_proof_may_be_changed_left_out_or_added(city: Issuing) -> None:
    accredit(city)
    city.record(1)
    cases = (
        (city.prove_issuer(1), lambda e: city.read_issuer(e, 1)),
        (city.prove_list(1), lambda e: city.read_list(e, 1)),
    )
    for evidence, read in cases:
        for part in ("consortium", "licences"):
            contract: ContractEvidence = getattr(evidence, part)
            for spoilt in _spoilt(contract):
                assert isinstance(
                    refused(lambda r=read, e=evidence, s=spoilt, p=part: r(replace(e, **{p: s}))), UntrustedError
                )


def _spoilt(contract: ContractEvidence) -> Iterator[ContractEvidence]:
    yield replace(contract, account=contract.account[:-1])
    yield replace(contract, account=(*contract.account, contract.account[-1]))
    yield replace(contract, storage=contract.storage[:-1])
    for place, slot in enumerate(contract.storage):
        node = slot.proof[-1]
        for proof in ((*slot.proof[:-1], node[:-1] + bytes([node[-1] ^ 1])), slot.proof[:-1], (*slot.proof, node)):
            changed = SlotProof(slot=slot.slot, proof=proof)
            yield replace(contract, storage=(*contract.storage[:place], changed, *contract.storage[place + 1 :]))


def test_slots_are_where_the_compiler_puts_them() -> None:
    layout = json.loads((ROOT / "contracts" / "storageLayout.json").read_text("utf-8"))["Licences"]
    assert {item["label"]: item["slot"] for item in layout["storage"]} | {
        "_types": 0,
        "_accreditations": 1,
        "_lists": 2,
    } == {item["label"]: item["slot"] for item in layout["storage"]}
    sizes = {
        name.rsplit(".")[-1]: max(item["slot"] for item in fields) + 1 for name, fields in layout["structs"].items()
    }
    assert (sizes["Accreditation"], sizes["ListVersion"]) == (4, 3)


def test_a_city_without_the_contract_says_so() -> None:
    licences = Licences(lambda *_: b"", bytes(20))
    for ask in (
        lambda: licences.licence_type("11100000000013338W011"),
        lambda: licences.encode_define("11100000000013338W011", bytes(32)),
    ):
        error = refused(ask)
        assert isinstance(error, ConflictError)
        assert error.code == "licence.no-contract"
    assert isinstance(refused(lambda: licences.licence_type("no code")), InvalidInputError)
