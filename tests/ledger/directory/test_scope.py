"""Scopes: one spelling, nothing outside leaves, a query never widens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.directory.catalogue import DatasetMetadata, Field
from ledger.directory.scope import (
    Scope,
    apply_scope,
    check_scope,
    decode_scope,
    encode_scope,
    make_scope,
    narrow,
    scope_digest,
)
from ledger.errors import InvalidInputError, NotAllowedError

NAMES = ["a", "b", "c", "d"]
SCALARS = st.sampled_from(["1", "2", 1, 2, True, False, ""])
SCOPES = st.builds(
    make_scope,
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.dictionaries(
        st.sampled_from(NAMES),
        st.sets(SCALARS.map(lambda v: (type(v), v)), min_size=1).map(lambda pairs: [value for _, value in pairs]),
        max_size=3,
    ),
)
ROWS = st.lists(st.dictionaries(st.sampled_from([*NAMES, "e"]), SCALARS | st.none()), max_size=8)


@given(SCOPES)
def test_a_scope_has_one_spelling(scope: Scope) -> None:
    data = encode_scope(scope)
    assert decode_scope(data) == scope
    assert scope_digest(scope) == codec.domain_digest("scope", data)


def test_the_form_written_by_hand() -> None:
    scope = decode_scope(b'{"fields":["code","name"],"rows":{"kind":["city","county"],"province":"31"}}')
    assert scope == make_scope(["name", "code"], {"province": "31", "kind": ["county", "city"]})
    assert decode_scope(b'{"fields":["code"],"rows":{}}').holds({})


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"fields": ["a"]},
        {"rows": {}},
        {"fields": [], "rows": {}},
        {"fields": ["b", "a"], "rows": {}},
        {"fields": ["a", "a"], "rows": {}},
        {"fields": [""], "rows": {}},
        {"fields": ["x" * 65], "rows": {}},
        {"fields": [1], "rows": {}},
        {"fields": "a", "rows": {}},
        {"fields": ["a"], "rows": []},
        {"fields": ["a"], "rows": {"b": []}},
        {"fields": ["a"], "rows": {"b": ["1"]}},
        {"fields": ["a"], "rows": {"b": ["2", "1"]}},
        {"fields": ["a"], "rows": {"b": ["1", "1"]}},
        {"fields": ["a"], "rows": {"b": None}},
        {"fields": ["a"], "rows": {"b": {"c": 1}}},
        {"fields": ["a"], "rows": {"b": "x" * 257}},
        {"fields": ["a"], "rows": {}, "more": 1},
        {"fields": [f"f{n:03d}" for n in range(257)], "rows": {}},
    ],
)
def test_what_is_not_a_scope_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_scope(codec.encode(value))
    assert caught.value.code == "scope.form"


@given(SCOPES, ROWS)
def test_nothing_outside_the_scope_leaves(scope: Scope, rows: list[dict[str, Any]]) -> None:
    out = list(apply_scope(rows, scope))
    inside = [row for row in rows if scope.holds(row)]
    assert len(out) == len(inside)
    for given_row, row in zip(inside, out, strict=True):
        assert row.keys() <= set(scope.fields)
        assert all(row[name] is given_row[name] for name in row)
        for name, values in scope.rows:
            assert any(type(given_row[name]) is type(value) and given_row[name] == value for value in values)


@given(SCOPES, SCOPES, ROWS)
def test_a_query_never_widens_a_scope(scope: Scope, query: Scope, rows: list[dict[str, Any]]) -> None:
    try:
        narrowed = narrow(scope, query)
    except NotAllowedError:
        # Refused for a reason: something of the query lies outside the scope.
        known = dict(scope.rows)
        assert set(query.fields) - set(scope.fields) or any(
            name not in scope.fields if name not in known else not _within(values, known[name])
            for name, values in query.rows
        )
        return
    assert set(narrowed.fields) <= set(scope.fields)
    assert all(scope.holds(row) and query.holds(row) for row in rows if narrowed.holds(row))


def _within(values: tuple[Any, ...], allowed: tuple[Any, ...]) -> bool:
    return {(type(value), value) for value in values} <= {(type(value), value) for value in allowed}


def test_no_query_asks_for_the_whole_scope() -> None:
    scope = make_scope(["a"], {"b": "1"})
    assert narrow(scope, None) == scope


@pytest.mark.parametrize(
    "query",
    [
        make_scope(["c"]),
        make_scope(["a"], {"b": "2"}),
        make_scope(["a"], {"b": 1}),
        make_scope(["a"], {"b": ["1", "2"]}),
        # A condition on a field that was not granted would leak it, row by row.
        make_scope(["a"], {"secret": "1"}),
    ],
)
def test_a_query_outside_the_scope_is_refused(query: Scope) -> None:
    with pytest.raises(NotAllowedError) as caught:
        narrow(make_scope(["a"], {"b": "1"}), query)
    assert caught.value.code == "grant.scope"


def test_values_are_compared_with_their_type() -> None:
    assert make_scope(["a"], {"a": 1}).holds({"a": 1})
    assert not make_scope(["a"], {"a": 1}).holds({"a": True})
    assert not make_scope(["a"], {"a": 1}).holds({"a": "1"})
    assert not make_scope(["a"], {"a": 1}).holds({"a": 1.0})
    assert not make_scope(["a"], {"a": "x"}).holds({"a": ["x"]})
    assert not make_scope(["a"], {"a": "x"}).holds({})


def test_masks_apply_to_what_leaves() -> None:
    fields = (
        Field(name="a", type="string", title="a", mask="ends"),
        Field(name="b", type="string", title="b", mask="hide"),
        Field(name="c", type="string", title="c"),
    )
    rows = [{"a": "张小三", "b": "secret", "c": "open"}, {"a": "张三", "b": None, "c": 5}]
    assert list(apply_scope(rows, make_scope(["a", "b", "c"]), fields)) == [
        {"a": "张*三", "b": "***", "c": "open"},
        {"a": "***", "b": None, "c": 5},
    ]


def test_a_scope_names_items_of_its_dataset(metadata: DatasetMetadata) -> None:
    check_scope(make_scope(["code"], {"name": "上海市"}), metadata)
    for scope in (make_scope(["other"]), make_scope(["code"], {"other": "1"})):
        with pytest.raises(InvalidInputError) as caught:
            check_scope(scope, metadata)
        assert caught.value.code == "scope.unknown-field"
