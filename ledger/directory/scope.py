"""Scope of a grant: which fields of which rows, and nothing else.

The file is ``{"fields": ["code", "name"], "rows": {"kind": ["city", "county"], "province": "31"}}``: a row is inside
when each named field has the value, or one of the values (two or more, sorted). Both keys must be there: ``rows``
``{}`` is the written statement "every row", never a default, and there is no way to write "every field".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.directory.catalogue import DatasetMetadata, Field
from ledger.errors import InvalidInputError, NotAllowedError

MAX_FIELDS: Final = 256
MAX_VALUES: Final = 1000
MAX_TEXT: Final = 256

Scalar = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """``fields``: names, sorted. ``rows``: (field, allowed values), sorted by field; empty is every row."""

    fields: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is inside. Values are compared with their type: ``1``, ``"1"`` and ``true`` differ."""
        return all(name in row and _key(row[name]) in {_key(v) for v in values} for name, values in self.rows)


def make_scope(fields: Iterable[str], rows: Mapping[str, Scalar | Iterable[Scalar]] | None = None) -> Scope:
    """A scope of names and, per row field, one value or several.

    Raises:
        InvalidInputError: ``scope.form``.
    """
    constraints = []
    for name, values in (rows or {}).items():
        several = [values] if isinstance(values, str | int) else list(values)
        constraints.append((name, tuple(sorted(several, key=_order))))
    return _checked(Scope(fields=tuple(sorted(fields)), rows=tuple(sorted(constraints, key=lambda item: item[0]))))


def encode_scope(scope: Scope) -> bytes:
    """The canonical file."""
    rows = {name: values[0] if len(values) == 1 else values for name, values in scope.rows}
    return codec.encode({"fields": scope.fields, "rows": rows})


def decode_scope(data: bytes) -> Scope:
    """The scope of a canonical file; lists must be sorted, so that one scope has one digest.

    Raises:
        InvalidInputError: ``json.*`` or ``scope.form``.
    """
    value = codec.decode(data)
    if not isinstance(value, dict) or value.keys() != {"fields", "rows"}:
        raise _wrong('an object with "fields" and "rows"')
    fields, rows = value["fields"], value["rows"]
    if not isinstance(fields, list) or not isinstance(rows, dict):
        raise _wrong('"fields" is a list of names, "rows" an object of name to values')
    constraints = []
    for name, values in rows.items():
        if isinstance(values, list) and len(values) < 2:
            raise _wrong(f"one value for {name} is written without a list")
        constraints.append((name, tuple(values) if isinstance(values, list) else (values,)))
    return _checked(Scope(fields=tuple(fields), rows=tuple(sorted(constraints, key=lambda item: item[0]))))


def scope_digest(scope: Scope) -> bytes:
    """The digest that stands on chain, 32 bytes."""
    return codec.domain_digest("scope", encode_scope(scope))


def check_scope(scope: Scope, metadata: DatasetMetadata) -> None:
    """Refuse a scope that names what the dataset does not have.

    Raises:
        InvalidInputError: ``scope.unknown-field``.
    """
    known = set(metadata.field_names)
    for name in (*scope.fields, *(name for name, _ in scope.rows)):
        if name not in known:
            raise InvalidInputError(
                "scope.unknown-field",
                f"the dataset has no item {name}",
                hint="its items: " + ", ".join(metadata.field_names),
                actual=name,
            )


def narrow(scope: Scope, query: Scope | None) -> Scope:
    """What a query asks within a grant's scope; None asks for all of it.

    A query may leave fields out and narrow rows further, by fields of the scope only: a condition on a field that was
    not granted would answer questions about it.

    Raises:
        NotAllowedError: ``grant.scope``, with the field or value that is outside.
    """
    if query is None:
        return scope
    for name in query.fields:
        if name not in scope.fields:
            raise _outside(f"field {name} was not granted", scope.fields, name)
    granted = dict(scope.rows)
    asked = dict(query.rows)
    for name, values in asked.items():
        if name in granted:
            allowed = {_key(value) for value in granted[name]}
            for value in values:
                if _key(value) not in allowed:
                    raise _outside(f"rows with {name} = {value} were not granted", granted[name], value)
        elif name not in scope.fields:
            raise _outside(f"rows cannot be chosen by {name}, which was not granted", scope.fields, name)
    return Scope(fields=query.fields, rows=tuple(sorted({**granted, **asked}.items())))


def apply_scope(
    rows: Iterable[Mapping[str, Any]], scope: Scope, fields: Sequence[Field] = ()
) -> Iterator[dict[str, Any]]:
    """The rows inside the scope with its fields only, masked as the dataset's ``fields`` say. A field that a row does
    not have stays absent."""
    masks = {field.name: field.mask for field in fields if field.mask is not None}
    for row in rows:
        if scope.holds(row):
            yield {
                name: _masked(row[name], masks[name]) if name in masks else row[name]
                for name in scope.fields
                if name in row
            }


def _masked(value: Any, mask: str) -> Any:
    """``hide``: nothing of it; ``ends``: first and last character of three or more."""
    if value is None:
        return None
    text = str(value)
    if mask == "ends" and len(text) >= 3:
        return text[0] + "*" * (len(text) - 2) + text[-1]
    return "***"


def _checked(scope: Scope) -> Scope:
    names = [name for name, _ in scope.rows]
    for what in (*scope.fields, *names):
        if not isinstance(what, str) or not 1 <= len(what) <= 64:
            raise _wrong("a field name has 1 to 64 characters")
    if not 1 <= len(scope.fields) <= MAX_FIELDS or list(scope.fields) != sorted(set(scope.fields)):
        raise _wrong(f"1 to {MAX_FIELDS} fields, sorted, each once (a missing field list never means every field)")
    if len(names) > MAX_FIELDS:
        raise _wrong(f"at most {MAX_FIELDS} row fields")
    for name, values in scope.rows:
        if not 1 <= len(values) <= MAX_VALUES:
            raise _wrong(f"1 to {MAX_VALUES} values for {name}")
        if not all(isinstance(value, str | int) and len(str(value)) <= MAX_TEXT for value in values):
            raise _wrong(f"values are text of at most {MAX_TEXT} characters, integers or true and false")
        keys = [_order(value) for value in values]
        if keys != sorted(set(keys)):
            raise _wrong(f"the values for {name} are sorted, each once")
    return scope


def _key(value: Any) -> tuple[type, Any]:
    return type(value), value if isinstance(value, str | int | bool | float | None) else str(value)


def _order(value: Scalar) -> tuple[int, str | int]:
    if isinstance(value, bool):
        return 0, int(value)
    return (1, value) if isinstance(value, int) else (2, value)


def _wrong(allowed: str) -> InvalidInputError:
    return InvalidInputError("scope.form", f"not a scope: {allowed}", hint="see docs/odrl.md, scope")


def _outside(message: str, expected: Sequence[Scalar], actual: Scalar) -> NotAllowedError:
    return NotAllowedError(
        "grant.scope",
        message,
        hint="ask within the grant's scope, or request a wider grant",
        expected=", ".join(str(value) for value in expected[:20]),
        actual=str(actual)[:80],
    )
