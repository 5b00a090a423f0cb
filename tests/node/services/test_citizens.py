"""A node answers citizens: what its log says about who signed in, by a token it verified itself."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from licence_office import ISSUER, TYPE, accredit, citizen, order, stub
from services_city import USCC, City
from starlette.requests import Request

from ledger import codec
from ledger.errors import InvalidInputError, LedgerError, NotAllowedError, UnavailableError, UntrustedError
from ledger.model import Record
from ledger.openid.proof import ProofKey
from ledger.storage.openings import Opening
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.citizens.desk import MAX_AGE_S, CitizenDesk
from node.citizens.limits import Bucket
from node.city.provider import CLAIM, Client, DemoProvider
from node.config import CitizenSection, NodeConfig, decode_config, encode_config
from node.web.citizens import CitizenParts, citizen_parts, citizen_routes

FIELDS = ("CZZT", "CZZTDM", "KZ_ZJCX")
CLIENT = Client(id="gateway", secret="s", redirect_uri="https://gateway.example/citizen/callback")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProvider]:
    with DemoProvider(tmp_path_factory.mktemp("people") / "none.json", CLIENT) as served:
        yield served


def desk(city: City, provider: DemoProvider, handle: str, **changes: Any) -> CitizenDesk:
    """A node's desk, with the settings of this provider."""
    context = city.context(handle)
    section = CitizenSection(**{"issuer": provider.issuer, "audience": CLIENT.id, "claim": CLAIM, **changes})
    return CitizenDesk(replace(context, config=msgspec.structs.replace(context.config, citizens=section)))


class Person:
    """Somebody who signed in."""

    def __init__(self, provider: DemoProvider, number: str) -> None:
        self.key = ProofKey.generate()
        self.token = provider.id_token({"number": number}, self.key.nonce)

    def asks(self, at: CitizenDesk, member: str, before: int = 0, limit: int = 50, proof: str = "") -> dict[str, Any]:
        proof = proof or self.key.prove(self.token, USCC[member], int(time.time()))
        return at.accesses("192.0.2.1", self.token, proof, before_ms=before, limit=limit)


@pytest.fixture(scope="module")
def fetched(city: City) -> str:
    """The exchange by which ``labour`` fetched the licence of citizen 61001 from ``civil``."""
    accredit(city)
    names = tuple({"name": name, "title": f"标题 {name}", "type": "string"} for name in (*FIELDS, "KZ_ZZ"))
    from node.licences.fetching import encode_content

    dataset = city.publish(encode_content(TYPE), format_="licence", fields=names)
    grant = city.grant(dataset.id, fields=FIELDS, ceiling=20)
    stub(city).Issue(order(61_001), timeout=180)
    wanted = pb.FetchLicenceRequest(grant=grant.id, holder=citizen(61_001), use_cause="落户", fields=["KZ_ZJCX"])
    got = city.stub(rpc.FetchingServiceStub, "labour").Fetch(wanted, timeout=300)
    exchange: bytes = got.receipt.exchange
    return exchange.hex()


def test_a_citizen_sees_who_fetched_at_either_side(city: City, provider: DemoProvider, fetched: str) -> None:
    person = Person(provider, citizen(61_001))
    (theirs,) = person.asks(desk(city, provider, ISSUER), ISSUER)["entries"]
    assert (theirs["type"], theirs["role"], theirs["counterpart"]) == ("licence.fetched", "provider", USCC["labour"])
    assert (theirs["exchange"], theirs["complete"]) == (fetched, True)
    assert (theirs["purpose"], theirs["matter"]) == ("social-aid", "310100-AID-7")
    assert theirs["fields"] == [{"name": "KZ_ZJCX", "title": "标题 KZ_ZJCX"}]
    assert theirs["licenceType"] == TYPE
    record = codec.decode_record(city.context(ISSUER).log.read(theirs["index"], 1)[0])
    assert (record.type, record.body["exchange"]) == ("licence.fetched", fetched)
    (ours,) = person.asks(desk(city, provider, "labour"), "labour")["entries"]
    assert (ours["role"], ours["counterpart"], ours["exchange"]) == ("consumer", USCC[ISSUER], fetched)
    assert ours["receipt"] == theirs["receipt"]
    assert len(ours["receipt"]) == 64
    # Nobody else sees it, and a node that was no part of it knows nothing.
    assert Person(provider, citizen(61_002)).asks(desk(city, provider, ISSUER), ISSUER)["entries"] == []
    assert person.asks(desk(city, provider, "plain"), "plain") == {"member": USCC["plain"], "entries": [], "next": 0}


