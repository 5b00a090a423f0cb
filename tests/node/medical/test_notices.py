"""Notices: a receiver that honours keys has exactly one of each, whatever ended the node; and they tell nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from ledger.days import CST
from ledger.errors import InvalidInputError, LedgerError, UnavailableError
from node.compose import Node
from node.config import MedicalSection
from node.medical.adapters import FileAdapter, Message, WebhookAdapter
from node.medical.notices import Outbox, notice_key, quiet_for
from node.medical.noticetexts import KINDS, notice_text
from tests.node.core.city import City, found
from tests.node.services.services_city import eventually

ROOT = Path(__file__).resolve().parents[3]
PHONE = "+8613800000017"
AT_S = 1_795_000_000


def refused(kind: type[LedgerError], code: str) -> pytest.RaisesExc[LedgerError]:
    return pytest.raises(kind, check=lambda error: error.code == code)


class Receiver:
    """A service that sends messages: takes each key once, counts every attempt, and can be made to fail."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.taken: dict[str, dict[str, str]] = {}
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = self.headers["Idempotency-Key"].strip('"')
                with outer.lock:
                    outer.headers.append(dict(self.headers.items()))
                    outer.attempts[key] += 1
                    if outer.status == 200:
                        outer.taken.setdefault(key, body)
                    status = outer.status
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/messages?from=hospital"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def settings(folder: Path, **values: str) -> None:
    """Change the [medical] settings of a node that does not run."""
    path = folder / "node.toml"
    text = path.read_text()
    for name, value in {"quiet_from": "00:00", "quiet_until": "00:00", **values}.items():
        before = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
        text = text.replace(before, f'{name} = "{value}"', 1)
    path.write_text(text)


