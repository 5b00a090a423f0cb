"""The page of a copy: its text can be taken out, its code is read from the rendered page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from ledger.errors import InvalidInputError, UnavailableError
from ledger.licences.copies import CopyTerms
from ledger.licences.pdf import FONT_FILES, CopyPage, Row, copy_pdf
from tests.ledger.licences.pictures import read

FONT = next((Path(name) for name in FONT_FILES if Path(name).is_file()), None)
MADE = 1_780_000_000
# As long as a slip of the largest version.
CODE = "EL1:" + "NCFOXNEG2NBJ5*H:QO9.O2HE$64SRS57RG.2UE6PR5" * 13
PAGE = CopyPage(
    title="食品经营许可证",
    rows=(
        Row(zh="经营者名称", en="Holder", value="上海浦东新区某某餐饮管理有限公司"),
        Row(zh="法定代表人", en="Legal representative", value="𬎆某某"),
        Row(zh="有效期至", en="Valid until", value="2031-05-27"),
    ),
    terms=CopyTerms(
        recipient="11310000MB2F00001F", matter="办理不动产转移登记", made_s=MADE, expires_s=MADE + 30 * 86_400
    ),
    recipient_name="上海市大数据中心",
    code=CODE,
    check_at="https://gateway.example/licence",
)


@pytest.fixture(scope="module")
def font() -> Path:
    if FONT is None:
        pytest.skip("no font with Chinese characters here; scripts/system-packages installs one")
    return FONT


def test_the_page_says_what_for_and_its_code_is_read_from_paper(font: Path) -> None:
    data = copy_pdf(PAGE, font)
    assert copy_pdf(PAGE, font) == data
    document = pypdfium2.PdfDocument(data)
    assert len(document) == 1
    text = document[0].get_textpage().get_text_bounded()
    for part in (
        "食品经营许可证",
        "上海浦东新区某某餐饮管理有限公司",
        "𬎆某某",
        "仅供 上海市大数据中心 用于“办理不动产转移登记”",
        "11310000MB2F00001F",
        "2026-06-28 04:26",
        "https://gateway.example/licence",
    ):
        assert part in text
    picture = document[0].render(scale=300 / 72, grayscale=True).to_pil()
    assert read(picture) == [(CODE, "M")]
    assert [found for found, _ in read(picture.rotate(7, resample=Image.Resampling.BICUBIC, fillcolor=255))] == [CODE]


def test_what_no_page_is_made_of(font: Path, tmp_path: Path) -> None:
    row = PAGE.rows[0]
    for page, code in (
        (dataclasses.replace(PAGE, rows=(row,) * 25), "licence.pdf-rows"),
        (dataclasses.replace(PAGE, rows=(dataclasses.replace(row, value="很长" * 800),)), "licence.pdf-rows"),
        (dataclasses.replace(PAGE, recipient_name="\U0010fffd"), "licence.pdf-glyph"),
        (dataclasses.replace(PAGE, code="x"), "licence.qr-text"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            copy_pdf(page, font)
        assert caught.value.code == code
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    for file in (broken, tmp_path / "absent.ttc", tmp_path / "absent.ttf"):
        with pytest.raises(UnavailableError) as unavailable:
            copy_pdf(PAGE, file)
        assert unavailable.value.code == "licence.pdf-font"
