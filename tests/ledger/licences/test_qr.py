"""QR codes as printed, read back by an independent decoder."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from ledger.errors import InvalidInputError
from ledger.licences.qr import MAX_CHARACTERS, PRINT_PIXELS, symbol
from tests.ledger.licences.pictures import opened, photographed, read

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
FULL = "".join(random.Random(15).choices(ALPHABET, k=MAX_CHARACTERS))


def test_the_fullest_code_fits_three_centimetres() -> None:
    made = symbol(FULL)
    assert (made.version, made.level, made.modules) == (15, "M", 77)
    picture = opened(made.png())
    assert picture.width == picture.height <= PRINT_PIXELS
    assert picture.width >= PRINT_PIXELS * 0.9
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert read(picture) == [(FULL, "M")]


@pytest.mark.parametrize(
    "harm",
    [
        {"turned": 7},
        {"turned": 90},
        {"turned": 180},
        {"noise": 80},
        {"blur": 1.5},
        {"uneven": True},
        {"turned": 7, "noise": 20, "blur": 0.8, "uneven": True},
        {"stain": 40},
    ],
    ids=str,
)
def test_it_is_read_turned_noisy_blurred_shaded_and_stained(harm: dict[str, Any]) -> None:
    picture = photographed(symbol(FULL).png(), **harm)
    assert [text for text, _ in read(picture)] == [FULL]


def test_a_destroyed_code_is_not_misread() -> None:
    assert read(photographed(symbol(FULL).png(), stain=200)) == []


def test_the_svg_draws_the_same_modules() -> None:
    made = symbol("HTTPS://GATEWAY.EXAMPLE/R/AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT")
    assert (made.version, made.modules, len(made.rows())) == (3, 29, 29)
    svg = ET.fromstring(made.svg())
    assert svg.get("viewBox") == "0 0 37 37"
    assert "width" not in svg.attrib
    # The top row of a finder pattern: seven dark modules; what is printed has the same modules.
    assert made.rows()[0][:8] == b"\1\1\1\1\1\1\1\0"
    picture = opened(made.png(37 * 3))
    dark = tuple(bytes(picture.getpixel((12 + x * 3 + 1, 12 + y * 3 + 1)) == 0 for x in range(29)) for y in range(29))
    assert dark == made.rows()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "licence.qr-text"),
        ("lower", "licence.qr-text"),
        ("证照", "licence.qr-text"),
        ("A" * 601, "licence.qr-too-long"),
    ],
)
def test_what_no_code_is_made_of(text: str, code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        symbol(text)
    assert caught.value.code == code


def test_too_few_pixels() -> None:
    with pytest.raises(InvalidInputError) as caught:
        symbol(FULL).png(84)
    assert caught.value.code == "licence.qr-pixels"