def test_one_for_each_event_and_none_twice(receiver: Receiver, tmp_path: Path) -> None:
    founded = found(tmp_path, 2)
    (founded.folders[0] / "sms-token").write_text("secret-token\n")
    settings(founded.folders[0], notices="webhook", notice_url=receiver.url, notice_token_file="sms-token")
    with City(founded) as city:
        city.start()
        medical = city[0].context.medical
        anna, mute = medical.vault.subject_of(b"anna"), medical.vault.subject_of(b"mute")
        medical.notices.set_contact(anna, PHONE, "en")
        receiver.status = 503
        assert medical.notices.post(b"1" * 32, anna, "opened", b"r" * 32, AT_S)
        assert not medical.notices.post(b"1" * 32, anna, "opened", b"r" * 32, AT_S), "posted before"
        key = notice_key(b"1" * 32).hex()
        eventually(lambda: receiver.attempts[key], "a first attempt")
        waiting = eventually(lambda: [one for one in medical.notices.waiting() if one.problem], "a noted failure")
        assert [(one.kind, one.problem) for one in waiting] == [("opened", "notice.refused")]
        assert medical.notices.fate(b"1" * 32) == ("waiting", AT_S)
        assert medical.notices.fate(b"9" * 32) == ("", 0)
        receiver.status = 200
        # Waits for its turn: a contact that is set anew makes it due.
        medical.notices.set_contact(anna, PHONE, "en")
        eventually(lambda: key in receiver.taken, "the notice")
        eventually(lambda: medical.notices.counts().delivered == 1, "what was delivered")
        assert not medical.notices.post(b"1" * 32, anna, "opened", b"r" * 32, AT_S), "told before"
        told, at_s = medical.notices.fate(b"1" * 32)
        assert told == "delivered"
        assert 0 <= city[0].core.clock() // 1_000 - at_s < 3_600
        assert receiver.taken[key] == {
            "key": key,
            "language": "en",
            "text": notice_text("opened", "en", AT_S),
            "to": PHONE,
        }
        assert receiver.headers[-1]["Authorization"] == "Bearer secret-token"

        # Nobody to tell: it waits, and goes when there is.
        medical.notices.post(b"2" * 32, mute, "recognised", b"r" * 32, city[0].core.clock() // 1_000)
        eventually(lambda: [one.problem for one in medical.notices.waiting()] == ["notice.no-contact"], "it waits")
        medical.notices.set_contact(mute, "+8613800000018")
        eventually(lambda: medical.notices.counts().delivered == 2, "the second")
        # Too old by the time somebody could be told.
        medical.notices.set_contact(mute, "")
        medical.notices.post(b"3" * 32, mute, "recognised", b"r" * 32, city[0].core.clock() // 1_000 - 8 * 86_400)
        eventually(lambda: medical.notices.counts().dropped == 1, "what is too old")
        assert medical.notices.fate(b"3" * 32)[0] == "dropped"
        # Of somebody who was erased nobody knows any more.
        medical.notices.forget([anna])
        assert medical.notices.fate(b"1" * 32) == ("", 0)
        assert not medical.notices.post(b"1" * 32, anna, "opened", b"r" * 32, AT_S), "told before"
        with refused(InvalidInputError, "notice.phone"):
            medical.notices.set_contact(anna, "13800000017")
        with refused(InvalidInputError, "notice.kind"):
            medical.notices.post(b"4" * 32, anna, "haemoglobin", b"r" * 32, AT_S)  # type: ignore[arg-type]

        # Erased: what waits goes, with the phone number.
        receiver.status = 503
        medical.notices.post(b"5" * 32, anna, "withdrawn", b"r" * 32, city[0].core.clock() // 1_000)
        medical.erasing.erase([b"anna"], "PIPL/47")
        assert not list(medical.notices.waiting())
        assert not medical.notices.post(b"5" * 32, anna, "withdrawn", b"r" * 32, AT_S)
        folder = founded.folders[0]
        city.stop()
        assert not [path for path in folder.rglob("*") if path.is_file() and PHONE.encode() in path.read_bytes()]


def test_killed_again_and_again_each_event_is_told_once(receiver: Receiver, tmp_path: Path) -> None:
    """A real process, ended by SIGKILL while it hands over; none is missing at the end and none was taken twice."""
    founded = found(tmp_path, 2)
    folder = founded.folders[1]
    settings(folder, notices="webhook", notice_url=receiver.url)
    total = 40
    with City(founded) as city:
        # Not waited for: each of the two is the other's witness.
        city.nodes[0] = Node.open(founded.folders[0], environ={})
        city.nodes[0].start()
        process: subprocess.Popen[bytes] | None = None
        try:
            for wanted in (3, 12, total):
                command = [sys.executable, "-m", "tests.node.medical.notice_process", str(folder), str(total)]
                process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
                at = wanted
                eventually(lambda at=at: len(receiver.taken) >= at, f"{wanted} notices")
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
    expected = {notice_key(number.to_bytes(32, "big")).hex() for number in range(total)}
    assert receiver.taken.keys() == expected
    assert receiver.attempts.keys() == expected


def test_quiet_hours_are_of_china_and_may_pass_midnight() -> None:
    def at(hour: int, minute: int = 0) -> int:
        return int(datetime(2026, 11, 22, hour, minute, tzinfo=CST).timestamp())

    night = MedicalSection(quiet_from="22:00", quiet_until="08:00")
    assert quiet_for(night, at(21, 59)) == 0
    assert quiet_for(night, at(22)) == 10 * 3_600
    assert quiet_for(night, at(0, 30)) == 7.5 * 3_600
    assert quiet_for(night, at(8)) == 0
    noon = MedicalSection(quiet_from="12:00", quiet_until="14:00")
    assert [quiet_for(noon, at(hour)) for hour in (11, 12, 13, 14, 23)] == [0, 7_200, 3_600, 0, 0]
    never = MedicalSection(quiet_from="08:00", quiet_until="08:00")
    assert not any(quiet_for(never, at(hour)) for hour in range(24))


def test_at_night_nobody_is_told(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    founded = found(tmp_path, 2)
    settings(founded.folders[0], notices="webhook", notice_url=receiver.url, quiet_from="00:00", quiet_until="23:59")
    with City(founded) as city:
        city.start()
        outbox = city[0].context.medical.notices
        night = int(datetime(2026, 11, 22, 3, tzinfo=CST).timestamp())
        anna = city[0].context.medical.vault.subject_of(b"anna")
        outbox.set_contact(anna, PHONE)
        monkeypatch.setattr(outbox, "_context", _at(city[0], night))
        outbox.post(b"1" * 32, anna, "opened", b"r" * 32, night)
        assert outbox._step() > 1
        assert not receiver.attempts
        monkeypatch.setattr(outbox, "_context", _at(city[0], night + 21 * 3_600 - 60))
        outbox.loop.wake()
        eventually(lambda: len(receiver.taken) == 1, "the notice in the morning")


def _at(node: Node, at_s: int) -> object:
    return replace(node.context, clock=lambda: at_s * 1_000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_names_no_hospital_no_item_and_no_decision(kind: str) -> None:
    words = ("hospital a", "blood", "positive", "recognised", "re-test", "医院", "血", "互认通过", "重复检查", "阳性")
    for language in ("zh", "en"):
        text = notice_text(kind, language, AT_S)  # type: ignore[arg-type]
        assert not [word for word in words if word in text.lower()]
        assert datetime.fromtimestamp(AT_S, CST).strftime("%Y-%m-%d %H:%M") in text


def test_files_are_whole_and_one_for_a_key(tmp_path: Path) -> None:
    adapter = FileAdapter(tmp_path / "notices")
    message = Message(key=b"k" * 32, phone=PHONE, text="有变更", language="zh")
    adapter.send(message)
    adapter.send(message)
    (path,) = (tmp_path / "notices").iterdir()
    assert json.loads(path.read_bytes())["text"] == "有变更"
    assert path.stat().st_mode & 0o077 == 0
    adapter.forget(b"k" * 32)
    adapter.forget(b"k" * 32)
    assert not list((tmp_path / "notices").iterdir())


@pytest.mark.parametrize(
    "url", ["", "ftp://x/", "http://sms.example.cn/", "https://user:pw@sms.example.cn/", "https://"]
)
def test_phone_numbers_go_to_no_such_address(url: str) -> None:
    with refused(InvalidInputError, "notice.url"):
        WebhookAdapter(url, None)


def test_a_receiver_that_is_away_and_a_token_that_is_missing(receiver: Receiver, tmp_path: Path) -> None:
    message = Message(key=b"k" * 32, phone=PHONE, text="x", language="en")
    with refused(UnavailableError, "notice.unreachable"):
        WebhookAdapter(receiver.url, tmp_path / "no-token").send(message)
    receiver.close()
    with refused(UnavailableError, "notice.unreachable"):
        WebhookAdapter(receiver.url, None).send(message)


def test_the_quiet_hours_begin_in_the_middle_of_a_round(node: Node, tmp_path: Path) -> None:
    context, medical = node.context, node.medical
    section = msgspec.structs.replace(context.config.medical, notices="file", quiet_from="22:00", quiet_until="08:00")
    now_ms = [int(datetime(2026, 11, 23, 21, 59, 58, tzinfo=CST).timestamp()) * 1_000]
    config = msgspec.structs.replace(context.config, medical=section)
    outbox = Outbox(
        replace(context, config=config, clock=lambda: now_ms[0]), medical.keeping, lambda: True, lambda _: None
    )

    class Slow(FileAdapter):
        """Takes a second and a half for each."""

        def send(self, message: Message) -> None:
            super().send(message)
            now_ms[0] += 1_500

    outbox._adapter = Slow(tmp_path / "out")
    subject = medical.vault.subject_of(b"quiet")
    outbox.set_contact(subject, PHONE)
    events = [b"quiet" + bytes([number]) * 27 for number in range(4)]
    for event in events:
        assert outbox.post(event, subject, "opened", b"r" * 32, AT_S)
    outbox._step()
    assert sorted(outbox.fate(event)[0] for event in events) == ["delivered"] * 2 + ["waiting"] * 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_file_that_a_stop_cut_short_is_forgotten_too(tmp_path: Path) -> None:
    adapter = FileAdapter(tmp_path)
    adapter.send(Message(key=b"k" * 32, phone=PHONE, text="text", language="en"))
    (file,) = tmp_path.iterdir()
    # What a stop between writing and putting it in its place leaves.
    file.rename(tmp_path / f"{file.name}.new")
    adapter.forget(b"k" * 32)
    assert not list(tmp_path.iterdir())
