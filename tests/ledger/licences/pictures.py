"""What happens to a printed code before a camera's picture of it is read: turned, blurred, noisy, unevenly lit."""

from __future__ import annotations

import io
import random

import zxingcpp
from PIL import Image, ImageChops, ImageFilter

#: Grey, not white: what lies around a piece of paper.
_TABLE = 150


def opened(png: bytes) -> Image.Image:
    """The picture of a PNG, in grey levels."""
    return Image.open(io.BytesIO(png)).convert("L")


def photographed(
    png: bytes, *, turned: float = 0, noise: int = 0, blur: float = 0, uneven: bool = False, stain: int = 0
) -> Image.Image:
    """The code on a table, photographed: ``turned`` degrees, ``noise`` of at most so many levels up and down in every
    pixel, ``blur`` as a standard deviation in pixels, a shade across the picture, a white ``stain`` of so many pixels
    over the code's middle. The same every time."""
    code = opened(png)
    if stain:
        at = (code.width - stain) // 2
        code.paste(255, (at, at, at + stain, at + stain))
    paper = Image.new("L", (code.width + 40, code.height + 40), 255)
    paper.paste(code, (20, 20))
    picture = paper.rotate(turned, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=_TABLE)
    if blur:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    if uneven:
        shade = Image.linear_gradient("L").resize(picture.size).point(lambda level: 90 + level * 165 // 255)
        picture = ImageChops.multiply(picture, shade)
    if noise:
        grain = Image.frombytes("L", picture.size, random.Random(1).randbytes(picture.width * picture.height))
        grain = grain.point(lambda level: 128 + (level - 128) * noise // 128)
        picture = ImageChops.add(picture, grain, scale=1, offset=-128)
    return picture


def read(picture: Image.Image) -> list[tuple[str, str]]:
    """The text and error level of every QR code an independent decoder finds in a picture."""
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
    return [(item.text, item.ec_level) for item in found]
