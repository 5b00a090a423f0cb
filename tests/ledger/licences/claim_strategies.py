"""Claims as anybody might issue them, with what is selectively disclosable marked at any depth."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ledger.licences.issuing import Hidden

names = st.text(min_size=1, max_size=6).filter(lambda name: name not in ("_sd", "_sd_alg", "..."))
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)


def hide(plain: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return plain | plain.map(Hidden)


values = st.recursive(
    scalars,
    lambda inner: st.lists(hide(inner), max_size=4) | st.dictionaries(names, hide(inner), max_size=4),
    max_leaves=12,
)
credentials = st.dictionaries(names, hide(values), max_size=6)


def plain(value: Any) -> Any:
    """The claims without any marks."""
    if isinstance(value, Hidden):
        return plain(value.value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
