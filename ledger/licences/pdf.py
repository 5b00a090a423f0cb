"""A purpose-bound copy as a page to print or send: what it shows, for whom, until when, and a QR code to check it.

For whom and what for lies behind everything as well, slantwise, so that a part of the page is no page of another kind.
The page itself proves nothing and says so: the code does. The glyphs it uses are embedded from a font of the system
(OpenType too), so that a rare character of a name is the same on every screen; one the font lacks is refused, because a
blank in a name is a wrong name. The font is the one file that is opened in this floor: libraries read it by its path.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTCollection, TTLibError
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont

from ledger.days import CST
from ledger.errors import InvalidInputError, UnavailableError
from ledger.licences.copies import CopyTerms
from ledger.licences.qr import MAX_VERSION, QUIET_ZONE, SHEET_CHARACTERS, Symbol, symbol

#: Where systems keep a font with Chinese characters; callers take the first that is there.
FONT_FILES: Final = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
)
#: Side of a code with its quiet zone, millimetres; of a larger version than slips have, the side of a module.
CODE_MM: Final = 30.0
MODULE_MM: Final = 0.45
MAX_ROWS: Final = 24
_FONT: Final = "page"
_MARGIN: Final = 20.0
_LABEL: Final = 66.0
_GREY: Final = 110
#: Lines of the watermark: seen on paper, and in nobody's way.
_WATERMARK: Final = 232
_SLANT: Final = 30
_APART: Final = 36.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fact the copy shows: its label in both languages, and its value."""

    zh: str
    en: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPage:
    """``title``: the licence's name; ``rows``: what is shown; ``terms``: for whom and what for; ``recipient_name``: the
    recipient in words; ``code``: the text of the QR code (a slip, a reference, or the copy itself packed);
    ``check_at``: the address of a page that checks it, or empty."""

    title: str
    rows: tuple[Row, ...]
    terms: CopyTerms
    recipient_name: str
    code: str
    check_at: str


def system_font() -> Path:
    """The first font of the system with Chinese characters; where there is none, the name of the usual one."""
    return next((path for path in map(Path, FONT_FILES) if path.is_file()), Path(FONT_FILES[0]))


def copy_pdf(page: CopyPage, font: Path) -> bytes:
    """The page as a PDF of one A4 sheet. The same page and font give the same bytes.

    Raises: InvalidInputError(licence.pdf-glyph | licence.pdf-rows | licence.qr-text | licence.qr-too-long),
    UnavailableError(licence.pdf-font).
    """
    if len(page.rows) > MAX_ROWS:
        raise InvalidInputError(
            "licence.pdf-rows",
            "more facts than fit on the page of a copy",
            hint="show fewer of them",
            expected=MAX_ROWS,
            actual=len(page.rows),
        )
    code = symbol(page.code, SHEET_CHARACTERS)
    large = code.version > MAX_VERSION
    pdf = _sheet(page, font)
    _check_glyphs(pdf, page)
    _watermark(pdf, page)
    _purpose(pdf, page)
    for row in page.rows:
        _row(pdf, row, 5.6 if large else 7.5)
    _code(pdf, page, code, MODULE_MM * (code.modules + 2 * QUIET_ZONE) if large else CODE_MM)
    return bytes(pdf.output())


def _sheet(page: CopyPage, font: Path) -> FPDF:
    pdf = FPDF(format="A4")
    try:
        pdf.add_font(_FONT, fname=str(font), collection_font_number=_face(font))
    except (OSError, TTLibError, ValueError) as error:
        raise UnavailableError(
            "licence.pdf-font",
            f"the font for PDFs cannot be read: {type(error).__name__}",
            hint="install a font with Chinese characters (Debian: fonts-noto-cjk)",
            actual=str(font),
        ) from None
    pdf.set_creation_date(datetime.fromtimestamp(page.terms.made_s, UTC))
    pdf.set_title(f"{page.title} 加注件")
    pdf.set_lang("zh-CN")
    pdf.set_margins(_MARGIN, _MARGIN, _MARGIN)
    pdf.set_auto_page_break(False)
    pdf.add_page()
    return pdf


def _face(font: Path) -> int:
    """The face for simplified Chinese in a collection, else the first."""
    if font.suffix.lower() not in (".ttc", ".otc"):
        return 0
    with TTCollection(str(font), lazy=True) as faces:
        names = [str(face["name"].getBestFamilyName() or "") for face in faces.fonts]
    return next((place for place, name in enumerate(names) if name.endswith(" SC")), 0)


