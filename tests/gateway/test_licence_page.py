"""The page *check a licence* in a real browser, before a gateway that knows one issuer."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from ledger.licences import b64, issuing
from ledger.licences.suites import Signer, sm2_signer
from tests.chromium import broken_rules, picture
from tests.gateway.licence_samples import OTHER, Sample, samples
from tests.gateway.licence_tabs import ALL, FEW, PAIRS, PICTURED, Tab, code_of, fits, lines
from tests.ledger.licences.licence_keys import ISSUER, STRANGER

pytestmark = pytest.mark.browser

NAMES = tuple(samples(1_790_000_000))
#: What is shown in every pair of size, language and theme: one verdict of each kind.
KINDS = ("valid", "revoked", "something-else")
CASES = [(tab, name) for name in NAMES for tab in (ALL if PICTURED else PAIRS if name in KINDS else FEW)]
ONCE = pytest.mark.parametrize("tab", ["phone-en-light"], indirect=True)


@pytest.mark.parametrize("kept_tab", ALL if PICTURED else PAIRS, indirect=True)
def test_the_page_before_anything_was_shown(kept_tab: Tab) -> None:
    assert kept_tab.page.locator("h1").inner_text() == (
        "核验电子证照" if kept_tab.language == "zh" else "Check a licence"
    )
    picture(kept_tab.page, f"licence-{kept_tab.name}-start")
    assert fits(kept_tab.page)
    assert broken_rules(kept_tab.page) == []


@pytest.mark.parametrize(("kept_tab", "name"), CASES, indirect=["kept_tab"])
def test_one_verdict_everywhere(kept_tab: Tab, name: str) -> None:
    sample: Sample = kept_tab.gateway.shown[name]
    asked = {"licence": sample.text} | ({"recipient": sample.recipient} if sample.recipient else {})
    answer = kept_tab.gateway.post("/v1/licence/verify", asked)
    assert (answer["code"], kept_tab.paste(sample.text, sample.recipient)) == (sample.code, sample.code)
    assert kept_tab.page.locator("#result .verdict h2").inner_text() == answer["title"][kept_tab.language]
    assert lines(kept_tab, "check") == {check["name"]: check["outcome"] for check in answer["checks"]}
    failed = [check["name"] for check in answer["checks"] if check["outcome"] == "fail"]
    assert failed == ([sample.failed] if sample.failed else [])
    if failed:
        reason = next(check["text"] for check in answer["checks"] if check["outcome"] == "fail")[kept_tab.language]
        assert reason in kept_tab.page.locator(f"#result [data-check={failed[0]}]").inner_text()
        assert reason in kept_tab.page.locator("#result .verdict").inner_text()
    shown = kept_tab.page.locator("#result").inner_text()
    for claim in answer.get("claims", []):
        assert claim["label"][kept_tab.language] in shown
    assert lines(kept_tab, "device") == sample.device
    picture(kept_tab.page, f"licence-{kept_tab.name}-{name}")
    assert fits(kept_tab.page)
    if name in KINDS:
        assert broken_rules(kept_tab.page) == []


@ONCE
@pytest.mark.parametrize("name", ["slip", "valid"])
def test_a_code_in_a_picture_is_read_and_judged(tab: Tab, name: str) -> None:
    sample = tab.gateway.shown[name]
    assert tab.choose("code.png", code_of(sample.text), "image/png") == sample.code
    assert lines(tab, "device") == sample.device


@ONCE
def test_a_damaged_code_is_said_to_be_unreadable(tab: Tab) -> None:
    damaged = Image.open(io.BytesIO(code_of(tab.gateway.shown["slip"].text))).convert("L")
    damaged.paste(255, (0, 0, damaged.width, damaged.height // 2))
    out = io.BytesIO()
    damaged.save(out, "PNG")
    assert tab.choose("code.png", out.getvalue(), "image/png") is None
    assert "No readable QR code" in tab.result.inner_text()
    picture(tab.page, f"licence-{tab.name}-damaged-code")
    assert broken_rules(tab.page) == []


@ONCE
def test_a_reference_leads_to_what_waits_behind_it(tab: Tab) -> None:
    sample = tab.gateway.shown["valid"]
    url = tab.gateway.post("/v1/licence/reference", {"licence": sample.text})["url"]
    assert tab.choose("code.png", code_of(url), "image/png") == "valid"
    assert lines(tab, "device") == sample.device
    # A phone's own camera opens the address itself.
    tab.page.goto(tab.gateway.url + url[url.index("/R/") :])
    assert tab.verdict() == "valid"
    assert tab.paste(f"HTTPS://LOCALHOST/R/{'A' * 32}") is None
    assert "This link has ended" in tab.result.inner_text()
    tab.forgive()


@ONCE
def test_a_file_with_the_text_is_judged_and_one_of_something_else_is_not_sent(tab: Tab) -> None:
    assert tab.choose("licence.txt", tab.gateway.shown["valid"].text.encode() + b"\n", "text/plain") == "valid"
    tab.asked.clear()
    for name, content, kind, said in (
        ("wallet.json", b'{"v":1,"licence":"x~","holder_key":"-----BEGIN"}', "application/json", "wallet file"),
        ("long.txt", b"x" * (1 << 18), "text/plain", "Too large"),
        ("text.txt", b"x" * 70_000, "text/plain", "Too large"),
        ("photo.heic", b"\0\0\0\x18ftypheic" + bytes(50), "image/heic", "no picture"),
        ("copy.pdf", b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "application/pdf", "no picture"),
        ("nothing.txt", b" \n", "text/plain", "nothing to check"),
    ):
        assert tab.choose(name, content, kind) is None
        assert said in tab.result.inner_text()
    assert tab.asked == []


@ONCE
def test_for_whom_is_asked_in_one_spelling_and_remembered_here(tab: Tab) -> None:
    copy = tab.gateway.shown["copy"]
    assert not tab.page.locator("#recipient").is_visible()
    assert tab.paste(copy.text) == "recipient-needed"
    assert tab.page.locator("#recipient").is_visible()
    assert tab.paste(copy.text, "9111000060003734") is None
    assert tab.page.locator("#recipient").get_attribute("aria-invalid") == "true"
    assert tab.paste(copy.text, OTHER.lower()) == "wrong-recipient"
    tab.page.reload()
    assert tab.page.input_value("#recipient") == OTHER


@ONCE
def test_a_gateway_that_lies_is_contradicted_by_the_readers_device(tab: Tab) -> None:
    forged, valid = (tab.gateway.shown[name] for name in ("forged", "valid"))
    lie = tab.gateway.post("/v1/licence/verify", {"licence": valid.text})
    tab.page.route("**/v1/licence/verify", lambda route: route.fulfill(json=lie))
    assert tab.paste(forged.text) == "device-differs"
    assert "disagree" in tab.page.locator("#result .verdict.bad").inner_text()
    assert lines(tab, "device") == forged.device


@ONCE
def test_the_readers_device_finds_every_change(tab: Tab) -> None:
    def recheck(text: str, signer: Signer = ISSUER) -> dict[str, str] | None:
        found = tab.page.evaluate(
            "async ([text, key]) => (await import('/static/licence-check.js')).recheck(text, key)",
            [text, {"kid": signer.kid, "alg": "ES256", "spki": base64.b64encode(signer.spki).decode()}],
        )
        return None if found is None else {line["name"]: line["outcome"] for line in found}

    bound, slip = tab.gateway.shown["bound"].text, tab.gateway.shown["slip"].text
    parts = bound.split("~")
    good = dict.fromkeys(("key", "signature", "disclosures", "holder"), "pass")
    other = b64.encode(b'["c2FsdHNhbHRzYWx0c2FsdA","CZZT","\xe6\x9d\x8e\xe5\x9b\x9b"]')
    assert recheck(bound) == good
    assert recheck(bound, STRANGER) == good | {"key": "fail", "signature": "fail"}
    assert recheck("~".join([parts[0], other, *parts[2:]])) == good | {"disclosures": "fail", "holder": "fail"}
    assert recheck("~".join([parts[0], *parts[2:]])) == good | {"holder": "fail"}
    assert recheck(bound[:-4] + ("AAAA" if bound[-4:] != "AAAA" else "BBBB")) == good | {"holder": "fail"}
    assert recheck(slip) == {"key": "pass", "signature": "pass"}
    assert recheck(slip, STRANGER) == {"key": "fail", "signature": "fail"}
    sm2 = sm2_signer(b"\1" * 32)
    assert recheck(issuing.issue({"a": 1}, typ="dc+sd-jwt", signer=sm2, salts=[])) == {"signature": "skip"}
    for text in ("", "~", "a.b.c~", "EL1:%%", slip[:40], "https://menu.example/"):
        assert recheck(text) is None


@ONCE
def test_a_gateway_that_is_away_or_busy_is_said_so(tab: Tab) -> None:
    tab.page.route("**/v1/licence/verify", lambda route: route.abort())
    assert tab.paste("x") is None
    assert "cannot be reached" in tab.result.inner_text()
    tab.page.unroute("**/v1/licence/verify")
    busy = {"code": "gateway.too-many-requests", "message": "too many", "hint": "wait"}
    tab.page.route("**/v1/licence/verify", lambda route: route.fulfill(status=429, json=busy))
    assert tab.paste("x") is None
    assert "in a few seconds" in tab.result.inner_text()
    tab.forgive()


@ONCE
def test_the_keyboard_is_enough(tab: Tab) -> None:
    page = tab.page
    page.keyboard.press("Tab")
    reached: list[str] = []
    while "check" not in reached and len(reached) < 20:
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if reached[-1] == "text":
            page.keyboard.insert_text(tab.gateway.shown["valid"].text)
        page.keyboard.press("Enter" if reached[-1] == "check" else "Tab")
    assert [name for name in reached if name in ("theme", "camera", "file", "text", "check")] == [
        "theme",
        "camera",
        "file",
        "text",
        "check",
    ]
    assert tab.verdict() == "valid"
    # Whoever does not see the sign is led to the words.
    assert page.evaluate("document.activeElement.closest('.verdict') !== null")


@ONCE
def test_a_browser_that_reads_codes_itself_sends_no_picture(tab: Tab) -> None:
    sample = tab.gateway.shown["slip"]
    tab.page.evaluate(
        """text => {
            window.BarcodeDetector = class {
                static async getSupportedFormats() { return ["qr_code"]; }
                async detect() { return [{ rawValue: text }]; }
            };
        }""",
        sample.text,
    )
    assert tab.choose("code.png", code_of("ANOTHER"), "image/png") == "valid"
    assert not [url for url in tab.asked if url.endswith("/scan")]


@ONCE
def test_the_camera_reads_a_slip(tab: Tab) -> None:
    tab.page.context.grant_permissions(["camera"], origin=tab.gateway.url)
    tab.page.click("#camera")
    assert tab.verdict() == "valid"
    assert tab.page.locator("#finder").is_hidden()
    assert tab.page.evaluate("document.getElementById('video').srcObject === null")


@ONCE
def test_where_no_camera_is_allowed_the_page_says_what_else_there_is(tab: Tab) -> None:
    tab.page.click("#camera")
    assert tab.verdict() is None
    assert "use a picture" in tab.result.inner_text()
    assert tab.page.locator("#finder").is_hidden()
