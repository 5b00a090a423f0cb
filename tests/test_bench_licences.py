"""The licence part of ``scripts/bench gateway``: a bar is judged by its figure; what is measured is a valid licence."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.licences import binding, issuing
from scripts.benches import licences


def figures(*, rate: float, share: float, seconds: float) -> dict[str, Any]:
    """What a run measures, all of it as good or as bad as these."""
    measured = {"per_second": rate, "seconds": [1.0], "share": share}
    return {
        "limit": measured | {"threads": 2},
        "native": measured,
        "door": measured,
        "judged": measured,
        "bound": measured,
        "issue": measured,
        "status": {"make_s": seconds, "read_s": seconds, "token_bytes": 30_000},
    }


@pytest.mark.parametrize(
    ("rate", "share", "seconds", "met"),
    [
        (2_000, 0.8, 0.05, [True] * 5),
        (1_999, 0.79, 0.051, [False, True, False, True, False]),
        (1_999, 0.49, 1.1, [False] * 5),
    ],
)
def test_every_bar_is_judged_by_its_figure(rate: float, share: float, seconds: float, met: list[bool]) -> None:
    rows = licences.rows(figures(rate=rate, share=share, seconds=seconds))
    assert [row.met for row in rows if row.met is not None] == met
    assert len(rows) == 8


def test_what_is_measured_is_a_valid_licence() -> None:
    """The measures end the run where a licence is not valid or a list is not the one that was made."""
    sizes = licences.Sizes(licences=3, rounds=1, bound=2)
    issuer, holder = licences._signer("issuer"), licences._signer("holder")
    texts, issued = licences._issue(sizes, issuer, holder)
    assert len(set(texts)) == 3
    assert issued["per_second"] > 0
    shown = [issuing.present(text, [(name,) for name in licences.SHOWN]) for text in texts]
    assert {text.count("~") for text in shown} == {1 + len(licences.SHOWN)}
    listed, status = licences._status(issuer)
    assert status["token_bytes"] > 10_000
    assert licences._opened(shown, issuer) > 0
    assert licences._judged(shown, issuer, listed) > 0
    bound = [
        binding.bind(text, signer=holder, audience=licences.AUDIENCE, nonce=licences.NONCE, issued_at=licences.NOW_S)
        for text in shown
    ]
    assert licences._judged(bound, issuer, listed, required=True) > 0
    with pytest.raises(SystemExit, match="judged"):
        licences._judged(shown, issuer, listed, required=True)


def test_the_limit_is_named_in_its_row() -> None:
    rows = licences.rows(figures(rate=40_000, share=0.9, seconds=0.01))
    assert "ring" in rows[0].measured
    assert "40,000" in rows[0].measured