def test_nobody_is_told_without_a_token_for_this_node(city: City, provider: DemoProvider, fetched: str) -> None:
    at, person = desk(city, provider, ISSUER), Person(provider, citizen(61_001))
    now = int(time.time())
    with pytest.raises(NotAllowedError, match="signed in"):
        at.accesses("192.0.2.1", "", "", before_ms=0, limit=1)
    with pytest.raises(UntrustedError) as caught:
        # The proof that another node was given.
        person.asks(at, ISSUER, proof=person.key.prove(person.token, USCC["labour"], now))
    assert caught.value.code == "citizen.proof"
    with pytest.raises(UntrustedError) as caught:
        person.asks(at, ISSUER, proof=ProofKey.generate().prove(person.token, USCC[ISSUER], now))
    assert caught.value.code == "citizen.proof"
    with pytest.raises(UntrustedError) as caught:
        person.asks(desk(city, provider, ISSUER, audience="another"), ISSUER)
    assert caught.value.code == "citizen.token-audience"
    with pytest.raises(UntrustedError) as caught:
        person.asks(desk(city, provider, ISSUER, claim="email"), ISSUER)
    assert caught.value.code == "citizen.token-claim"
    for number in ("resident", citizen(61_001)[:-1], ""):
        with pytest.raises((InvalidInputError, UntrustedError)) as refused:
            Person(provider, number).asks(at, ISSUER)
        assert refused.value.code in ("licence.citizen", "citizen.token-claim")


def test_a_token_that_is_too_old_and_a_provider_that_is_away(city: City, provider: DemoProvider) -> None:
    context = city.context(ISSUER)
    person, ahead = Person(provider, citizen(61_003)), [0]
    section = CitizenSection(issuer=provider.issuer, audience=CLIENT.id, claim=CLAIM)
    config = msgspec.structs.replace(context.config, citizens=section)
    at = CitizenDesk(replace(context, config=config, clock=lambda: context.clock() + ahead[0]))
    assert person.asks(at, ISSUER)["entries"] == []
    ahead[0] = (MAX_AGE_S + 120) * 1_000
    with pytest.raises(UntrustedError) as caught:
        person.asks(at, ISSUER)
    assert caught.value.code == "citizen.token-expired"
    gone = DemoProvider(Path("none.json"), CLIENT)
    gone.close()
    with pytest.raises(UnavailableError) as away:
        Person(gone, citizen(61_003)).asks(desk(city, gone, ISSUER), ISSUER)
    assert away.value.code == "citizen.provider-away"


def use(city: City, number: str, count: int, purpose: str, time_ms: int = 0) -> None:
    """A department's own system used data about somebody."""
    context = city.context("plain")
    made = [Opening(index=0, salt=os.urandom(32), subject=number) for _ in range(count)]
    records = [
        codec.encode_record(
            Record(
                type="access.used",
                member=context.member,
                time_ms=time_ms or context.clock(),
                body={
                    "system": "pension",
                    "matter": "P-1",
                    "purpose": purpose,
                    "operator": secrets.token_hex(32),
                    "commitment": one.commitment().hex(),
                },
            )
        )
        for one in made
    ]
    first, _ = context.log.append(records)
    context.openings.keep([replace(one, index=first + at) for at, one in enumerate(made)])


def test_pages_go_back_in_time_and_leave_nothing_out(city: City, provider: DemoProvider) -> None:
    number = citizen(61_010)
    now = city.context("plain").clock()
    for day in range(4):
        # Three of one moment: no page begins in the middle of them.
        use(city, number, 3, "pension", now - day * 86_400_000)
    at, person = desk(city, provider, "plain"), Person(provider, number)
    seen: list[int] = []
    before = 0
    for _ in range(10):
        page = person.asks(at, "plain", before, 2)
        seen += [entry["index"] for entry in page["entries"]]
        before = page["next"]
        if not before:
            break
    assert len(seen) == len(set(seen)) == 12
    first = person.asks(at, "plain")["entries"][0]
    assert (first["type"], first["role"], first["system"], first["matter"]) == ("access.used", "own", "pension", "P-1")
    assert [entry["time"] for entry in person.asks(at, "plain")["entries"]] == sorted(
        (entry["time"] for entry in person.asks(at, "plain")["entries"]), reverse=True
    )


