"""The small parts behind the licence service: nonces, references, what is kept, what issuers' nodes answer."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.licences.kept import MAX_WAITING, Kept
from gateway.licences.nonces import LIFETIME_MS, Nonces
from gateway.licences.references import References, is_reference
from gateway.licences.sources import IssuerNodes, list_number
from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.licences import issuing
from ledger.licences.suites import es256_signer
from tests.node.core.makers import eventually

USCC = "91110000600037341L"
SIGNER = es256_signer(ec.derive_private_key(77, ec.SECP256R1()))


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


# --- nonces ----------------------------------------------------------------------------------------------------------


def test_a_nonce_is_good_once() -> None:
    nonces = Nonces(Clock())
    first, second = nonces.give(), nonces.give()
    assert first.text != second.text
    assert [nonces.spend(first.text) for _ in range(3)] == [True, False, False]
    assert nonces.spend(second.text)


def test_a_nonce_ends_after_five_minutes() -> None:
    clock = Clock()
    nonces = Nonces(clock)
    kept, late = nonces.give(), nonces.give()
    assert kept.expires_ms == clock.ms + LIFETIME_MS
    clock.ms += LIFETIME_MS - 1
    assert nonces.spend(kept.text)
    clock.ms += 1
    assert not nonces.spend(late.text)
    assert not nonces.spend(kept.text)


def test_a_nonce_of_nobody_of_another_gateway_or_changed_is_refused() -> None:
    clock = Clock()
    nonces, other = Nonces(clock), Nonces(clock)
    made = nonces.give().text
    changed = ("B" if made[0] != "B" else "C") + made[1:]
    for text in ("", "x", "x" * 10_000, "漢" * 54, changed, made[:-1], made + "A", other.give().text):
        assert not nonces.spend(text)
    assert nonces.spend(made)


def test_spent_nonces_are_bounded_and_none_is_forgotten_early() -> None:
    clock = Clock()
    nonces = Nonces(clock, max_spent=3)
    given = [nonces.give().text for _ in range(4)]
    assert all(nonces.spend(text) for text in given[:3])
    with pytest.raises(UnavailableError) as caught:
        nonces.spend(given[3])
    assert caught.value.code == "licence.nonces-full"
    assert not nonces.spend(given[0])
    clock.ms += LIFETIME_MS
    assert nonces.spend(nonces.give().text)


# --- references ------------------------------------------------------------------------------------------------------


def presentation() -> str:
    return issuing.issue({"iss": "x"}, typ="dc+sd-jwt", signer=SIGNER, salts=[])


def test_a_presentation_waits_behind_its_reference_for_five_minutes() -> None:
    clock = Clock()
    references = References(clock)
    waiting = references.leave("gateway.example:8443", presentation() + "\n")
    assert waiting.reference.url.startswith("HTTPS://GATEWAY.EXAMPLE:8443/R/")
    assert references.presentation(waiting.reference.url) == presentation()
    clock.ms = waiting.expires_ms
    with pytest.raises(NotFoundError) as caught:
        references.presentation(waiting.reference.url)
    assert caught.value.code == "licence.reference-unknown"


def test_what_waits_is_bounded_and_is_a_presentation() -> None:
    clock = Clock()
    references = References(clock, max_characters=2 * len(presentation()))
    for _ in range(2):
        references.leave("localhost", presentation())
    with pytest.raises(UnavailableError) as caught:
        references.leave("localhost", presentation())
    assert caught.value.code == "licence.references-full"
    clock.ms += 300_000
    references.leave("localhost", presentation())
    for text in ("", "hello", "x" * 70_000, presentation() + "é~"):
        with pytest.raises(InvalidInputError):
            references.leave("localhost", text)
    with pytest.raises(InvalidInputError):
        references.leave("not a host", presentation())


@pytest.mark.parametrize(
    ("text", "so"),
    [
        ("HTTPS://GATEWAY.EXAMPLE/R/" + "A" * 32, True),
        ("https://gateway.example/R/" + "A" * 32, False),
        ("HTTPS://A/R/X", False),
        ("https://menu.example", False),
        ("eyJ", False),
        ("", False),
    ],
)
def test_references_are_told_from_licences(text: str, so: bool) -> None:
    assert is_reference(text) is so


# --- what is kept ----------------------------------------------------------------------------------------------------


class Place:
    """Somewhere to read from: answers, or raises what it is told to."""

    def __init__(self) -> None:
        self.reads = 0
        self.problem: LedgerError | None = None

    def read(self, key: str, before: int | None) -> int:
        self.reads += 1
        if self.problem is not None:
            raise self.problem
        return (before or 0) + 1


def kept(place: Place, clock: Callable[[], int], size: int = 8) -> Kept[str, int]:
    return Kept(place.read, clock, size=size, fresh_ms=100, keep_ms=1_000)


def test_a_value_is_read_once_while_fresh_and_again_after() -> None:
    place, clock = Place(), Clock()
    values = kept(place, clock)
    assert [values.get("a").value for _ in range(3)] == [1, 1, 1]
    clock.ms += 100
    assert values.get("a").value == 2
    assert (place.reads, values.get("a").read_ms) == (2, clock.ms)


def test_a_place_that_is_away_leaves_the_value_until_it_is_too_old() -> None:
    place, clock = Place(), Clock()
    values = kept(place, clock)
    assert values.get("a").value == 1
    place.problem = UnavailableError("node.unreachable", "away")
    clock.ms += 1_000
    assert values.get("a").value == 1
    clock.ms += 1
    with pytest.raises(UnavailableError):
        values.get("a")
    place.problem = None
    clock.ms += 100
    assert values.get("a").value == 2


def test_a_place_that_contradicts_itself_is_not_covered_up() -> None:
    place, clock = Place(), Clock()
    values = kept(place, clock)
    values.get("a")
    place.problem = UntrustedError("licence.status-digest", "another list")
    clock.ms += 100
    for _ in range(3):
        with pytest.raises(UntrustedError):
            values.get("a")
    assert place.reads == 2


def test_what_is_kept_is_bounded() -> None:
    place, clock = Place(), Clock()
    values = kept(place, clock, size=2)
    for key in ("a", "b", "a", "c", "a", "b"):
        values.get(key)
    assert (len(values), place.reads) == (2, 4)


def test_one_reads_and_the_others_get_the_value_before() -> None:
    clock, begun, go = Clock(), threading.Event(), threading.Event()

    def read(_: str, before: int | None) -> int:
        if before is not None:
            begun.set()
            go.wait(60)
        return (before or 0) + 1

    values: Kept[str, int] = Kept(read, clock, size=2, fresh_ms=100, keep_ms=1_000)
    assert values.get("a").value == 1
    clock.ms += 100
    reader = threading.Thread(target=values.get, args=("a",))
    reader.start()
    assert begun.wait(60)
    assert values.get("a").value == 1
    go.set()
    reader.join(60)
    assert values.get("a").value == 2


def test_only_some_wait_for_a_place_that_hangs() -> None:
    clock, begun, go = Clock(), threading.Event(), threading.Event()

    def read(_: str, _before: int | None) -> int:
        begun.set()
        go.wait(60)
        return 1

    values: Kept[str, int] = Kept(read, clock, size=2, fresh_ms=100, keep_ms=1_000)
    waiting = [threading.Thread(target=values.get, args=("a",), daemon=True) for _ in range(MAX_WAITING + 1)]
    waiting[0].start()
    assert begun.wait(60)
    for thread in waiting[1:]:
        thread.start()
    eventually(lambda: values._entries["a"].waiting == MAX_WAITING)
    with pytest.raises(UnavailableError) as caught:
        values.get("a")
    assert caught.value.code == "gateway.busy"
    go.set()
    for thread in waiting:
        thread.join(60)
    assert values.get("a").value == 1
    assert values._entries["a"].waiting == 0


def test_what_is_not_there_pushes_out_nothing_that_is() -> None:
    place, clock = Place(), Clock()
    values = kept(place, clock, size=3)
    values.get("good")
    place.problem = NotFoundError("licence.no-status-list", "no such list")
    for number in range(20):
        with pytest.raises(NotFoundError):
            values.get(f"bad-{number}")
    reads = place.reads
    assert values.get("good").value == 1
    assert (place.reads, len(values)) == (reads, 3)


# --- what nodes answer -----------------------------------------------------------------------------------------------


class Node:
    """A member's node that answers every path with the same bytes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.asked: list[str] = []

    def ask(self, _uscc: str, path: str) -> bytes:
        self.asked.append(path)
        return self.body


