"""Times have one form; words and enums belong together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError
from ledger.model import (
    MAX_TIME_MS,
    GrantState,
    KeyRole,
    Level,
    MemberInfo,
    MemberStatus,
    Roles,
    Sharing,
    format_time,
    parse_time,
)


def test_time_of_the_formats_page() -> None:
    assert format_time(1_795_318_905_684) == "2026-11-22T03:41:45.684Z"
    assert format_time(0) == "1970-01-01T00:00:00.000Z"


@given(st.integers(0, MAX_TIME_MS))
def test_time_round_trip(time_ms: int) -> None:
    assert parse_time(format_time(time_ms)) == time_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22T03:41:45Z",
        "2026-11-22T03:41:45.684",
        "2026-11-22t03:41:45.684z",
        "2026-11-22T03:41:45.684+00:00",
        "2026-11-22 03:41:45.684Z",
        "2026-02-30T03:41:45.684Z",
        "2026-11-22T24:00:00.000Z",
        "2026-11-22T03:41:60.000Z",
        "1969-12-31T23:59:59.999Z",
        "2026-11-22T03:41:45.684Z\n",
        "２026-11-22T03:41:45.684Z",
    ],
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_time(text)
    assert caught.value.code == "time.format"


@pytest.mark.parametrize("time_ms", [-1, MAX_TIME_MS + 1])
def test_times_out_of_range(time_ms: int) -> None:
    with pytest.raises(InvalidInputError) as caught:
        format_time(time_ms)
    assert caught.value.code == "time.range"


@pytest.mark.parametrize("kind", [Level, Sharing, KeyRole, MemberStatus, GrantState])
def test_words_name_their_members(kind: type[Level]) -> None:
    assert [kind.from_word(item.word) for item in kind] == list(kind)
    for word in ("", "nothing", kind(1).name):
        with pytest.raises(InvalidInputError) as caught:
            kind.from_word(word)
        assert caught.value.code == "model.word"
        assert kind(1).word in caught.value.hint


def test_words_that_files_use() -> None:
    assert (Sharing.NOT_SHARED.word, Sharing.NOT_SHARED.zh) == ("not-shared", "不予共享")
    assert (Level.IMPORTANT.word, Level.IMPORTANT.zh) == ("important", "重要")
    assert [role.word for role in KeyRole] == [
        "account", "consensus", "sequencer", "p2p", "tls", "log", "witness", "receipt", "issuer",
    ]  # fmt: skip


def test_roles() -> None:
    assert Roles.from_words(("auditor", "supervisor")) == Roles.SUPERVISOR | Roles.AUDITOR
    assert (Roles.SUPERVISOR | Roles.QUALITY).words == ("supervisor", "quality")
    with pytest.raises(InvalidInputError):
        Roles.from_words(("king",))


def test_member_names_its_log_and_witness() -> None:
    member = MemberInfo(
        uscc="11100000000013338W",
        handle="audit",
        region="310000",
        roles=Roles.AUDITOR,
        status=MemberStatus.ACTIVE,
        account=b"a" * 20,
        generation=3,
        since=0,
        validator=True,
    )
    assert member.origin == "310000.audit.civicledger/log/3"
    assert member.witness_name == "310000.audit.civicledger/witness"
