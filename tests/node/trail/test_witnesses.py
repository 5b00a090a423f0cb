"""The log gathers its quorum whatever single witnesses do: dead ones, hanging ones, lying ones."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger.errors import ConflictError, LedgerError, UnavailableError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import parse_note, verify_checkpoint
from ledger.evidence.note import ED25519_COSIGNATURE, VKey
from ledger.evidence.tlogpolicy import parse_tlog_policy
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyRole
from node.chain.tracker import PeerTracker
from node.context import Published, system_clock
from node.trail.opening import LogOpening
from node.trail.quorum import WitnessQuorum
from tests.node.core.makers import eventually
from tests.node.trail.town import Answer, Body, Last, Publishing, Town, http, make_record

Found = Callable[[int], Town]
STRANGER = Ed25519Signer(KeyRole.WITNESS, b"\x77" * 32)


def noted(body: bytes) -> bytes:
    """The note inside an add-checkpoint request."""
    return body.partition(b"\n\n")[2]


def other_note(owner: Body) -> bytes:
    return owner.note([bytes([7]) * 32], 1)


def spoiled(line: bytes) -> bytes:
    """The line with one bit of its signature turned."""
    head, _, encoded = line.rstrip(b"\n").rpartition(b" ")
    raw = bytearray(base64.b64decode(encoded))
    raw[-1] ^= 1
    return head + b" " + base64.b64encode(raw) + b"\n"


def now_s() -> int:
    return system_clock() // 1_000


#: name -> (what the liar answers to add-checkpoint, the code that names it)
LIES: dict[str, tuple[Callable[[Body, Body, bytes], bytes | None], str]] = {
    "says nothing": (lambda me, owner, body: None, "peer.unreachable"),
    "closes": (lambda me, owner, body: Last(), "peer.unreachable"),
    "no HTTP": (lambda me, owner, body: b"hello\r\n\r\n", "peer.unreachable"),
    "cut short": (lambda me, owner, body: Last(http(200, me.cosign(noted(body)))[:-9]), "peer.unreachable"),
    "endless body": (lambda me, owner, body: http(200, b"x" * (2 << 20)), "peer.unreachable"),
    "nested body": (lambda me, owner, body: http(200, b"[" * 100_000), "peer.unreachable"),
    "empty": (lambda me, owner, body: http(200, b""), "witness.answer"),
    "no line": (lambda me, owner, body: http(200, b"fine\n"), "witness.answer"),
    "no text": (lambda me, owner, body: http(200, b"\xff\xfe\n"), "witness.answer"),
    "half a line": (lambda me, owner, body: http(200, me.cosign(noted(body)).rstrip()), "witness.answer"),
    "many lines": (lambda me, owner, body: http(200, me.cosign(noted(body)) * 17), "witness.answer"),
    "unknown key": (
        lambda me, owner, body: http(200, me.cosign(noted(body), signer=STRANGER)),
        "checkpoint.cosignature",
    ),
    "another head": (lambda me, owner, body: http(200, me.cosign(other_note(owner))), "checkpoint.cosignature"),
    "spoiled": (
        lambda me, owner, body: http(200, spoiled(me.cosign(noted(body)))),
        "checkpoint.cosignature",
    ),
    "of the past": (
        lambda me, owner, body: http(200, me.cosign(noted(body), now_s() - 4_000)),
        "checkpoint.cosignature-time",
    ),
    "of the future": (
        lambda me, owner, body: http(200, me.cosign(noted(body), now_s() + 4_000)),
        "checkpoint.cosignature-time",
    ),
    "no size": (lambda me, owner, body: http(409, b"many\n"), "witness.answer"),
    "huge size": (lambda me, owner, body: http(409, b"9" * 40 + b"\n"), "witness.answer"),
    "no line feed": (lambda me, owner, body: http(409, b"0"), "witness.answer"),
    "the size it was given": (lambda me, owner, body: http(409, body[4 : body.index(b"\n") + 1]), "witness.confused"),
    "more than there is": (lambda me, owner, body: http(409, b"99\n"), "witness.confused"),
    "refuses": (lambda me, owner, body: http(403, b"no\n"), "witness.refused"),
    "breaks": (lambda me, owner, body: http(500, b"oh\n"), "witness.refused"),
    "disagrees without a head": (lambda me, owner, body: http(422, b"no\n"), "witness.disagrees"),
}


def offered(town: Town, publishing: Publishing, number: int, timeout: float = 60.0) -> LedgerError:
    """What comes of offering the newest note to a witness; a LedgerError always."""
    feed = publishing.feed(town.bodies[number].uscc, timeout)
    try:
        with pytest.raises(LedgerError) as caught:
            feed._step()
        return caught.value
    finally:
        feed.close()


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_counts_for_nothing_and_has_a_name(found: Found, lie: str) -> None:
    town = found(2)
    owner, me = town.bodies
    answer, code = LIES[lie]

    def speak(path: str, body: bytes) -> bytes | None:
        # What it claims to hold, it cannot show.
        return answer(me, owner, body) if path == "/add-checkpoint" else http(404, b"")

    town.liar(1, speak)
    publishing = town.publishing()
    published = publishing.add(1)
    # Only who says nothing is waited for to the end; a slow machine is no liar.
    error = offered(town, publishing, 1, timeout=1.0 if lie == "says nothing" else 60.0)
    assert (error.code, lie) == (code, lie)
    kept = publishing.publisher.newest()
    assert kept == published, "nothing of the answer is kept"
    assert publishing.publisher.witnessed() is None
    assert publishing.log.why_closed is None, "a stranger cannot close this log"
    (state,) = publishing.attendance.states(town.roster(), owner.uscc)
    assert state.code == code
    answered = code.startswith("checkpoint.") or code == "witness.answer"
    assert publishing.tracker.states()[0].reachable == answered, "a liar is not out of reach"
    assert state.missing_since_ms > 0
    assert not publishing.alarms.alarms()


def test_a_witness_that_changes_its_mind_without_end_is_left_alone(found: Found) -> None:
    town = found(2)
    sizes = iter(range(10_000))
    # Never what was asked with, never more than there is: each answer alone would be a reason to ask again.
    town.liar(
        1, lambda path, body: http(409, b"%d\n" % (next(sizes) % 2)) if path == "/add-checkpoint" else http(404, b"")
    )
    publishing = town.publishing()
    for number in range(3):
        publishing.add(number)
    assert offered(town, publishing, 1).code == "witness.confused"
    assert next(sizes) < 10


def test_a_drip_ends_at_the_deadline(found: Found) -> None:
    town = found(2)
    # Each byte comes in time, the answer never does.
    town.liar(1, lambda path, body: (b"HTTP/1.1 200 x\r\nContent-Length: 100000\r\n\r\n", b"x"))
    publishing = town.publishing()
    publishing.add(1)
    assert offered(town, publishing, 1, timeout=1.0).code == "peer.unreachable"


def test_lines_of_other_keys_are_ignored(found: Found) -> None:
    town = found(2)
    me = town.bodies[1]

    def speak(path: str, body: bytes) -> bytes:
        note = noted(body)
        return http(200, me.cosign(note, signer=STRANGER) + me.cosign(note) + me.cosign(note, signer=STRANGER))

    town.liar(1, speak)
    publishing = town.publishing()
    publishing.add(1)
    feed = publishing.feed(me.uscc)
    while publishing.publisher.wanted_from(me.uscc) is not None:
        feed._offer(feed._connected(), 1, publishing.publisher.newest().note)  # type: ignore[union-attr]
    feed.close()
    witnessed = publishing.publisher.witnessed()
    assert witnessed is not None
    assert len(parse_note(witnessed.note).signatures) == 2, "the log's and the witness's"


def test_dead_and_lying_witnesses_do_not_stop_the_quorum(found: Found) -> None:
    town = found(6)
    owner = town.bodies[0]
    for number in (1, 2, 3):
        town.honest(number)
    town.liar(4, lambda path, body: http(200, town.bodies[4].cosign(noted(body), signer=STRANGER)))
    # Member 5 listens to nobody.
    publishing = town.publishing()
    publishing.feeds.start_missing()
    published = publishing.add(1)
    assert published.quorum == 4
    eventually(lambda: publishing.publisher.newest().cosignatures == 3)  # type: ignore[union-attr]
    assert publishing.publisher.witnessed() is None

    def missing() -> list[bool]:
        states = {one.member: one for one in publishing.attendance.states(town.roster(), owner.uscc)}
        return [bool(states[body.uscc].missing_since_ms) for body in town.bodies[1:]]

    eventually(lambda: missing() == [False, False, False, True, True])
    eventually(
        lambda: (
            [one.code for one in publishing.attendance.states(town.roster(), owner.uscc)[3:]]
            == ["checkpoint.cosignature", "peer.unreachable"]
        )
    )
    # One of the two comes back: the same head is witnessed now, without anything new in the log.
    town.honest(5)
    assert publishing.publisher.wait_witnessed(1, 300)
    witnessed = publishing.publisher.witnessed()
    assert witnessed is not None
    keys = [VKey(name=b.info.witness_name, type=ED25519_COSIGNATURE, public=b.witness.public) for b in town.bodies[1:]]
    assert verify_checkpoint(witnessed.note, owner.vkey, keys, 4).checkpoint.size == 1
    assert publishing.attendance.states(town.roster(), owner.uscc)[4].missing_since_ms == 0


def policy_of(town: Town, rule: str) -> WitnessQuorum:
    lines = [
        f"witness w{number} {VKey(name=b.info.witness_name, type=ED25519_COSIGNATURE, public=b.witness.public)}"
        for number, b in enumerate(town.bodies)
    ]
    return WitnessQuorum(town.bodies[0].uscc, parse_tlog_policy("\n".join([*lines, rule, ""]).encode()))


@pytest.mark.parametrize(
    ("rule", "enough"),
    [
        ("quorum w1", {1, 2}),
        ("quorum w3", {1, 2, 3}),
        ("group g all w2 w3\nquorum g", {1, 2, 3}),
        ("group g any w2 w3\nquorum g", {1, 2}),
        ("group a any w1 w3\ngroup b 1 w2\ngroup g all a b\nquorum g", {1, 2}),
        ("group a all w1 w2 w3\nquorum a", {1, 2, 3}),
        ("quorum none", {1, 2}),
    ],
)
def test_the_operators_policy_asks_for_more_never_for_less(found: Found, rule: str, enough: set[int]) -> None:
    town = found(4)
    publishing = town.publishing(policy_of(town, rule))
    note = publishing.add(1).note
    state: Published | None = None
    came: set[int] = set()
    for number in (1, 2, 3):
        publishing.publisher.cosigned(town.bodies[number].uscc, 1, town.bodies[number].cosign(note))
        came.add(number)
        state = publishing.publisher.newest()
        assert state is not None
        assert state.quorum == 2
        assert state.witnessed == (came >= enough), came
    witnessed = publishing.publisher.witnessed()
    assert witnessed is not None
    assert witnessed.cosignatures == max(2, len(enough)), "kept as soon as it is enough"


def test_a_policy_that_todays_witnesses_cannot_satisfy_is_noticed(found: Found) -> None:
    town = found(3)
    owner = town.bodies[0].uscc
    assert WitnessQuorum(owner).within_reach(town.roster())
    assert policy_of(town, "quorum w2").within_reach(town.roster())
    # The owner's own witness never signs its own log.
    assert not policy_of(town, "quorum w0").within_reach(town.roster())


def test_the_rule_in_force_as_others_read_it(found: Found) -> None:
    town = found(6)
    rule = WitnessQuorum(town.bodies[0].uscc)
    known = {town.bodies[1].uscc: "witness.example:7002"}
    policy = parse_tlog_policy(bytes(rule.policy(town.roster(), known)))
    assert [url for _, url in policy.urls] == ["https://witness.example:7002"]
    keys = [VKey(name=b.info.witness_name, type=ED25519_COSIGNATURE, public=b.witness.public) for b in town.bodies[1:]]
    assert [key for _, key in policy.witnesses] == keys
    assert policy.logs == (town.bodies[0].vkey,)
    assert [policy.satisfied(keys[:count]) for count in range(6)] == [False, False, False, False, True, True]
    alone = WitnessQuorum(found(1).bodies[0].uscc)
    assert b"quorum none" in bytes(alone.policy(found(1).roster()))


def test_a_rotating_witness_counts_once_with_either_key(found: Found) -> None:
    town = found(3)
    roster, old = town.roster(), town.bodies[1]
    (info,) = roster.active_keys[old.uscc, KeyRole.WITNESS]
    fresh = replace(info, material=STRANGER.public)
    slot = {(old.uscc, KeyRole.WITNESS): (fresh, info)}
    rotating = replace(roster, active_keys={**roster.active_keys, **slot})
    policy = parse_tlog_policy(bytes(WitnessQuorum(town.bodies[0].uscc).policy(rotating)))
    keys = {key.public: key for _, key in policy.witnesses}
    one, other, third = (keys[key] for key in (old.witness.public, STRANGER.public, town.bodies[2].witness.public))
    assert not policy.satisfied([one, other]), "two keys of one member are one witness"
    assert policy.satisfied([one, third])
    assert policy.satisfied([other, third])
    # Some readers take everything behind a # for a comment, wherever it stands.
    assert b"#" not in bytes(policy)


def test_a_log_whose_double_was_cosigned_stops_and_says_so_with_proof(found: Found) -> None:
    town = found(3)
    owner = town.bodies[0]
    witness = town.honest(1)
    publishing = town.publishing()
    # A copy of this log's folder runs elsewhere with the same key: it was there first.
    double = [bytes([number]) * 32 for number in range(2)]
    assert witness.add_checkpoint(b"old 0\n\n" + owner.note(double, 2))[0] == 200
    for number in range(3):
        publishing.add(number)
    error = offered(town, publishing, 1)
    assert isinstance(error, ConflictError)
    assert error.code == "log.forked"
    with pytest.raises(ConflictError, match=r"log\.forked"):
        publishing.log.append((b"{}",))
    (alarm,) = publishing.alarms.alarms()
    assert (alarm.kind, alarm.member) == ("log.forked", owner.uscc)
    assert alarm.evidence is not None
    proven = alarm.evidence.verify((owner.vkey,))
    assert (proven.first.size, proven.first.root) == (2, merkle.root(double))
    assert proven.second.size == 3
    assert publishing.tracker.states()[0].reachable, "the witness did what it should"


def test_a_double_beyond_what_was_signed_here_stops_the_log_without_a_proof(found: Found) -> None:
    town = found(3)
    owner = town.bodies[0]
    witness = town.honest(1)
    publishing = town.publishing()
    publishing.add(0)
    double = [bytes([number]) * 32 for number in range(3)]
    assert witness.add_checkpoint(b"old 0\n\n" + owner.note(double, 3))[0] == 200
    # Appended here, not signed: there is no second signature of ours to show.
    for number in range(1, 5):
        publishing.log.append_record(make_record(owner.uscc, number))
    assert offered(town, publishing, 1).code == "log.forked"
    assert publishing.log.why_closed is not None
    (alarm,) = publishing.alarms.alarms()
    assert (alarm.kind, alarm.evidence) == ("log.forked", None)


def test_a_full_disk_keeps_no_witness_from_answering(found: Found) -> None:
    town = found(3)
    owner, leaves = town.bodies[0], [bytes([number]) * 32 for number in range(9)]

    class Full:
        """A book of alarms without room."""

        def raise_alarm(self, *_: object) -> None:
            raise UnavailableError("disk.full", "no space is left")

    witness = town.witness(1, alarms=Full())
    assert witness.add_checkpoint(b"old 0\n\n" + owner.note(leaves, 5))[0] == 200
    assert witness.add_checkpoint(b"old 5\n\n" + owner.note(leaves[1:], 5))[0] == 422


@pytest.mark.parametrize("lie", ["drips", "nonsense", "another log's head", "a forged head"])
def test_a_bad_witness_does_not_hold_up_the_opening(found: Found, lie: str) -> None:
    """A quorum of the others is enough, and what nobody signed opens and closes nothing."""
    town = found(4)
    owner = town.bodies[0]
    heads = [bytes([number]) * 32 for number in range(9)]
    answers: dict[str, Answer] = {
        "drips": (b"HTTP/1.1 200 x\r\nContent-Length: 100000\r\n\r\n", b"x"),
        "nonsense": http(200, b"\xff\xff"),
        "another log's head": http(200, town.bodies[2].note(heads, 9)),
        "a forged head": http(200, replace(owner, log=town.bodies[2].log).note(heads, 9)),
    }
    town.liar(3, lambda path, body: answers[lie])
    for number in (1, 2):
        town.honest(number)
    log = DepartmentLog.open(town.folder / "own", origin=owner.info.origin, signer=owner.log, clock=system_clock)
    town.at_end(log.close)
    opened: list[int] = []
    opening = LogOpening(
        member=owner.uscc, log=log, roster=town.roster, anchored=lambda: None, kept=lambda: None,
        peers=town.peers,
        tracker=PeerTracker(system_clock), timeout=1.0 if lie == "drips" else 60.0, metrics=town.metrics,
        on_open=lambda: opened.append(1), on_fatal=lambda error: None,
    )  # fmt: skip
    # On a slow machine an honest witness may miss a round too: it is asked again.
    eventually(lambda: opening._step() is None, 300)
    assert opened == [1]
    log.append_record(make_record(owner.uscc, 1))
