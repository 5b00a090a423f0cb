"""Pictures that a browser could not read itself: what is in them, and what is refused."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import pytest
import segno
from PIL import Image

from gateway import scanning
from gateway.scanning import MAX_CODES, MAX_PICTURE, read_codes
from ledger.errors import InvalidInputError, UnavailableError
from tests.gateway.test_web import Caller

TEXT = "HTTPS://LOCALHOST:8443/R/ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def qr(text: str = TEXT, scale: int = 5) -> Image.Image:
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="png", scale=scale, border=4)
    return Image.open(io.BytesIO(out.getvalue())).convert("L")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def declared(width: int, height: int) -> bytes:
    """A PNG that is only a header: what is refused is refused before a pixel is decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_code_is_read_from_every_kind_of_picture(kind: str) -> None:
    assert read_codes(encoded(qr(), kind)) == [TEXT]


@pytest.mark.parametrize("degrees", [7, 90, 180])
def test_a_turned_code_is_read(degrees: int) -> None:
    assert read_codes(encoded(qr().rotate(degrees, expand=True, fillcolor=255))) == [TEXT]


def test_what_is_transparent_is_paper() -> None:
    dark = qr()
    clear = Image.new("RGBA", dark.size, (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=dark.point(lambda value: 255 - value))
    assert read_codes(encoded(clear)) == [TEXT]


def test_several_codes_are_all_read_and_one_shown_twice_once() -> None:
    first, second = qr("FIRST"), qr("SECOND")
    sheet = Image.new("L", (3 * first.width, first.height), 255)
    for place, code in enumerate((first, second, first)):
        sheet.paste(code, (place * first.width, 0))
    assert sorted(read_codes(encoded(sheet))) == ["FIRST", "SECOND"]


def test_no_more_codes_than_somebody_holds_out() -> None:
    codes = [qr(f"CODE {number}", scale=3) for number in range(MAX_CODES + 2)]
    width = max(code.width for code in codes)
    sheet = Image.new("L", (5 * width, 2 * width), 255)
    for place, code in enumerate(codes):
        sheet.paste(code, (place % 5 * width, place // 5 * width))
    assert len(read_codes(encoded(sheet))) == MAX_CODES


def test_a_picture_without_a_code_has_none() -> None:
    assert read_codes(encoded(Image.new("L", (200, 200), 255))) == []
    half = qr()
    half.paste(255, (0, 0, half.width, half.height // 2))
    assert read_codes(encoded(half)) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(40),
        b"\x89PNG\r\n\x1a\n",
        b"%PDF-1.7",
        encoded(qr())[:-200],
        encoded(qr(), "JPEG")[:300],
        encoded(qr().convert("P"), "GIF"),
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        declared(64, 64),
    ],
    ids=["empty", "gif header", "png header", "pdf", "cut png", "cut jpeg", "gif", "svg", "no pixels"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_codes(data)
    assert caught.value.code == "licence.picture"
    assert caught.value.hint


@pytest.mark.parametrize("size", [(40_001, 1_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_codes(declared(*size))
    assert caught.value.code == "licence.picture-size"


def test_a_picture_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_codes(bytes(MAX_PICTURE + 1))
    assert caught.value.code == "licence.picture-size"


def test_many_pictures_at_once_wait_or_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_PATIENCE_S", 0.01)
    taken = [scanning._slots.acquire(blocking=False) for _ in range(2)]
    try:
        assert taken == [True, True]
        with pytest.raises(UnavailableError) as caught:
            read_codes(encoded(qr()))
        assert caught.value.code == "gateway.busy"
    finally:
        for _ in taken:
            scanning._slots.release()
    assert read_codes(encoded(qr())) == [TEXT]


def test_the_gateway_reads_a_picture_and_lets_nobody_keep_it(tmp_path: Path) -> None:
    caller = Caller(tmp_path)
    answer = caller.ask("/v1/licence/scan", "POST", (encoded(qr()),))
    assert (answer.status, json.loads(answer.body)) == (200, {"texts": [TEXT]})
    assert answer.headers["cache-control"] == "no-store"
    half = bytes(MAX_PICTURE // 2)
    too_large = caller.ask("/v1/licence/scan", "POST", (half, half, b"x"), stall=True)
    assert (too_large.status, too_large.code) == (413, "http.too-large")
    assert caller.ask("/v1/licence/scan", "POST", (b"x",)).code == "licence.picture"


def test_the_page_alone_may_ask_for_the_camera(tmp_path: Path) -> None:
    caller = Caller(tmp_path)
    assert "camera=(self)" in caller.ask("/licence").headers["permissions-policy"]
    assert "camera=(self)" in caller.ask("/R/" + "A" * 32).headers["permissions-policy"]
    assert "camera=()" in caller.ask("/").headers["permissions-policy"]
    policies = {caller.ask(path).headers["content-security-policy"] for path in ("/", "/licence")}
    assert len(policies) == 1


def test_a_script_without_its_version_is_asked_for_again(tmp_path: Path) -> None:
    caller = Caller(tmp_path)
    assert caller.ask("/static/licence-check.js").headers["cache-control"] == "no-cache"
