"""What hospitals' nodes show everybody of recognition, and a gateway that reads it from them over TLS."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
from medical_city import HOSPITALS, USCC, City, eventually

from gateway.chain import ChainReader
from gateway.city import City as GatewayCity
from gateway.medical.collecting import FRESH_MS, Collected, FiguresReader
from gateway.metrics import Metrics
from ledger.chain.client import ChainClient
from ledger.chain.genesis import decode_genesis
from ledger.medical.figuresfile import HospitalFigures, verify_figures
from ledger.model import KeyRole
from ledger.v1 import medical_pb2 as pb
from node.medical.publishing import cut_off

#: One item six times, and another: what is told is told of five at least.
ITEMS = ("wbc",) * 6 + ("haemoglobin",) * 6


def door(city: City, handle: str, path: str) -> tuple[int, bytes]:
    """An answer of a node's public HTTPS, from somebody who has its certificate and nothing else."""
    peer = city.foundings[handle].peer
    context = ssl.create_default_context(cadata=peer.certificate.decode())
    context.check_hostname = False
    host, _, port = peer.https.rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=180)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def told(city: City, handle: str) -> HospitalFigures:
    status, body = door(city, handle, "/medical/figures")
    assert status == 200, body
    key = city.nodes[handle].context.signers[KeyRole.RECEIPT].public
    return verify_figures(body, [key])


@pytest.fixture(scope="module")
def used(clinic: City) -> int:
    """The eastern hospital opened a report of the western one: recognised six items, and tested six again. The time."""
    identity = clinic.patient()
    offer = clinic.report("west", identity, *ITEMS)
    assert clinic.search("east", identity).reports
    step = bytes(clinic.open("east", "west", offer).step.step)
    clinic.decide("east", step, places=range(6))
    clinic.decide("east", step, kind="retest", places=range(6, 12), reason="fast-changing")
    return time.time_ns() // 1_000_000


def test_a_hospital_tells_what_it_made_of_others_results(clinic: City, used: int) -> None:
    found = eventually(lambda: (one := told(clinic, "east")).as_of_ms > used and one, "figures of that second")
    assert (found.hospital, found.chain) == (USCC["east"], clinic.nodes["east"].context.genesis_digest)
    counted = clinic.service("east").Statistics(pb.MedicalStatisticsRequest(), timeout=180)
    (own,) = (one for one in counted.figures if (one.by, one.key, one.reason) == ("asker", USCC["east"], ""))
    totals = [one.figures.total for one in found.months]
    assert sum(total.recognised or 0 for total in totals) == own.recognised >= 6
    assert sum(total.unrecognised or 0 for total in totals) == own.opened_not_recognised >= 6
    assert sum(total.retested or 0 for total in totals) == own.retested >= 6
    newest = found.months[-1]
    assert newest.asked.keys() >= {USCC["west"]}
    assert newest.figures.items["wbc"].recognised in (None, *range(6, 1_000))
    assert found.items["wbc"].zh == "白细胞计数"
    text = door(clinic, "east", "/medical/figures")[1].decode()
    assert not any(f'"{number}"' in text for number in range(1, 5)), "a small figure is told"


def test_the_door_refuses_what_it_cannot_answer(clinic: City) -> None:
    for query, code in (("from=2026", "medical.month"), ("from=2020-01&to=2026-01", "medical.months")):
        status, body = door(clinic, "east", f"/medical/figures?{query}")
        assert (status, json.loads(body)["code"]) == (400, code)
    status, body = door(clinic, "health", "/medical/figures")
    assert (status, json.loads(body)["code"]) == (403, "medical.not-hospital")


def test_figures_end_with_a_whole_interval() -> None:
    day = 86_400
    midnight = 1_795_363_200_000  # 2026-11-23 in China
    assert [cut_off(midnight + ahead, day) for ahead in (0, 1, day * 1_000 - 1)] == [midnight] * 3
    assert cut_off(midnight - 1, day) == midnight - day * 1_000
    assert cut_off(midnight + 1_999, 1) == midnight + 1_000


class Ahead:
    """The time, which a test moves on so that hospitals are asked again."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ms


@pytest.fixture
def reader(clinic: City) -> Iterator[Any]:
    """A gateway's view of the running nodes, and what reads the figures there. Its clock is its own."""
    clock = Ahead()
    home = clinic.foundings["health"]
    genesis = decode_genesis((home.folder / "genesis.json").read_bytes())
    local = clinic.nodes["health"].core.config.local
    chain = ChainReader(ChainClient(f"http://127.0.0.1:{local.port}/"), genesis, {}, clock)
    city = GatewayCity(genesis, USCC["health"], home.folder / "peers.json", chain, clock, Metrics())
    city.refresh()
    made = FiguresReader(city, genesis.digest, clock, deadline_s=120)

    def read() -> Collected:
        clock.ms += FRESH_MS
        return made.read()

    yield read
    made.close()
    city.close()


def test_a_gateway_adds_up_what_real_nodes_tell(clinic: City, used: int, reader: Any) -> None:
    def complete() -> Collected | None:
        found = reader()
        assert not found.absent
        return found if found.as_of_ms > used and found.figures.compared and not found.figures.differing else None

    found: Collected = eventually(complete, "figures of three hospitals whose sides agree")
    assert found.asked == len(HOSPITALS)
    east = found.figures.askers[USCC["east"]]
    assert east.recognised.least >= 6
    assert east.unrecognised.least >= 6
    assert found.figures.total.recognised.least >= east.recognised.least
    assert found.figures.reasons["fast-changing"]
    assert found.names[USCC["west"]] == "演示 west"
