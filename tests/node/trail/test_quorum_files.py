"""The operator's policy file, and tlog-policies in general, come back as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FatalError, InvalidInputError
from ledger.evidence.note import ED25519_COSIGNATURE, ED25519_NOTE, VKey
from ledger.evidence.tlogpolicy import Group, TlogPolicy, parse_tlog_policy
from node.trail.quorum import WitnessQuorum

MEMBER = "11310000MB00000018"
#: Octets above 127 stand as one character each.
WORDS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), min_size=1, max_size=9
)


@st.composite
def policies(draw: st.DrawFn) -> TlogPolicy:
    count = draw(st.integers(0, 6))
    names = draw(
        st.lists(WORDS.filter(lambda word: word != "none"), min_size=2 * count, max_size=2 * count, unique=True)
    )
    keys = [VKey(name=f"w{n}", type=ED25519_COSIGNATURE, public=bytes([n]) * 32) for n in range(count)]
    logs = [
        VKey(name=f"l{n}/日志", type=ED25519_NOTE, public=bytes([n + 100]) * 32) for n in range(draw(st.integers(0, 3)))
    ]
    free, groups = names[:count], []
    for name in names[count:]:
        if not free:
            break
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        groups.append(Group(name=name, threshold=draw(st.integers(1, len(members))), members=tuple(members)))
        free = [one for one in free if one not in members] + [name]
    urls = sorted((str(key), draw(WORDS)) for key in [*keys, *logs] if draw(st.booleans()))
    return TlogPolicy(
        logs=tuple(logs),
        witnesses=tuple(zip(names, keys, strict=False)),
        groups=tuple(groups),
        quorum=draw(st.sampled_from(["none", *names[:count], *(group.name for group in groups)])),
        urls=tuple(urls),
    )


def naive(policy: TlogPolicy, cosigned: set[bytes]) -> bool:
    """The rule of the specification, recursively."""
    keys, groups = dict(policy.witnesses), {group.name: group for group in policy.groups}

    def holds(name: str) -> bool:
        if name in groups:
            return sum(holds(member) for member in groups[name].members) >= groups[name].threshold
        return name == "none" or keys[name].public in cosigned

    return holds(policy.quorum)


@given(policies(), st.sets(st.integers(0, 5)))
def test_what_is_written_is_read_and_means_the_same(policy: TlogPolicy, signers: set[int]) -> None:
    again = parse_tlog_policy(bytes(policy))
    assert again == policy
    cosigned = {key.public for number, (_, key) in enumerate(policy.witnesses) if number in signers}
    assert again.satisfied([key for _, key in policy.witnesses if key.public in cosigned]) == naive(policy, cosigned)


@pytest.mark.parametrize("name", ["a b", "a\tb", "", "中"])
def test_a_policy_no_file_can_say_is_refused(name: str) -> None:
    key = VKey(name="w", type=ED25519_COSIGNATURE, public=bytes(32))
    policy = TlogPolicy(
        logs=(), witnesses=(("a", key),), groups=(Group(name=name, threshold=1, members=("a",)),), quorum="a"
    )
    with pytest.raises(InvalidInputError) as caught:
        bytes(policy)
    assert caught.value.code == "policy.tlog"


@pytest.mark.parametrize("threshold", ["0", "01", "3", "0000000001", "00000000011", "-1", "+1", "１", "1.0", "Any"])
def test_a_threshold_has_one_spelling(threshold: str) -> None:
    keys = [VKey(name=f"w{n}", type=ED25519_COSIGNATURE, public=bytes([n]) * 32) for n in range(2)]
    text = f"witness a {keys[0]}\nwitness b {keys[1]}\ngroup g {threshold} a b\nquorum g\n"
    with pytest.raises(InvalidInputError):
        parse_tlog_policy(text.encode())


def test_the_operators_file(tmp_path: Path) -> None:
    file = tmp_path / "witnesses.policy"
    with pytest.raises(FatalError) as caught:
        WitnessQuorum.of_file(MEMBER, file)
    assert caught.value.code == "config.unreadable"
    file.write_bytes(b"quorum nobody\n")
    with pytest.raises(InvalidInputError) as refused:
        WitnessQuorum.of_file(MEMBER, file)
    assert refused.value.code == "policy.tlog"
    assert str(file) in refused.value.message
    file.write_bytes(b"# nobody but the quorum of members\nquorum none\n")
    assert WitnessQuorum.of_file(MEMBER, file).own == parse_tlog_policy(b"quorum none")
    assert WitnessQuorum.of_file(MEMBER, None).own is None
