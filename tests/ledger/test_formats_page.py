"""``docs/formats.md`` says what the code does: every worked example of the page is recomputed from its inputs."""

from __future__ import annotations

from tests.ledger import (
    formats_bundles,
    formats_chain,
    formats_issuing,
    formats_keeping,
    formats_licences,
    formats_medical,
    formats_records,
    formats_slips,
    formats_steps,
    formats_suites,
)
from tests.ledger.formats_page import EXAMPLES, PAGE, blocks

#: Importing them registers their examples.
PARTS = (
    formats_bundles,
    formats_chain,
    formats_issuing,
    formats_keeping,
    formats_licences,
    formats_medical,
    formats_records,
    formats_slips,
    formats_steps,
    formats_suites,
)


def test_every_example_of_the_page() -> None:
    found = list(blocks(PAGE.read_text("utf-8")))
    assert sorted(name for name, _, _ in found) == sorted(EXAMPLES), "each example once, and none without its block"
    for name, given, results in found:
        assert EXAMPLES[name](given) == results, name


def test_a_wrong_example_is_noticed() -> None:
    page = PAGE.read_text("utf-8")
    spoiled = page.replace("uscc: 11100000000013338W", "uscc: 11430000006122244L")
    assert spoiled != page
    wrong = [name for name, given, results in blocks(spoiled) if EXAMPLES[name](given) != results]
    assert wrong == ["member-id", "slots"]
