"""Reading the QR codes of a picture that a browser could not read itself. The picture is never kept."""

from __future__ import annotations

import io
import threading
import warnings
from typing import Final

import zxingcpp
from PIL import Image

from ledger.errors import InvalidInputError, UnavailableError

MAX_PICTURE: Final = 8 << 20
MAX_PIXELS: Final = 40_000_000
#: A picture with more codes than this is not a licence that somebody holds out.
MAX_CODES: Final = 8
#: Pictures read at the same time: each holds up to four bytes a pixel and a core for some tenths of a second.
_PARALLEL: Final = 2
_PATIENCE_S: Final = 5
_FORMATS: Final = ("JPEG", "PNG", "WEBP")

_slots: Final = threading.BoundedSemaphore(_PARALLEL)


def read_codes(picture: bytes) -> list[str]:
    """The texts of the QR codes in a JPEG, PNG or WebP picture, without repetition; empty where there is none.

    Raises:
        InvalidInputError: ``licence.picture`` (not such a picture, or damaged), ``licence.picture-size``.
        UnavailableError: ``gateway.busy``.
    """
    if len(picture) > MAX_PICTURE:
        raise _too_large(f"a picture has at most {MAX_PICTURE} bytes", MAX_PICTURE, len(picture))
    if not _slots.acquire(timeout=_PATIENCE_S):
        raise UnavailableError("gateway.busy", "many pictures are being read", hint="try again in a second")
    try:
        found = zxingcpp.read_barcodes(_grey(picture), formats=zxingcpp.BarcodeFormat.QRCode)
    finally:
        _slots.release()
    return list(dict.fromkeys(code.text for code in found if code.text))[:MAX_CODES]


def _grey(picture: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes that are refused below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(picture), formats=_FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _too_large(f"a picture has at most {MAX_PIXELS} pixels", MAX_PIXELS, width * height)
        # A JPEG is decoded without its colours; what is transparent is paper.
        image.draft("L", image.size)
        if image.has_transparency_data:
            # Grey and opacity one after the other: pasted in colours, a picture would be in memory four times.
            seen = image if image.mode == "RGBA" else image.convert("RGBA")
            paper = Image.new("L", seen.size, "white")
            paper.paste(seen.convert("L"), mask=seen.getchannel("A"))
            return paper
        return image.convert("L")
    except InvalidInputError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(f"a picture has at most {MAX_PIXELS} pixels", MAX_PIXELS, "far more") from None
    except Exception as error:
        # Whatever a decoder of pictures stumbles over is the picture's fault.
        raise InvalidInputError(
            "licence.picture",
            "this is no picture that can be read here, or it is damaged",
            hint="send a JPEG, PNG or WebP picture, or take it again",
        ) from error


def _too_large(message: str, expected: int, actual: int | str) -> InvalidInputError:
    return InvalidInputError(
        "licence.picture-size",
        message,
        hint="take the picture again from nearer, or cut the QR code out",
        expected=expected,
        actual=actual,
    )
