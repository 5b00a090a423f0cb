"""Parts of the road through a gateway: its settings, answers that are none, notices that were overtaken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from medical_city import USCC, City, eventually

from ledger.errors import InvalidInputError, LedgerError, NotAllowedError, UnavailableError, UntrustedError
from ledger.evidence.medicalnotice import decode_notice, notice_digest
from ledger.evidence.request import sign_acknowledgement
from ledger.model import KeyRole
from ledger.v1 import medical_pb2 as pb
from node.config import decode_config, encode_config
from node.medical import carried
from node.medical.asking import Opening, begin_opening
from node.medical.carried import CarriedRoad
from node.medical.changes import Changes
from node.medical.road import Direct, Message
from node.services.medicalpeer import PeerCalls


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("https://gateway.example", True),
        ("https://gateway.example:8443", True),
        ("http://gateway.example", False),
        ("https://gateway.example/path", False),
        ("https://user@gateway.example", False),
        ("gateway.example:8443", False),
    ],
)
def test_the_address_of_a_gateway(clinic: City, address: str, good: bool) -> None:
    config = clinic.nodes["west"].context.config
    text = encode_config(config).decode().replace('gateway = ""', f'gateway = "{address}"')
    if good:
        assert decode_config(text.encode(), config.folder).medical.gateway == address
        return
    with pytest.raises(InvalidInputError) as refusal:
        decode_config(text.encode(), config.folder)
    assert refusal.value.code == "config.invalid"


def test_a_file_of_authorities_that_is_none_is_said_at_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "gateway.crt"
    broken.write_text("no certificate", "utf-8")
    for file in (broken, tmp_path / "absent.crt"):
        with pytest.raises(InvalidInputError) as refusal:
            CarriedRoad("https://localhost:1", str(file))
        assert refusal.value.code == "medical.gateway-authorities"


def test_what_a_gateway_answers_is_no_hospitals_word(clinic: City) -> None:
    context = clinic.nodes["east"].context
    call = carried._call(context, USCC["west"], "Search", pb.PeerSearchRequest())

    def refused(answer: carried._Answer) -> LedgerError:
        with pytest.raises(LedgerError) as refusal:
            carried._opened(context, call, answer, pb.PeerSearchResponse)
        return refusal.value

    away = refused(carried._Answer(target=USCC["west"], code="node.unreachable", message="gone"))
    assert (type(away), away.code) == (UnavailableError, "node.unreachable")
    for answer in (
        carried._Answer(target=USCC["north"], answer=b"x"),
        carried._Answer(target=USCC["west"], answer=b"\xff\xff"),
        carried._Answer(target=USCC["west"], answer=b""),
    ):
        error = refused(answer)
        assert (type(error), error.code) == (UntrustedError, "envelope.answer")
    # Nothing that is broken at the gateway ends this node.
    for status, data, kind, code in (
        (403, b'{"code":"auth.suspended","message":"m"}', NotAllowedError, "auth.suspended"),
        (500, b'{"code":"gateway.defect"}', UnavailableError, "gateway.defect"),
        (502, b"<html>", UnavailableError, "gateway.answer"),
    ):
        error = carried._refused(status, data)
        assert (type(error), error.code) == (kind, code)
    with pytest.raises(UnavailableError) as odd:
        carried._decoded(b"[]", carried._Answers)
    assert odd.value.code == "gateway.answer"


def test_a_node_started_anew_between_two_turns_lets_the_step_begin_again(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient())
    context = clinic.nodes["east"].context
    use = Opening(
        institution=USCC["west"],
        report=offer.report,
        version=1,
        purpose="treatment",
        course="chronic",
        operator="",
        nonce=os.urandom(32),
    )
    entry = begin_opening(clinic.nodes["east"].medical.speaking.dialogue, use)
    west = clinic.nodes["west"].context
    caller = west.contracts.consortium.member(USCC["east"])
    assert caller is not None
    calls = [PeerCalls(west) for _ in range(2)]
    first = [bytes(part.chunk) for part in calls[0].open(caller, pb.StepTurn(request=entry.request)).parts]
    # Asked again it is the same ciphertext; of another process it is another.
    assert first == [bytes(part.chunk) for part in calls[0].open(caller, pb.StepTurn(request=entry.request)).parts]
    end: Message = calls[0].open(caller, pb.StepTurn(request=entry.request)).parts[-1]
    digest = bytes(end.end.ciphertext_digest)
    signature = sign_acknowledgement(context.signers[KeyRole.RECEIPT], entry.id, digest)
    turn = pb.StepTurn(request=entry.request, ciphertext_digest=digest, acknowledgement=signature)
    (other,) = calls[1].open(caller, turn).parts
    assert other.refusal.code == "exchange.interrupted"
    (released,) = calls[0].open(caller, turn).parts
    assert len(released.release.key) == 32
    # An opening is none to Decide, and a signature over something else releases nothing.
    with pytest.raises(LedgerError) as wrong:
        calls[0].decide(caller, turn)
    assert wrong.value.code == "input.field"
    # The node finishes the step by itself.
    eventually(lambda: clinic.records("west", "medical.opened", offer.report), "the step is finished")


class Away(Direct):
    """A road on which nobody is told anything."""

    def tell(self, context: Any, hospital: str, notice: bytes) -> None:
        raise UnavailableError("peer.unreachable", "no way there")


@pytest.fixture
def untold(clinic: City) -> Iterator[Changes]:
    """West's changes, which wait to be fetched."""
    changes = clinic.nodes["west"].medical.speaking.changes
    before = changes._dialogue
    changes._dialogue = replace(before, road=Away())
    yield changes
    changes._dialogue = before
    changes.loop.wake()


def test_a_notice_that_was_overtaken_on_its_way_is_on_both_records(clinic: City, untold: Changes) -> None:
    offer = clinic.report("west", clinic.patient())
    clinic.open("north", "west", offer)
    north = clinic.nodes["west"].context.contracts.consortium.member(USCC["north"])
    assert north is not None

    def waiting(change: str) -> Callable[[], bytes | None]:
        def find() -> bytes | None:
            notices = untold.fetch(north, frozenset())
            mine = [one for one in notices if decode_notice(one).report == offer.report]
            return next((one for one in mine if decode_notice(one).change == change), None)

        return find

    clinic.correct("west", offer.report)
    first = eventually(waiting("corrected"), "the correction waits")
    clinic.nodes["north"].medical.speaking.changes.take(USCC["west"], first)
    clinic.withdraw("west", offer.report)
    second = eventually(waiting("withdrawn"), "the withdrawal took its place")
    assert clinic.records("west", "medical.told", offer.report) == []
    # Said twice it is one record, and another's word settles nothing.
    east = clinic.nodes["west"].context.contracts.consortium.member(USCC["east"])
    assert east is not None
    untold.fetch(east, frozenset({notice_digest(first), notice_digest(second)}))
    for _ in range(2):
        untold.fetch(north, frozenset({notice_digest(first)}))
    clinic.nodes["north"].medical.speaking.changes.take(USCC["west"], second)
    assert second not in untold.fetch(north, frozenset({notice_digest(second)}))
    told = [
        [one.body["notice"] for one in clinic.records(at, "medical.told", offer.report)] for at in ("west", "north")
    ]
    assert told[0] == told[1] == [notice_digest(first).hex(), notice_digest(second).hex()]
