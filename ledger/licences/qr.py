"""QR codes of slips, references and packed presentations, as PNG and SVG.

Paper and cheap cameras set the bound: at most version 15 (77 modules a side) at level M, printed at 3 cm with a quiet
zone of four modules. A sheet of A4 has room for more: what is drawn on one may be of any version, with almost
half a millimetre a module. Source: ISO/IEC 18004.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Final

import segno

from ledger.errors import InvalidInputError

LEVEL: Final = "M"
#: The largest version that is read when printed at 3 cm.
MAX_VERSION: Final = 15
#: What version 15-M holds in alphanumeric mode. Source: ISO/IEC 18004, table 7.
MAX_CHARACTERS: Final = 600
#: What version 40-M holds in alphanumeric mode.
SHEET_CHARACTERS: Final = 3_391
QUIET_ZONE: Final = 4
#: 3 cm at 300 dots per inch.
PRINT_PIXELS: Final = 354
PRINT_DPI: Final = 300
_ALPHANUMERIC: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """``version``: 1 to 15, on a sheet to 40; ``level``: M, or a higher one where the version has room for it;
    ``modules``: a side, without the quiet zone."""

    version: int
    level: str
    modules: int
    _code: segno.QRCode = field(repr=False, compare=False)

    def png(self, pixels: int = PRINT_PIXELS) -> bytes:
        """Black on white, whole pixels per module, the quiet zone included; at most ``pixels`` a side.

        Raises: InvalidInputError(licence.qr-pixels) where not even one pixel per module fits.
        """
        scale = pixels // (self.modules + 2 * QUIET_ZONE)
        if scale < 1:
            raise InvalidInputError(
                "licence.qr-pixels",
                "too few pixels for this QR code",
                expected=f"at least {self.modules + 2 * QUIET_ZONE}",
                actual=pixels,
            )
        out = io.BytesIO()
        self._code.save(out, kind="png", scale=scale, border=QUIET_ZONE, dpi=PRINT_DPI)
        return out.getvalue()

    def svg(self) -> str:
        """An SVG element one unit per module that takes the size of its container; no XML declaration, for pages."""
        out = io.BytesIO()
        self._code.save(
            out, kind="svg", border=QUIET_ZONE, xmldecl=False, omitsize=True, light="#fff", dark="#000", nl=False
        )
        return out.getvalue().decode("utf-8")

    def rows(self) -> tuple[bytes, ...]:
        """The modules, one byte each, 1 for dark, the quiet zone not included: for drawing elsewhere."""
        return tuple(bytes(row) for row in self._code.matrix)


def symbol(text: str, most: int = MAX_CHARACTERS) -> Symbol:
    """The QR code of a text of at most so many characters, in the smallest version that holds it at level M.

    Raises: InvalidInputError(licence.qr-text | licence.qr-too-long).
    """
    if not text or not _ALPHANUMERIC.issuperset(text):
        raise InvalidInputError(
            "licence.qr-text",
            "a QR code of a licence holds capitals, digits and $%*+-./: only",
            actual=ascii(text)[:40],
        )
    if len(text) > most:
        raise InvalidInputError(
            "licence.qr-too-long",
            "too long for a QR code of this size",
            hint="shorten the matter of the copy, or present a reference instead",
            expected=most,
            actual=len(text),
        )
    code = segno.make_qr(text, error=LEVEL, mode="alphanumeric")
    return Symbol(version=int(code.version), level=str(code.error), modules=len(code.matrix), _code=code)
