"""The page of a copy that the gateway draws: what its code carries is judged; what would be refused is not drawn."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pypdfium2
import pytest
from PIL import Image

from gateway.licences import copying
from ledger.licences import copies, issuing
from ledger.licences.pdf import FONT_FILES
from scripts.benches.licence_issuer import ISSUER
from tests.gateway.licence_doors import Doors
from tests.ledger.licences.pictures import read

RECIPIENT = "11330105002500287C"
NAME = "杭州市拱墅区某某局"
MATTER = "驾驶员招聘"


@pytest.fixture(autouse=True)
def font() -> None:
    if not any(Path(name).is_file() for name in FONT_FILES):
        pytest.skip("no font with Chinese characters here; scripts/system-packages installs one")


def copy_of(doors: Doors, *, index: int = 0, show: tuple[str, ...] = ("CZZT", "KZ_ZJCX"), days: int = 7) -> str:
    now = doors.clock() // 1000
    terms = copies.CopyTerms(recipient=RECIPIENT, matter=MATTER, made_s=now, expires_s=now + days * 86_400)
    shown = issuing.present(doors.issuer.licence(index=index), [(name,) for name in show])
    return copies.make_copy(shown, terms, holder=doors.issuer.holder, nonce=b"n" * 16)


def ask(doors: Doors, licence: str, name: str = NAME) -> tuple[int, dict[str, str], bytes]:
    body = msgspec.json.encode({"licence": licence, "recipient_name": name})
    return doors.https("/v1/licence/copy", body)


def sheet(pdf: bytes) -> tuple[str, Image.Image]:
    """The words of the page, without blanks, and how it is printed at 300 dpi."""
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    words = "".join(document[0].get_textpage().get_text_bounded().split())
    return words, document[0].render(scale=300 / 72, grayscale=True).to_pil()


def test_the_code_on_the_page_is_the_copy_and_good_for_one_body(doors: Doors) -> None:
    copy = copy_of(doors)
    status, headers, pdf = ask(doors, copy)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/pdf", "no-store")
    words, picture = sheet(pdf)
    for part in (
        "机动车驾驶证",
        "张三丰",
        "C1",
        f"仅供{NAME}用于“{MATTER}”",
        RECIPIENT,
        "https://gateway.example:8443/licence",
    ):
        assert "".join(part.split()) in words
    # Behind everything as well, and more than once.
    assert words.count(NAME) > 3
    assert "北京市朝阳区" not in words
    [(code, level)] = read(picture)
    assert level == "M"
    assert doors.verify(licence=code, recipient=RECIPIENT)["code"] == "valid"
    assert doors.verify(licence=code, recipient=ISSUER)["code"] == "wrong-recipient"
    assert doors.verify(licence=code)["code"] == "recipient-needed"
    doors.clock.ms += 8 * 86_400_000
    doors.issuer.publish({})
    assert doors.verify(licence=code, recipient=RECIPIENT)["code"] == "copy-expired"
    # Photographed badly it is still the same code; half of it is none.
    small = picture.resize((picture.width * 2 // 3, picture.height * 2 // 3)).rotate(5, fillcolor=255)
    assert [text for text, _ in read(small)] == [code]
    picture.paste(255, (picture.width // 2, picture.height - 700, picture.width, picture.height))
    assert read(picture) == []


def test_no_page_is_drawn_of_what_would_be_refused(doors: Doors) -> None:
    doors.issuer.publish({1: 1, 2: 2})
    good, plain = copy_of(doors), doors.issuer.presentation()
    bound = doors.issuer.bound(plain, audience="urn:cn:uscc:" + RECIPIENT, nonce="n" * 22)
    altered = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    for licence, name, status, code in (
        (copy_of(doors, index=1), NAME, 403, "licence.copy-refused"),
        (copy_of(doors, index=2), NAME, 403, "licence.copy-refused"),
        (altered, NAME, 403, "licence.copy-refused"),
        (plain, NAME, 400, "licence.copy-terms"),
        (bound, NAME, 400, "licence.copy-terms"),
        (good, "", 400, "licence.copy-name"),
        (good, "长" * 61, 400, "licence.copy-name"),
        (good, "某局\n某处", 400, "licence.copy-name"),
        (good, "\U0010fffd", 400, "licence.copy-name"),
        (good, "a\u0338\u0338", 400, "licence.pdf-glyph"),
        ("x", NAME, 400, "licence.no-tilde"),
    ):
        found, _, body = ask(doors, licence, name)
        assert (found, json.loads(body)["code"]) == (status, code)
    status, _, body = doors.https("/v1/licence/copy", b'{"licence": "x"}')
    assert (status, json.loads(body)["code"]) == (400, "http.body")


def test_a_machine_without_the_font_or_with_too_much_to_do_says_so(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_of(doors)
    with monkeypatch.context() as patch:
        patch.setattr(copying, "system_font", lambda: Path("/nowhere/font.ttc"))
        status, _, body = ask(doors, copy)
    assert (status, json.loads(body)["code"]) == (503, "licence.pdf-font")
    with monkeypatch.context() as patch:
        patch.setattr(copying, "_PATIENCE_S", 0)
        patch.setattr(copying, "_slots", copying.threading.BoundedSemaphore(1))
        copying._slots.acquire()
        status, _, body = ask(doors, copy)
        assert (status, json.loads(body)["code"]) == (503, "gateway.busy")
        copying._slots.release()
        assert ask(doors, copy)[0] == 200


def test_nothing_of_the_holder_stays(doors: Doors) -> None:
    assert ask(doors, copy_of(doors))[0] == 200
    figures = doors.metrics.render().decode()
    assert "/v1/licence/copy" in figures
    for word in ("张三丰", NAME, MATTER, RECIPIENT):
        assert word not in figures
