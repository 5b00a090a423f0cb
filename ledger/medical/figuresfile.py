"""The file of figures that a hospital's node shows everybody (``docs/formats.md``, figures of a hospital).

``{"figures": {...}, "signature": base64, "v": 1}`` in JCS; the hospital signs the domain digest ``medical-figures`` of
the inner object's bytes with its receipt key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.codec import b64, domain_digest, unb64
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.evidence.request import check_receipt_signer, verify_party
from ledger.identifiers import parse_uscc
from ledger.keys import Signer
from ledger.medical.published import Month, Row
from ledger.model import format_time, parse_time

MAX_FILE_BYTES: Final = 1 << 20
MAX_MONTHS: Final = 24
_MAX_ROWS: Final = 5_000
_MAX_TEXT: Final = 500
_MONTH: Final = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])\Z")
_ROW: Final = re.compile(r"(\*|0|[1-9][0-9]{0,14})( (\*|0|[1-9][0-9]{0,14})){3}\Z")
_CELL: Final = re.compile(r"(\*|0|[1-9][0-9]{0,14})\Z")
_FIELDS: Final = frozenset({"asOf", "chain", "hospital", "items", "months", "reasons"})
_MONTH_FIELDS: Final = frozenset({"asked", "examined", "items", "month", "providers", "reasons", "total"})
_WORD_FIELDS: Final = frozenset({"en", "zh"})
_ITEM_FIELDS: Final = frozenset({"en", "price", "specialty", "zh"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemWord:
    """What an item of the figures is called, and what one costs by the hospital's rules."""

    zh: str
    en: str
    specialty: str
    price_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HospitalMonth:
    """A month at a hospital: its figures as the one that asked, and what both sides of its steps can be compared by:
    digests (:func:`steps_digest`, 32 bytes) by the other hospital's USCC, ``asked`` of those it took at that one,
    ``examined`` of those that one took here."""

    figures: Month
    asked: Mapping[str, bytes]
    examined: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class HospitalFigures:
    """A hospital's figures. ``chain``: digest of the genesis file; ``as_of_ms``: steps asked for from then on are not
    in it, Unix milliseconds; ``months``: in order, those without a step left out; ``items``, ``reasons``: the words of
    those named; a reason's are (Chinese, English)."""

    chain: bytes
    hospital: str
    as_of_ms: int
    months: tuple[HospitalMonth, ...]
    items: Mapping[str, ItemWord]
    reasons: Mapping[str, tuple[str, str]]


def steps_digest(steps: Iterable[bytes]) -> bytes:
    """32 bytes that say whether two sides know the same steps, and nothing else: their ids cannot be guessed."""
    return domain_digest("medical-figures-steps", b"".join(sorted(steps)))


def parse_month(word: str) -> str:
    """A month as ``2026-11``. Raises: InvalidInputError(medical.month)."""
    if _MONTH.match(word) is None:
        raise InvalidInputError("medical.month", "a month is written like 2026-11", actual=ascii(word)[:40])
    return word


def month_number(word: str) -> int:
    """Months since the year 0. Raises: InvalidInputError(medical.month)."""
    parse_month(word)
    return int(word[:4]) * 12 + int(word[5:]) - 1


def month_word(number: int) -> str:
    """The month of that number: the inverse of :func:`month_number`."""
    return f"{number // 12:04}-{number % 12 + 1:02}"


def sign_figures(signer: Signer, figures: HospitalFigures) -> bytes:
    """The signed file's bytes. Raises: InvalidInputError(key.role | json.*)."""
    check_receipt_signer(signer)
    inner = _object(figures)
    signature = signer.sign(domain_digest("medical-figures", codec.encode(inner)))
    return codec.encode({"figures": inner, "signature": b64(signature), "v": 1})


def verify_figures(data: bytes, keys: Iterable[bytes]) -> HospitalFigures:
    """Check form and signature, which one of ``keys`` (the hospital's receipt keys, 32 bytes each) must have made.

    Raises: InvalidInputError(medical.figures), UntrustedError(medical.figures-signature).
    """
    figures, inner, signature = _decode(data)
    digest, code = domain_digest("medical-figures", inner), "medical.figures-signature"
    known = tuple(keys) or (bytes(32),)
    for key in known[:-1]:
        try:
            verify_party(key, digest, signature, code, figures.hospital)
        except LedgerError:
            continue
        return figures
    verify_party(known[-1], digest, signature, code, figures.hospital)
    return figures


def decode_figures(data: bytes) -> HospitalFigures:
    """The figures in signed bytes, their signature not yet checked. Raises: InvalidInputError(medical.figures)."""
    return _decode(data)[0]