def _watermark(pdf: FPDF, page: CopyPage) -> None:
    pdf.set_font(_FONT, size=12)
    pdf.set_text_color(_WATERMARK)
    mark = f"仅供 {page.recipient_name} 用于“{page.terms.matter}” 至 {_when(page.terms.expires_s)}　　"
    reach = pdf.w + pdf.h
    words = mark * (1 + int(reach / pdf.get_string_width(mark)))
    with pdf.rotation(_SLANT, pdf.w / 2, pdf.h / 2):
        for line in range(int(reach / _APART)):
            # Every other line is moved, so that no corner of the page is without a name.
            pdf.text((pdf.w - reach) / 2 - line % 2 * _APART, (pdf.h - reach) / 2 + line * _APART, words)


def _purpose(pdf: FPDF, page: CopyPage) -> None:
    terms = page.terms
    _line(pdf, page.title, 22, align="C")
    _line(pdf, "电子证照加注件 · Copy of an e-licence for one purpose", 11, grey=True, align="C")
    pdf.ln(6)
    _line(pdf, f"仅供 {page.recipient_name} 用于“{terms.matter}”", 14, align="C")
    _line(pdf, f"统一社会信用代码 {terms.recipient}", 10, grey=True, align="C")
    _line(pdf, f"有效至 valid until {_when(terms.expires_s)}，另作他用或逾期无效", 10, grey=True, align="C")
    pdf.ln(8)


def _row(pdf: FPDF, row: Row, height: float) -> None:
    top = pdf.get_y()
    pdf.set_draw_color(210)
    pdf.line(_MARGIN, top, pdf.w - _MARGIN, top)
    pdf.set_font(_FONT, size=9.5)
    pdf.set_text_color(_GREY)
    pdf.multi_cell(_LABEL, height, f"{row.zh} {row.en}", align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    under = pdf.get_y()
    pdf.set_xy(_MARGIN + _LABEL, top)
    pdf.set_text_color(0)
    pdf.set_font(_FONT, size=11.5)
    pdf.multi_cell(0, height, row.value, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_y(max(under, pdf.get_y()))


def _code(pdf: FPDF, page: CopyPage, code: Symbol, side: float) -> None:
    top, left = pdf.h - _MARGIN - side, pdf.w - _MARGIN - side
    if pdf.get_y() > top:
        raise InvalidInputError(
            "licence.pdf-rows", "more text than fits on the page of a copy", hint="show fewer facts, or shorter ones"
        )
    # Runs of dark modules as one rectangle each: neighbours drawn one by one would show hairlines between them.
    unit = side / (code.modules + 2 * QUIET_ZONE)
    pdf.set_fill_color(255)
    pdf.rect(left, top, side, side, style="F")
    pdf.set_fill_color(0)
    for y, cells in enumerate(code.rows()):
        start = 0
        for run in cells.split(b"\0"):
            if run:
                at, below = left + (QUIET_ZONE + start) * unit, top + (QUIET_ZONE + y) * unit
                pdf.rect(at, below, len(run) * unit, unit, style="F")
            start += len(run) + 1
    pdf.set_y(top + 2)
    width = left - _MARGIN - 5
    for text in (
        "本页不能证明内容为真，请扫描右侧二维码核验。",
        "This page proves nothing by itself: scan the code to check it.",
        f"核验 check at: {page.check_at}" if page.check_at else "",
        f"制作时间 made: {_when(page.terms.made_s)}",
    ):
        _line(pdf, text, 9, grey=True, width=width)


def _line(pdf: FPDF, text: str, size: float, *, grey: bool = False, align: str = "L", width: float = 0) -> None:
    pdf.set_font(_FONT, size=size)
    pdf.set_text_color(_GREY if grey else 0)
    pdf.multi_cell(width, size * 0.55, text, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _check_glyphs(pdf: FPDF, page: CopyPage) -> None:
    shown = [page.title, page.recipient_name, page.terms.matter, page.check_at, *_texts(page.rows)]
    embedded = pdf.fonts[_FONT]
    known = embedded.cmap if isinstance(embedded, TTFFont) else {}
    missing = sorted({letter for text in shown for letter in text if ord(letter) not in known})
    if missing:
        raise InvalidInputError(
            "licence.pdf-glyph",
            f"the font for PDFs has no character U+{ord(missing[0]):04X}",
            hint="install a font that has it (Debian: fonts-noto-cjk) and name that one",
        )


def _texts(rows: tuple[Row, ...]) -> list[str]:
    return [text for row in rows for text in (row.zh, row.en, row.value)]


def _when(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).astimezone(CST).strftime("%Y-%m-%d %H:%M")
