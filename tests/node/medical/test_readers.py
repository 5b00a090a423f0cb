"""Processes that read reports: they say what the node would read itself, and what ends one harms no other report."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ledger.errors import LedgerError, UnavailableError
from ledger.medical.rules import load_rules, rules_digest, starting_rules
from ledger.v1 import reports_pb2 as pb
from ledger.v1 import reports_pb2_grpc as rpc
from node.compose import Node
from node.identity.peers import PeerBook
from node.medical.drafts import Draft, read_draft
from node.medical.readers import Readers
from tests.ledger.medical.bundles import BLOOD_COUNT, HOSPITAL, LIPIDS, NOW_S, encode, panel
from tests.node.medical.report_city import bundle

WAIT_S = 300.0
#: A reader that does something else at the sight of a word, and one report's processor time.
_SCRIPT = """
import os
from node.medical import reading

real = reading.read_draft
reading.CPU_S = 1

def read(data, **named):
    if b"DEADLY" in data:
        os.abort()
    while b"ENDLESS" in data:
        pass
    return real(data, **named)

reading.read_draft = read
reading.main()
"""


def sent(count: int) -> list[bytes]:
    return [
        encode(panel((BLOOD_COUNT, LIPIDS)[place % 2], institution=HOSPITAL, number=f"R-{place}"))
        for place in range(count)
    ]


@pytest.fixture
def started() -> Iterator[Callable[..., Readers]]:
    made: list[Readers] = []

    def start(limit: int = 2, script: str = "") -> Readers:
        readers = Readers(limit, (sys.executable, "-c", script)) if script else Readers(limit)
        made.append(readers)
        ready = threading.Event()
        until = time.monotonic() + WAIT_S
        while ask(readers, sent(2)) is None:
            assert time.monotonic() < until, "no reader is ready"
            ready.wait(0.02)
        return readers

    yield start
    for readers in made:
        readers.close()


def ask(readers: Readers, reports: Sequence[bytes], digest: bytes = b"", file: bytes = b"") -> list[Draft] | None:
    return readers.read(reports, HOSPITAL, NOW_S, digest, file)


def codes(draft: Draft) -> list[str]:
    return [item.code for item in draft.problems if item.severity == "error"]


def test_they_say_what_the_node_would_read(started: Callable[..., Readers]) -> None:
    readers = started()
    rules = load_rules(starting_rules(), units=False)
    reports = [*sent(5), b"{", b"\xff", b'{"resourceType":"Patient"}', b"[" * 100_000]
    for file, known in ((b"", None), (rules.canonical, rules), (b"", None)):
        digest = rules_digest(rules) if file else b""
        expected = [read_draft(data, institution=HOSPITAL, now_s=NOW_S, rules=known) for data in reports]
        assert ask(readers, reports, digest, file) == expected
    assert any(
        facts.state == "mapped"
        for facts in read_draft(reports[0], institution=HOSPITAL, now_s=NOW_S, rules=rules).report.facts
    )  # type: ignore[union-attr]


@pytest.mark.parametrize("word", ["DEADLY", "ENDLESS"])
def test_what_ends_one_is_refused_and_the_others_are_read(started: Callable[..., Readers], word: str) -> None:
    readers = started(script=_SCRIPT)
    reports = sent(5)
    reports[1] = reports[1].replace(b"R-1", word.encode())
    reports[4] = reports[4].replace(b"R-4", word.encode())
    drafts = ask(readers, reports)
    assert drafts is not None
    assert [codes(draft) for draft in drafts] == [[], ["fhir.too-costly"], [], [], ["fhir.too-costly"]]
    assert [draft.report.identifier.rpartition("|")[2] for draft in drafts if draft.report] == ["R-0", "R-2", "R-3"]


def test_one_that_is_killed_is_replaced(started: Callable[..., Readers]) -> None:
    readers = started(limit=1)
    (before,) = readers.pids
    os.kill(before, signal.SIGKILL)
    drafts = ask(readers, sent(4))
    assert drafts is not None
    assert [codes(draft) for draft in drafts] == [[]] * 4
    (after,) = readers.pids
    assert after != before


def test_many_at_once_share_them(started: Callable[..., Readers]) -> None:
    readers, reports = started(limit=2), sent(4)
    done: dict[int, list[Draft] | None] = {}
    threads = [
        threading.Thread(target=lambda place=place: done.update({place: ask(readers, reports)})) for place in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    expected = [read_draft(data, institution=HOSPITAL, now_s=NOW_S, rules=None) for data in reports]
    assert list(done.values()) == [expected] * 6
    assert 1 <= len(readers.pids) <= 2


def test_one_that_does_not_start_leaves_the_reading_to_the_node() -> None:
    for script in ("raise SystemExit(3)", "import sys; sys.stdout.write('x' * 99); sys.stdout.flush(); input()"):
        readers = Readers(2, (sys.executable, "-c", script))
        seen, until = set[int](), time.monotonic() + WAIT_S
        while not seen or readers.pids:
            assert ask(readers, sent(2)) is None
            seen |= set(readers.pids)
            assert time.monotonic() < until
        # It is not tried again with every report.
        assert ask(readers, sent(2)) is None
        assert readers.pids == ()
        readers.close()


def test_none_are_started_for_one_report_or_where_the_settings_want_none() -> None:
    for readers, count in ((Readers(0), 9), (Readers(4), 1)):
        assert ask(readers, sent(count)) is None
        assert readers.pids == ()
        readers.close()


def test_nothing_of_the_nodes_environment_is_there(
    monkeypatch: pytest.MonkeyPatch, started: Callable[..., Readers]
) -> None:
    monkeypatch.setenv("CIVICLEDGER_PASSPHRASE", "open sesame")
    (pid,) = started(limit=1).pids
    assert b"sesame" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_who_is_needed_no_more_is_ended(started: Callable[..., Readers]) -> None:
    readers = started(limit=1)
    (pid,) = readers.pids
    readers.rest()
    assert readers.pids == (pid,)
    readers._idle[0].used -= 3_600
    readers.rest()
    assert readers.pids == ()
    assert not Path(f"/proc/{pid}").exists()
    # The next reports start one again.
    assert ask(readers, sent(2)) is None
    (again,) = readers.pids
    readers.close()
    assert not Path(f"/proc/{again}").exists()
    assert ask(readers, sent(2)) is None


def test_where_none_takes_its_place_nothing_is_read_in_the_node(started: Callable[..., Readers]) -> None:
    script = _SCRIPT.replace("reading.main()", "import sys; sys.argv[1:] and sys.exit(3); reading.main()")
    readers = started(limit=1, script=script)
    # From now on none starts.
    readers._command = (*readers._command, "stop")
    reports = [data.replace(b"R-1", b"DEADLY") for data in sent(2)]
    with pytest.raises(LedgerError) as raised:
        ask(readers, reports)
    assert isinstance(raised.value, UnavailableError)
    assert raised.value.code == "medical.no-reader"


def test_who_is_at_work_when_all_end_is_told(started: Callable[..., Readers]) -> None:
    readers = started(limit=1, script=_SCRIPT.replace("reading.CPU_S = 1", "reading.CPU_S = 600"))
    (pid,) = readers.pids
    done: list[list[Draft] | None] = []
    reports = [data.replace(b"R-0", b"ENDLESS") for data in sent(2)]
    thread = threading.Thread(target=lambda: done.append(ask(readers, reports)))
    thread.start()
    pause, until = threading.Event(), time.monotonic() + WAIT_S
    while readers._idle:
        assert time.monotonic() < until
        pause.wait(0.01)
    readers.close()
    thread.join(WAIT_S)
    # The node, which is stopping, is left to read them or not.
    assert done == [None]
    assert not Path(f"/proc/{pid}").exists()


def test_a_stream_of_a_node_is_read_by_them(node: Node, number: str) -> None:
    core = node.core
    book = PeerBook(core.config.peers_file, core.keys.identity)
    stub = rpc.ReportServiceStub(book.channel(core.member))
    readers = node.medical.readers
    assert readers is not None
    try:
        reports = iter([encode(bundle(node, f"{number}-{place}")) for place in range(40)])
        read = stub.IngestStream((pb.IngestReportRequest(fhir=data) for data in reports), timeout=WAIT_S)
        assert [answer.state for answer in read] == ["offered"] * 40
        assert readers.pids
    finally:
        book.close()
