"""The page *my licence* in a real browser: what a holder shows, and the copy that a holder makes for one body."""

from __future__ import annotations

import io
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from ledger.licences import b64, packing
from ledger.licences.pdf import FONT_FILES
from node.cli.walletfile import Wallet, new_holder_key, write_wallet
from tests.chromium import broken_rules, picture
from tests.gateway.licence_samples import OTHER, RECIPIENT, held
from tests.gateway.licence_tabs import ALL, FEW, PICTURED, Gateway, Tab, fits, lines
from tests.ledger.licences.pictures import read

pytestmark = pytest.mark.browser

ONCE = pytest.mark.parametrize("tab", ["phone-en-light"], indirect=True)
NAME, MATTER = "上海市大数据中心", "办理不动产转移登记"


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wallet file as the command writes it."""
    pem, holder = new_holder_key()
    file = tmp_path_factory.mktemp("wallet") / "wallet.json"
    write_wallet(file, Wallet(licence=held(holder), holder_key=pem))
    return file


def open_wallet(tab: Tab, file: Path) -> None:
    tab.page.goto(tab.gateway.url + "/wallet")
    tab.page.set_input_files("#wallet", str(file))
    tab.page.wait_for_selector("#choice:not([hidden])")


@pytest.mark.parametrize("tab", ALL if PICTURED else FEW, indirect=True)
def test_a_holder_shows_what_is_chosen_and_nothing_else(tab: Tab, wallet: Path) -> None:
    open_wallet(tab, wallet)
    page = tab.page
    assert page.locator("#held").inner_text() == "食品经营许可证"
    assert not page.locator("#no-key").is_visible()
    tab.asked.clear()
    page.check("#fields input[value=CZZT]")
    page.check("#fields input[value=KZ_JYCS]")
    page.fill("#to", OTHER)
    picture(page, f"wallet-{tab.name}-choice")
    assert (fits(page), broken_rules(page), tab.asked) == (True, [], [])
    page.click("#show")
    page.wait_for_selector("#result img.code")
    page.locator("#result img.code").evaluate("image => image.decode()")
    picture(page, f"wallet-{tab.name}-code")
    assert (fits(page), broken_rules(page)) == (True, [])
    sent, *more = tab.sent
    assert more == []
    assert "holder_key" not in sent
    shown = [b64.decode(part).decode() for part in sent.split("~")[1:-1]]
    assert sorted(text.split(",")[1].strip() for text in shown) == ['"CZZT"', '"KZ_JYCS"']
    # The other side scans the code from the screen.
    code = page.locator("#result img.code").screenshot()
    page.goto(tab.gateway.url + "/licence")
    assert tab.choose("photo.png", code, "image/png") == "valid"
    assert lines(tab, "device") == dict.fromkeys(("key", "signature", "disclosures", "holder"), "pass")
    assert "福州某某餐饮有限公司" in tab.result.inner_text()
    assert lines(tab, "check")["holder"] == "pass"


@ONCE
def test_a_code_ends_after_five_minutes_and_the_wallet_when_it_is_closed(tab: Tab, wallet: Path) -> None:
    tab.page.clock.install()
    open_wallet(tab, wallet)
    tab.page.check("#all")
    tab.page.click("#show")
    tab.page.wait_for_selector("#result img.code")
    tab.page.clock.run_for(301_000)
    tab.page.wait_for_selector("#result .verdict")
    assert "This code has ended" in tab.result.inner_text()
    tab.page.click("#forget")
    assert tab.page.locator("#choice").is_hidden()
    assert tab.page.locator("#fields input").count() == 0


@ONCE
def test_what_is_no_wallet_or_has_another_key_is_said(tab: Tab, wallet: Path, tmp_path: Path) -> None:
    tab.page.goto(tab.gateway.url + "/wallet")
    pem, _ = new_holder_key()
    _, stranger = new_holder_key()
    write_wallet(tmp_path / "other.json", Wallet(licence=held(stranger), holder_key=pem))
    for content, said in (
        (b"{}", "no wallet file"),
        (b"\xff\xfe", "no wallet file"),
        (b'{"v":1,"licence":"a.b.c~"}', "no wallet file"),
        (b"x" * ((1 << 18) + 1), "no wallet file"),
        ((tmp_path / "other.json").read_bytes(), "not the licence's"),
        (wallet.read_bytes().replace(b"PRIVATE KEY-----\\n", b"PRIVATE KEY-----\\nAAAA"), "not the licence's"),
    ):
        tab.page.evaluate("document.getElementById('result').replaceChildren()")
        tab.page.set_input_files("#wallet", {"name": "w.json", "mimeType": "application/json", "buffer": content})
        tab.page.wait_for_selector("#result .verdict")
        assert said in tab.result.inner_text()
    assert tab.page.locator("#choice").is_hidden()
    assert tab.sent == []


def test_a_code_is_drawn_only_for_what_may_be_a_reference(gateway: Gateway) -> None:
    assert gateway.get(f"/wallet/code/{'A' * 32}")[:4] == b"<svg"
    assert b"licence.reference" in gateway.get("/wallet/code/x")


needs_font = pytest.mark.skipif(
    not any(Path(name).is_file() for name in FONT_FILES),
    reason="no font with Chinese characters here; scripts/system-packages installs one",
)


def fill_copy(tab: Tab, **other: str) -> None:
    """The form of a copy, filled in."""
    for field, value in ({"copy-name": NAME, "copy-to": RECIPIENT, "matter": MATTER} | other).items():
        tab.page.fill(f"#{field}", value)


def saved(tab: Tab, folder: Path) -> tuple[str, Image.Image]:
    """The words of the PDF that the page offers, without blanks, and how it is printed at 200 dpi."""
    with tab.page.expect_download() as arriving:
        tab.page.click("#result a.save")
    file = folder / "copy.pdf"
    arriving.value.save_as(file)
    assert RECIPIENT in arriving.value.suggested_filename
    document = pypdfium2.PdfDocument(file.read_bytes())
    words = "".join(document[0].get_textpage().get_text_bounded().split())
    printed = document[0].render(scale=200 / 72, grayscale=True).to_pil()
    document.close()
    return words, printed


@needs_font
@pytest.mark.parametrize("tab", ALL if PICTURED else FEW, indirect=True)
def test_a_holder_makes_a_copy_that_is_good_for_one_body(tab: Tab, wallet: Path, tmp_path: Path) -> None:
    open_wallet(tab, wallet)
    page = tab.page
    page.check("#fields input[value=CZZT]")
    page.check("#fields input[value=KZ_JYCS]")
    page.click("#copying summary")
    fill_copy(tab)
    picture(page, f"wallet-{tab.name}-copy")
    assert (fits(page), broken_rules(page)) == (True, [])
    tab.asked.clear()
    page.click("#make")
    page.wait_for_selector("#result .made")
    picture(page, f"wallet-{tab.name}-made")
    assert (fits(page), broken_rules(page)) == (True, [])
    assert page.evaluate("document.activeElement.closest('.made') !== null")
    assert [url.removeprefix(tab.gateway.url) for url in tab.asked] == ["/v1/licence/verify", "/v1/licence/copy"]
    assert not any("PRIVATE KEY" in sent for sent in tab.sent)
    words, printed = saved(tab, tmp_path)
    for part in (
        "食品经营许可证",
        "福州某某餐饮有限公司",
        f"仅供{NAME}用于“{MATTER}”",
        RECIPIENT,
        f"{tab.gateway.url}/licence",
    ):
        assert part in words
    assert "91350100M000100Y43" not in words
    [(code, _)] = read(printed)
    copy = packing.unpack(code)
    assert copy == page.locator("#result .made textarea").input_value()
    shown = [b64.decode(part).decode() for part in copy.split("~")[1:-1]]
    assert sorted(text.split(",")[1].strip() for text in shown) == ['"CZZT"', '"KZ_JYCS"']
    # Whoever gets the page photographs it: good for the body it was made for, refused at any other.
    out = io.BytesIO()
    printed.save(out, "PNG")
    page.goto(tab.gateway.url + "/licence")
    assert tab.choose("page.png", out.getvalue(), "image/png") == "recipient-needed"
    for recipient, verdict in ((OTHER, "wrong-recipient"), (RECIPIENT, "valid")):
        page.fill("#recipient", recipient)
        assert tab.choose("page.png", out.getvalue(), "image/png") == verdict
        assert lines(tab, "device") == dict.fromkeys(("key", "signature", "disclosures", "holder"), "pass")
    assert MATTER in tab.result.inner_text()


@ONCE
def test_what_no_copy_is_made_of_is_said_before_anything_is_sent(tab: Tab, wallet: Path) -> None:
    open_wallet(tab, wallet)
    page = tab.page
    page.click("#copying summary")
    tab.asked.clear()
    for field, value, said in (
        ("copy-name", "  ", "Who is the copy for?"),
        ("copy-to", "11310000MB2F00001G", "no unified social credit code"),
        ("copy-to", "11310000MB2F0000", "no unified social credit code"),
        ("matter", "", "What is the copy for?"),
        ("until", "2020-01-01", "This day cannot be"),
        ("until", "", "This day cannot be"),
        ("until", "2999-01-01", "This day cannot be"),
    ):
        day = page.input_value("#until")
        fill_copy(tab, **{field: value})
        page.click("#make")
        page.wait_for_selector("#result .verdict.warn")
        assert said in tab.result.inner_text()
        assert page.locator("#copy [aria-invalid]").evaluate_all("all => all.map(field => field.id)") == [field]
        page.fill("#until", day)
    assert tab.asked == []
    # A code may be written in small letters.
    page.route("**/v1/licence/verify", lambda route: route.abort())
    fill_copy(tab, **{"copy-to": RECIPIENT.lower()})
    page.click("#make")
    page.wait_for_selector("#result .verdict")
    assert "cannot be reached" in tab.result.inner_text()
    assert page.locator("#copy [aria-invalid]").count() == 0
    tab.forgive()


@ONCE
def test_no_copy_is_made_of_a_licence_that_would_be_refused(tab: Tab, tmp_path: Path) -> None:
    pem, holder = new_holder_key()
    write_wallet(tmp_path / "revoked.json", Wallet(licence=held(holder, "revoked"), holder_key=pem))
    write_wallet(tmp_path / "no-key.json", Wallet(licence=held(holder)))
    open_wallet(tab, tmp_path / "revoked.json")
    tab.page.click("#copying summary")
    fill_copy(tab)
    tab.page.click("#make")
    tab.page.wait_for_selector("#result .verdict.bad")
    assert "No copy can be made" in tab.result.inner_text()
    assert "revoked" in tab.result.inner_text()
    assert not [url for url in tab.asked if url.endswith("/copy")]
    # Without the holder's key nobody could say for whom.
    open_wallet(tab, tmp_path / "no-key.json")
    assert not tab.page.locator("#copying").is_visible()
    assert tab.page.locator("#no-key").is_visible()


@needs_font
@ONCE
def test_a_copy_is_made_by_keyboard_alone(tab: Tab, wallet: Path) -> None:
    open_wallet(tab, wallet)
    page = tab.page
    page.focus("#show")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for text in (NAME, RECIPIENT, MATTER):
        page.keyboard.press("Tab")
        page.keyboard.insert_text(text)
    page.keyboard.press("Enter")
    page.wait_for_selector("#result .made")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "plain strong save"