def keys_file(**changes: object) -> bytes:
    row = {"kid": SIGNER.kid, "alg": "ES256", "spki": base64.b64encode(SIGNER.spki).decode()}
    issuer = changes.pop("issuer", USCC)
    return json.dumps({"issuer": issuer, "keys": [row | changes]}).encode()


def test_the_keys_of_an_issuer_are_named_by_their_digests() -> None:
    keys = IssuerNodes(Node(keys_file())).keys(USCC)
    assert keys[SIGNER.kid].spki == SIGNER.spki


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        keys_file(issuer="11310000MB2F30000X"),
        keys_file(kid="x" * 43),
        keys_file(alg="none"),
        keys_file(spki="%%%"),
        keys_file(spki=base64.b64encode(SIGNER.spki[:-1]).decode()),
        json.dumps({"issuer": USCC, "keys": [json.loads(keys_file())["keys"][0]] * 300}).encode(),
    ],
)
def test_a_node_that_answers_something_else_is_not_believed(body: bytes) -> None:
    with pytest.raises(UntrustedError) as caught:
        IssuerNodes(Node(body)).keys(USCC)
    assert caught.value.code == "node.answer"


def test_a_list_is_read_at_the_issuers_node_only() -> None:
    node = Node(b"a.b.c")
    assert IssuerNodes(node).token(USCC, 7, 12) == "a.b.c"
    assert node.asked == ["/licence/status/7?time=12"]
    with pytest.raises(UntrustedError):
        IssuerNodes(Node("漢".encode())).token(USCC, 1)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://a/licence/status/1",
        "https://a/licence/status/0",
        "https://a/licence/status/01",
        "https://a/licence/status/1/../../x",
        "https://a/licence/status/1?x",
        "https://a/b/licence/status/1",
        "https:///licence/status/1",
        "file:///etc/passwd",
    ],
)
def test_no_other_address_is_ever_asked(uri: str) -> None:
    with pytest.raises(UntrustedError) as caught:
        list_number(uri)
    assert caught.value.code == "licence.status-uri"


def test_the_number_of_a_list_is_the_end_of_its_address() -> None:
    assert list_number("https://node.example:8443/licence/status/12") == 12