def test_a_withheld_purpose_is_not_told_and_an_erased_record_is_about_nobody(
    city: City, provider: DemoProvider
) -> None:
    number = citizen(61_020)
    use(city, number, 2, "inquiry-7")
    use(city, number, 1, "pension")
    person = Person(provider, number)
    assert len(person.asks(desk(city, provider, "plain"), "plain")["entries"]) == 3
    told = person.asks(desk(city, provider, "plain", withheld=("inquiry-7",)), "plain", limit=1)["entries"]
    assert [entry["purpose"] for entry in told] == ["pension"]
    context = city.context("plain")
    names = [name for name, opening in context.openings if opening.subject == number]
    context.openings.erase(names)
    assert person.asks(desk(city, provider, "plain"), "plain")["entries"] == []


def test_askers_that_wait_take_few_threads(city: City, provider: DemoProvider) -> None:
    at, person = desk(city, provider, "plain"), Person(provider, citizen(61_030))
    taken = 0
    while at._places.acquire(blocking=False):
        taken += 1
    with pytest.raises(UnavailableError) as caught:
        person.asks(at, "plain")
    assert (caught.value.code, taken) == ("citizen.busy", 8)
    for _ in range(taken):
        at._places.release()
    assert person.asks(at, "plain")["entries"] == []


def test_one_citizen_cannot_ask_without_end() -> None:
    clock = [0]
    bucket = Bucket(60.0, 3, lambda: clock[0])
    for _ in range(3):
        bucket.take(b"a")
    with pytest.raises(UnavailableError) as caught:
        bucket.take(b"a")
    assert caught.value.code == "citizen.too-often"
    bucket.take(b"b")
    clock[0] += 1_000
    bucket.take(b"a")


def test_the_settings_of_a_node(city: City, tmp_path: Path) -> None:
    config: NodeConfig = city.context("plain").config
    assert citizen_parts(city.context("plain")) is None
    assert b"[citizens]" not in encode_config(config)
    section = CitizenSection(issuer="https://id.example", audience="g", withheld=("inquiry",))
    kept = decode_config(encode_config(msgspec.structs.replace(config, citizens=section)), tmp_path)
    assert kept.citizens == section
    for lines in (
        'issuer = "http://id.example"\naudience = "g"',
        'issuer = "https://id.example"',
        'withheld = ["No Purpose"]',
        'ca_files = "x"',
    ):
        with pytest.raises(LedgerError) as caught:
            decode_config(encode_config(config) + f"\n[citizens]\n{lines}\n".encode(), tmp_path)
        assert caught.value.code == "config.invalid"


HEADERS = [(b"authorization", b"bearer  t.o.k"), (b"civicledger-proof", b"p")]


class Told:
    """A desk that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def about(self) -> dict[str, Any]:
        return {}

    def accesses(self, address: str, token: str, proof: str, *, before_ms: int, limit: int) -> dict[str, Any]:
        self.asked.append((token, proof, before_ms, limit))
        return {}

    def results(self, address: str, token: str, proof: str, *, after: bytes) -> dict[str, Any]:
        self.asked.append((token, proof, after))
        return {}

    def wish(self, address: str, token: str, proof: str, body: bytes) -> dict[str, Any]:
        self.asked.append((token, proof, body))
        return {}


@pytest.mark.parametrize(
    ("query", "status"), [("", 200), ("before=5&limit=7", 200), ("limit=0", 400), ("limit=101", 400), ("before=x", 400)]
)
def test_what_the_public_door_takes(query: str, status: int) -> None:
    import asyncio

    told: CitizenParts = Told()
    (_, route, _, _) = citizen_routes(told)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/citizen/accesses",
        "query_string": query.encode(),
        "headers": HEADERS,
        "client": ("192.0.2.7", 1),
    }
    answer = asyncio.run(route.endpoint(Request(scope)))
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    if status == 200:
        assert told.asked[0][:2] == ("t.o.k", "p")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("query", "status"), [("", 200), (f"after={'ab' * 32}", 200), ("after=AB", 400), (f"after={'AB' * 32}", 400)]
)
def test_what_the_door_of_results_takes(query: str, status: int) -> None:
    import asyncio

    told = Told()
    (_, _, route, _) = citizen_routes(told)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": HEADERS}
    assert asyncio.run(route.endpoint(Request(scope))).status_code == status
    assert told.asked == ([("t.o.k", "p", bytes.fromhex(query[6:]))] if status == 200 else [])


@pytest.mark.parametrize(("size", "status"), [(10, 200), (512, 200), (513, 400)])
def test_the_door_of_wishes_takes_little(size: int, status: int) -> None:
    import asyncio

    told = Told()
    (_, _, _, route) = citizen_routes(told)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": HEADERS}
    answer = asyncio.run(route.endpoint(Request(scope, receive)))
    assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")
    assert told.asked == ([("t.o.k", "p", b"x" * size)] if status == 200 else [])