def _object(figures: HospitalFigures) -> dict[str, Any]:
    return {
        "asOf": format_time(figures.as_of_ms),
        "chain": hex_of(figures.chain),
        "hospital": parse_uscc(figures.hospital),
        # One object a word and not one an item: a gateway bounds how many there are before it reads any.
        "items": {
            "en": {key: word.en for key, word in figures.items.items()},
            "price": {key: word.price_cents for key, word in figures.items.items()},
            "specialty": {key: word.specialty for key, word in figures.items.items()},
            "zh": {key: word.zh for key, word in figures.items.items()},
        },
        "months": [_month_object(month) for month in figures.months],
        "reasons": {
            "en": {key: en for key, (_, en) in figures.reasons.items()},
            "zh": {key: zh for key, (zh, _) in figures.reasons.items()},
        },
    }


def _month_object(month: HospitalMonth) -> dict[str, Any]:
    told = month.figures
    return {
        "asked": {key: hex_of(digest) for key, digest in month.asked.items()},
        "examined": {key: hex_of(digest) for key, digest in month.examined.items()},
        "items": {key: _row_text(row) for key, row in told.items.items()},
        "month": parse_month(told.month),
        "providers": {key: _row_text(row) for key, row in told.providers.items()},
        "reasons": {key: _cell_text(value) for key, value in told.reasons.items()},
        "total": _row_text(told.total),
    }


def _cell_text(value: int | None) -> str:
    return "*" if value is None else str(value)


def _row_text(row: Row) -> str:
    return " ".join(map(_cell_text, (row.offered, row.recognised, row.unrecognised, row.retested)))


def _decode(data: bytes) -> tuple[HospitalFigures, bytes, bytes]:
    try:
        value = codec.decode(data, max_bytes=MAX_FILE_BYTES)
        fields(value, frozenset({"figures", "signature", "v"}))
        inner = fields(value["figures"], _FIELDS)
        months = tuple(_month(one) for one in array(inner["months"], MAX_MONTHS))
        words = [one.figures.month for one in months]
        if words != sorted(set(words)):
            raise InvalidInputError("json.fields", "months stand in order, each once")
        figures = HospitalFigures(
            chain=unhex(inner["chain"]),
            hospital=parse_uscc(text(inner["hospital"])),
            as_of_ms=parse_time(text(inner["asOf"])),
            months=months,
            items=_items(fields(inner["items"], _ITEM_FIELDS)),
            reasons=_reasons(fields(inner["reasons"], _WORD_FIELDS)),
        )
        return figures, codec.encode(inner), unb64(text(value["signature"]), 64)
    except LedgerError as error:
        raise InvalidInputError("medical.figures", f"not the figures of a hospital: {error}") from None


def _month(value: Any) -> HospitalMonth:
    parts = fields(value, _MONTH_FIELDS)
    month = Month(
        month=parse_month(text(parts["month"])),
        total=_row(parts["total"]),
        items={_word(key): _row(row) for key, row in _map(parts["items"]).items()},
        providers={parse_uscc(key): _row(row) for key, row in _map(parts["providers"]).items()},
        reasons={_word(key): _cell(cell) for key, cell in _map(parts["reasons"]).items()},
    )
    return HospitalMonth(
        figures=month,
        asked={parse_uscc(key): unhex(digest) for key, digest in _map(parts["asked"]).items()},
        examined={parse_uscc(key): unhex(digest) for key, digest in _map(parts["examined"]).items()},
    )


def _items(parts: Mapping[str, Any]) -> dict[str, ItemWord]:
    zh, en, specialty, price = (_map(parts[name]) for name in ("zh", "en", "specialty", "price"))
    if not zh.keys() == en.keys() == specialty.keys() == price.keys():
        raise InvalidInputError("json.fields", "an item has all its words")
    return {
        _word(key): ItemWord(
            zh=_word(zh[key]), en=_word(en[key]), specialty=_word(specialty[key]), price_cents=integer(price[key])
        )
        for key in zh
    }


def _reasons(parts: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    zh, en = (_map(parts[name]) for name in ("zh", "en"))
    if zh.keys() != en.keys():
        raise InvalidInputError("json.fields", "a reason has all its words")
    return {_word(key): (_word(zh[key]), _word(en[key])) for key in zh}


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > _MAX_ROWS:
        raise InvalidInputError("json.fields", f"an object of at most {_MAX_ROWS} fields is expected")
    return value


def _word(value: Any) -> str:
    if len(word := text(value)) > _MAX_TEXT:
        raise InvalidInputError("json.fields", f"a text of at most {_MAX_TEXT} characters is expected")
    return word


def _row(value: Any) -> Row:
    if _ROW.match(line := text(value)) is None:
        raise InvalidInputError("json.fields", "a row is four figures, * for a withheld one", actual=line[:40])
    offered, recognised, unrecognised, retested = (_number(cell) for cell in line.split(" "))
    return Row(offered=offered, recognised=recognised, unrecognised=unrecognised, retested=retested)


def _cell(value: Any) -> int | None:
    if _CELL.match(cell := text(value)) is None:
        raise InvalidInputError("json.fields", "a figure, or * for a withheld one, is expected", actual=cell[:40])
    return _number(cell)


def _number(cell: str) -> int | None:
    return None if cell == "*" else int(cell)
