"""The rule of the hand-over, compared with a naive reading of docs/formats.md over chains made at random."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import event, given
from hypothesis import strategies as st

from ledger.errors import LedgerError
from ledger.evidence.light import verify_light
from tests.ledger.evidence.comet import CHAIN_ID, Signed, ValidatorSet, signed

SETS = st.dictionaries(st.integers(0, 5), st.integers(1, 3), min_size=1, max_size=4).map(
    lambda powers: ValidatorSet(powers=powers)
)


@st.composite
def chains(draw: st.DrawFn) -> list[Signed]:
    """Signed heights, most of them ascending; each names its own set, that of the following one, or any other next."""
    sets = draw(st.lists(SETS, min_size=1, max_size=4))
    heights = draw(st.lists(st.integers(2, 40), min_size=len(sets), max_size=len(sets), unique=True))
    if draw(st.integers(0, 4)):
        heights.sort()
    following = [*sets[1:], draw(SETS)]
    return [
        signed(height, set=own, next=draw(st.sampled_from([None, after, after, own]) | SETS))
        for height, own, after in zip(heights, sets, following, strict=True)
    ]


def signers(made: Signed) -> list[int]:
    """Who stands in the light block: the first over two thirds."""
    return made.set.members[: len(made.light().votes)]


def over_a_third(made: Signed, trusted: ValidatorSet) -> bool:
    power = sum(trusted.powers.get(member, 0) for member in signers(made))
    return 3 * power > sum(trusted.powers.values())


def leads(earlier: Signed, later: Signed) -> bool:
    """Whether trust in the earlier block reaches the later one."""
    named = (earlier.next or earlier.set).hash
    if later.height <= earlier.height or later.set.hash == earlier.set.hash:
        return False
    if named == later.set.hash:
        return True
    return named == earlier.set.hash and later.height > earlier.height + 1 and over_a_third(later, earlier.set)


def holds(chain: list[Signed], pinned: Signed) -> bool:
    if not all(leads(earlier, later) for earlier, later in pairwise(chain)):
        return False
    start = next((at for at, made in enumerate(chain) if made.height >= pinned.height), len(chain) - 1)
    if chain[start].set.hash != pinned.set.hash:
        return False
    if any(made.height == pinned.height and made.hash != pinned.hash for made in chain):
        return False
    return all(over_a_third(chain[at], chain[at + 1].set) for at in range(start))


@given(chains(), st.data())
def test_the_light_client_follows_the_rule_and_nothing_else(chain: list[Signed], data: st.DataObject) -> None:
    pinned = data.draw(st.sampled_from(chain))
    if data.draw(st.booleans()):
        pinned = signed(data.draw(st.integers(1, 41)), set=pinned.set, next=pinned.next)
    code = ""
    try:
        verify_light([made.light() for made in chain], CHAIN_ID, (pinned.height, pinned.hash, pinned.set.hash))
    except LedgerError as error:
        code = error.code
    event(code or "accepted, of " + str(len(chain)))
    assert (code == "") == holds(chain, pinned), code
    assert not code or code.startswith("finality.")
