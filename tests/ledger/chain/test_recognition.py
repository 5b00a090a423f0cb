"""The bindings of Recognition against the real contract on the embedded chain, and what they give the decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import codec
from ledger.chain.bindings import Contracts, decode_events
from ledger.chain.bindings.base import NO_ADDRESS
from ledger.chain.bindings.recognition import MAX_ENTRIES, Recognition, standing
from ledger.chain.bindings.recognitionrows import EqaEntry
from ledger.chain.blocks import Receipt
from ledger.chain.devnet import DevMember, dev_genesis, dev_member
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import MAX_GENESIS_BYTES, contract_addresses, decode_genesis
from ledger.chain.reverts import decode_revert
from ledger.errors import ConflictError, InvalidInputError, UntrustedError
from ledger.medical.model import Category, Facts, OfferedReport
from ledger.medical.recognise import recognise
from ledger.medical.rules import load_rules, starting_rules
from ledger.medical.standing import Agreement, Institution
from ledger.model import Roles
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store

from .conftest import T0_MS, Bench

AUTHORITY, COMMISSION, QUALITY, FIRST, SECOND, FAR, CLINIC = range(7)
HERE, THERE = "310000", "440100"
DAY = 86_400


@pytest.fixture(scope="module")
def people() -> tuple[DevMember, ...]:
    made = (
        dev_member(1, "authority", "Data Authority", Roles.SUPERVISOR),
        dev_member(2, "commission", "Health Commission", Roles.HEALTH),
        dev_member(3, "quality", "Quality Centre", Roles.QUALITY),
        dev_member(4, "first", "First Hospital", Roles.HOSPITAL),
        dev_member(5, "second", "Second Hospital", Roles.HOSPITAL),
    )
    away = (
        dev_member(6, "far", "Other Health Commission", Roles.HEALTH),
        dev_member(7, "clinic", "Clinic of the other region", Roles.HOSPITAL),
    )
    return (*made, *(replace(member, founder=replace(member.founder, region=THERE)) for member in away))


@pytest.fixture
def bench(people: tuple[DevMember, ...], tmp_path: Path) -> Iterator[Bench]:
    with Store.open(tmp_path / "store") as store:
        chain = EmbeddedChain.open(ChainStore(store), dev_genesis(people, time_ms=T0_MS))
        yield Bench(chain=chain, contracts=Contracts.at(chain.call, contract_addresses()), members=people)
        chain.close()


def run(bench: Bench, who: int, data: bytes) -> Receipt:
    receipt = bench.run(who, bench.contracts.recognition.address, data)
    assert receipt.succeeded, decode_revert(receipt.output)
    return receipt


def entry(bench: Bench, item: str = "lab.glucose", number: int = 1, who: int = FIRST) -> EqaEntry:
    now = bench.now_ms // 1_000
    return EqaEntry(
        range="310000",
        item=item,
        institution=bench.members[who].uscc,
        scheme="NCCL-chem",
        round=number,
        passed=True,
        certificate_digest=b"\x07" * 32,
        valid_from=now - 30 * DAY,
        valid_until=now + 300 * DAY,
    )


def furnish(bench: Bench, items: tuple[str, ...] = ("lab.glucose", "img.chest-ct")) -> Recognition:
    """Items, a range, two institutions."""
    recognition = bench.contracts.recognition
    run(bench, COMMISSION, recognition.encode_add_items(items))
    quality = bench.members[QUALITY].uscc
    run(bench, COMMISSION, recognition.encode_open_range("310000", "沪HR", quality))
    for who, level in ((FIRST, 3), (SECOND, 1)):
        run(bench, COMMISSION, recognition.encode_set_institution(bench.members[who].uscc, level))
    return recognition


def test_rules_of_a_region(bench: Bench) -> None:
    recognition = bench.contracts.recognition
    assert recognition.rules(HERE) == ()
    assert recognition.rules_at(HERE, 2**40) is None
    run(bench, COMMISSION, recognition.encode_adopt_rules(1, b"\x01" * 32))
    now = bench.chain.head().time
    run(bench, COMMISSION, recognition.encode_adopt_rules(2, b"\x02" * 32, now + 5 * DAY))
    run(bench, COMMISSION, recognition.encode_adopt_rules(3, b"\x03" * 32, now + 9 * DAY))
    run(bench, COMMISSION, recognition.encode_withdraw_rules(3, b"\x09" * 32))
    first, second, third = recognition.rules(HERE)
    assert (first.version, first.digest, first.in_force_from) == (1, b"\x01" * 32, now)
    assert (first.region, first.by) == (HERE, bench.members[COMMISSION].uscc)
    assert (second.withdrawn_at, third.withdrawn_at) == (0, bench.chain.head().time)
    assert recognition.rules_at(HERE, now - 1) is None
    assert recognition.rules_at(HERE, now) == first
    assert recognition.rules_at(HERE, now + 100 * DAY) == second
    run(bench, FAR, recognition.encode_adopt_rules(1, b"\x01" * 32))
    assert recognition.rule_regions() == (HERE, THERE)


def test_what_is_unknown_reads_as_none(bench: Bench) -> None:
    recognition = bench.contracts.recognition
    assert recognition.institution(bench.members[FIRST].uscc) is None
    assert recognition.label_range("310000") is None
    assert recognition.eqa(b"\x01" * 32) is None
    assert recognition.items() == ()
    assert recognition.eqas_page(0, 10) == ((), 0)
    nothing = standing(bench.contracts.consortium, recognition)
    assert (nothing.ranges, nothing.eqas, nothing.agreements, nothing.institutions) == ((), (), (), ())


def test_the_standing_of_one_height(bench: Bench) -> None:
    recognition = furnish(bench)
    consortium = bench.contracts.consortium
    made = decode_events(run(bench, QUALITY, recognition.encode_record_eqas([entry(bench)])))
    (event,) = [found for found in made if found.name == "EqaRecorded"]
    identifier = bytes(event.args["id"])
    before = bench.chain.head().height
    run(bench, QUALITY, recognition.encode_revoke_eqa(identifier, b"\x09" * 32))
    revoked = bench.chain.head().time
    proposal = recognition.encode_propose_agreement("310000", THERE, ["lab.glucose", "img.chest-ct"])
    run(bench, COMMISSION, proposal)
    assert standing(consortium, recognition).agreements == ()
    run(bench, FAR, recognition.encode_accept_agreement(1))
    accepted = bench.chain.head().time
    found = standing(consortium, recognition)
    (range_,) = found.ranges
    assert (range_.code, range_.name, range_.quality, range_.until_s) == (
        "310000", "沪HR", bench.members[QUALITY].uscc, None,
    )  # fmt: skip
    (eqa,) = found.eqas
    wanted = entry(bench)
    assert (eqa.identifier, eqa.range, eqa.item, eqa.institution) == (identifier, "310000", *_whose(wanted))
    assert (eqa.scheme, eqa.round, eqa.passed, eqa.quality) == ("NCCL-chem", "1", True, bench.members[QUALITY].uscc)
    assert eqa.revoked_s == revoked
    assert eqa.until_s - eqa.from_s == 330 * DAY
    assert set(found.agreements) == {
        Agreement(range="310000", item=item, region_a=a, region_b=b, from_s=accepted)
        for item in ("lab.glucose", "img.chest-ct")
        for a, b in ((HERE, THERE), (THERE, HERE))
    }
    assert found.institutions == (
        Institution(member=bench.members[FIRST].uscc, region=HERE, level=3, active=True),
        Institution(member=bench.members[SECOND].uscc, region=HERE, level=1, active=True),
    )
    # At the height before, the record stood unrevoked and nobody had agreed.
    then = standing(consortium, recognition, before)
    assert (then.eqas[0].revoked_s, then.agreements) == (None, ())
    run(bench, COMMISSION, recognition.encode_end_agreement(1, b"\x09" * 32))
    run(bench, COMMISSION, recognition.encode_set_institution(bench.members[SECOND].uscc, 0))
    run(bench, COMMISSION, recognition.encode_end_range("310000", b"\x09" * 32))
    ended = bench.chain.head().time
    after = standing(consortium, recognition)
    assert {agreement.ended_s for agreement in after.agreements} == {ended - 2}
    assert [(one.level, one.active) for one in after.institutions] == [(3, True), (0, False)]
    assert after.ranges[0].until_s == ended
    (info,) = recognition.agreements()
    assert (info.items, info.state) == (("img.chest-ct", "lab.glucose"), "ended")


def _whose(wanted: EqaEntry) -> tuple[str, str]:
    return wanted.item, wanted.institution


def test_a_label_counts_in_the_other_region_while_both_agree(bench: Bench) -> None:
    """The decision over what the chain says: passed here, it is recognised there only by an agreement."""
    recognition, rules = furnish(bench, ("wbc",)), load_rules(starting_rules(), units=False)
    run(bench, FAR, recognition.encode_set_institution(bench.members[CLINIC].uscc, 3))
    quality = bench.members[QUALITY].uscc
    taken = bench.now_ms // 1_000 - DAY
    run(bench, COMMISSION, recognition.encode_open_range("city-hr", "沪HR", quality, taken - DAY))
    passed = replace(entry(bench, "wbc"), range="city-hr")
    receipt = run(bench, QUALITY, recognition.encode_record_eqas([passed]))
    identifier = bytes(decode_events(receipt)[0].args["id"])
    item = rules.item("wbc")
    assert item is not None
    offer = OfferedReport(
        report=b"\x01" * 32,
        institution=bench.members[FIRST].uscc,
        category=Category.LABORATORY,
        status="final",
        issued_s=taken,
        facts=(
            Facts(
                place=0,
                item=item.id,
                state="mapped",
                status="final",
                taken_s=taken,
                specimen=item.specimens[0],
                method=item.methods[0] if item.methods else None,
            ),
        ),
        version=1,
        concluded=False,
    )

    def reasons(asking: int) -> list[str]:
        now = standing(bench.contracts.consortium, recognition)
        asker = now.institution(bench.members[asking].uscc)
        assert asker is not None
        at_s = bench.chain.head().time
        (decision,) = recognise(offer, asker=asker, at_s=at_s, course="chronic", rules=rules, standing=now)
        assert decision.label == ("沪HR" if decision.recognisable else decision.label)
        return [reason.code for reason in decision.reasons]

    assert reasons(SECOND) == []
    assert reasons(CLINIC) == ["range-not-here"]
    run(bench, COMMISSION, recognition.encode_propose_agreement("city-hr", THERE, ["wbc"]))
    assert reasons(CLINIC) == ["range-not-here"]
    run(bench, FAR, recognition.encode_accept_agreement(1))
    assert reasons(CLINIC) == []
    run(bench, FAR, recognition.encode_end_agreement(1, b"\x09" * 32))
    assert reasons(CLINIC) == ["range-not-here"]
    run(bench, QUALITY, recognition.encode_revoke_eqa(identifier, b"\x09" * 32, passed.valid_from))
    assert reasons(SECOND) == ["eqa-revoked"]
    run(bench, COMMISSION, recognition.encode_set_institution(bench.members[FIRST].uscc, 0))
    assert "issuer-inactive" in reasons(SECOND)


def test_records_come_page_by_page(bench: Bench) -> None:
    recognition = furnish(bench)
    entries = [entry(bench, number=number) for number in range(1, 11)] + [entry(bench, who=SECOND)]
    receipt = run(bench, QUALITY, recognition.encode_record_eqas(entries))
    assert len(decode_events(receipt)) == 11
    page, total = recognition.eqas_page(8, 2)
    assert ([info.round for info in page], total) == ([9, 10], 11)
    page, total = recognition.eqas_of_page(bench.members[SECOND].uscc, 0, 500)
    assert ([info.institution for info in page], total) == ([bench.members[SECOND].uscc], 1)
    assert recognition.eqa(page[0].id) == page[0]
    assert len(list(recognition.eqas())) == 11
    assert [info.code for info in recognition.ranges()] == ["310000"]
    assert recognition.label_range("310000") == next(recognition.ranges())
    assert [info.level for info in recognition.institutions()] == [3, 1]
    assert recognition.institution(bench.members[SECOND].uscc) == list(recognition.institutions())[1]


def test_lists_longer_than_a_page_are_read_whole(bench: Bench) -> None:
    recognition = bench.contracts.recognition
    items = [f"item-{number:03d}" for number in range(MAX_ENTRIES + 5)]
    for part in (items[:100], items[100:200], items[200:]):
        data = recognition.encode_add_items(part)
        raw = bench.sign(COMMISSION, recognition.address, data, gas=20_000_000)
        hash_ = bench.chain.submit(raw)
        bench.now_ms += 1_000
        bench.chain.produce(bench.now_ms)
        receipt = bench.chain.receipt(hash_)
        assert receipt is not None
        assert receipt.succeeded
    assert recognition.items() == tuple(items)


def test_a_city_founded_before_has_no_such_contract(people: tuple[DevMember, ...]) -> None:
    file = codec.decode(dev_genesis(people, time_ms=T0_MS), max_bytes=MAX_GENESIS_BYTES)
    del file["contracts"][5]
    read = decode_genesis(codec.encode(file))
    assert list(read.contracts) == ["Consortium", "Directory", "Grants", "Anchors", "Licences"]
    recognition = Contracts.at(lambda *_: b"", read.contracts).recognition
    assert (recognition.founded, recognition.address) == (False, NO_ADDRESS)
    for ask in (
        lambda: recognition.items(),
        lambda: recognition.rules_at(HERE, 1),
        lambda: recognition.encode_accept_agreement(1),
    ):
        with pytest.raises(ConflictError) as refused:
            ask()
        assert refused.value.code == "medical.not-founded"


def test_bad_values_and_lying_answers_are_refused(bench: Bench) -> None:
    recognition = bench.contracts.recognition
    for ask in (
        lambda: recognition.encode_open_range("范围", "沪HR", bench.members[QUALITY].uscc),
        lambda: recognition.encode_open_range("310000", "很" * 11, bench.members[QUALITY].uscc),
        lambda: recognition.rules_at("999999", 1),
        lambda: recognition.encode_set_institution("nobody", 1),
    ):
        with pytest.raises(InvalidInputError):
            ask()
    liar = Recognition(lambda *_: b"\x00" * 31, recognition.address)
    with pytest.raises(UntrustedError):
        liar.items()
