"""A licence of every template goes on paper: its slip is judged valid, its page shows what the holder showed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pypdfium2
import pytest
from PIL import Image

from ledger.errors import InvalidInputError
from ledger.licences import credential, issuing, packing, sdjwt, slip
from ledger.licences.copies import CopyTerms, make_copy
from ledger.licences.credential import Credential
from ledger.licences.pdf import FONT_FILES, copy_pdf
from ledger.licences.qr import symbol
from ledger.licences.slipmaking import copy_page, slip_of
from ledger.licences.slipverdict import judge_slip
from ledger.licences.templates import TEMPLATES
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_city import BODY, DAY, NOW
from tests.ledger.licences.licence_keys import HOLDER, ISSUER
from tests.ledger.licences.pictures import read

OFFICE = "11310000MB2F00001F"
TERMS = CopyTerms(recipient=OFFICE, matter="办理不动产转移登记", made_s=NOW, expires_s=NOW + 30 * DAY, maker=BODY)
TERMS_OF_HOLDER = dataclasses.replace(TERMS, maker="holder")
FONT = next((Path(name) for name in FONT_FILES if Path(name).is_file()), None)


def shown(template: str, *names: str) -> Credential:
    text = issuing.present(city.issue(city.claims(template=template)), [[name] for name in names])
    return credential.read(sdjwt.open_claims(sdjwt.parse(text)))


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_every_template_fits_on_a_slip_with_the_terms_of_a_copy(template: str) -> None:
    form = TEMPLATES[template]
    said = shown(template, "ZZBS", "CZZT")
    made = slip_of(said, form, made_s=NOW, ends_s=TERMS.expires_s, copy=TERMS)
    assert made.holder == form.masked(str(said.facts["CZZT"]))
    text = slip.make(made, ISSUER)
    assert symbol(text).version <= 15
    verdict = judge_slip(
        text, now_ms=NOW * 1_000, trust=lambda *_: city.trust(), status=lambda _: city.listed(), copy_recipient=OFFICE
    )
    assert verdict.code == "valid"


def test_what_no_slip_is_made_of() -> None:
    form = TEMPLATES["driving-licence"]
    said = shown("driving-licence", "ZZBS", "CZZT")
    for lacking in (
        shown("driving-licence", "CZZT"),
        shown("driving-licence", "ZZBS"),
        msgspec.structs.replace(said, status=None),
        msgspec.structs.replace(said, not_before=None),
    ):
        with pytest.raises(InvalidInputError) as caught:
            slip_of(lacking, form, made_s=NOW, ends_s=NOW + 300)
        assert caught.value.code == "licence.slip-facts"
    with pytest.raises(InvalidInputError) as caught:
        slip_of(msgspec.structs.replace(said, expires=NOW + 10), form, made_s=NOW, ends_s=NOW + 300)
    assert caught.value.code == "licence.slip-claims"


@pytest.mark.parametrize("template", ["household-page", "business-licence"])
def test_the_page_of_a_copy_that_its_holder_made_holds_the_copy_itself(template: str) -> None:
    if FONT is None:
        pytest.skip("no font with Chinese characters here; scripts/system-packages installs one")
    text = make_copy(city.issue(city.claims(template=template)), TERMS_OF_HOLDER, holder=HOLDER, nonce=b"n" * 16)
    said = credential.read(sdjwt.open_claims(sdjwt.parse(text)))
    code = packing.pack(text)
    page = copy_page(
        said, TERMS_OF_HOLDER, recipient_name="上海市大数据中心", code=code, check_at="https://gateway.example/licence"
    )
    document = pypdfium2.PdfDocument(copy_pdf(page, FONT))
    words = "".join(document[0].get_textpage().get_text_bounded().split())
    for name, value in said.facts.items():
        assert "".join(str(value).split()) in words, name
    picture = document[0].render(scale=300 / 72, grayscale=True).to_pil()
    assert [found for found, _ in read(picture)] == [code]
    turned = picture.rotate(7, resample=Image.Resampling.BICUBIC, fillcolor=255)
    assert [found for found, _ in read(turned)] == [code]


def test_the_page_of_a_copy_shows_what_the_holder_showed() -> None:
    if FONT is None:
        pytest.skip("no font with Chinese characters here; scripts/system-packages installs one")
    said = shown("driving-licence", "ZZBS", "CZZT", "KZ_ZJCX")
    text = slip.make(
        slip_of(said, TEMPLATES["driving-licence"], made_s=NOW, ends_s=TERMS.expires_s, copy=TERMS), ISSUER
    )
    page = copy_page(
        said, TERMS, recipient_name="上海市大数据中心", code=text, check_at="https://gateway.example/licence"
    )
    document = pypdfium2.PdfDocument(copy_pdf(page, FONT))
    # A long value goes over the end of its line.
    words = "".join(document[0].get_textpage().get_text_bounded().split())
    for part in ("机动车驾驶证", "准驾车型", "C1", "张三丰", str(city.IDENTITY)):
        assert part in words
    assert "KZ_CSRQ" not in words
    assert "1949" not in words
    assert [found for found, _ in read(document[0].render(scale=300 / 72, grayscale=True).to_pil())] == [text]
