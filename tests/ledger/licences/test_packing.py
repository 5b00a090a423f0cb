"""A presentation in one QR code: the text that was packed comes back, and nothing else is taken for one."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, LedgerError
from ledger.licences import b64, base45, packing
from ledger.licences.batch import judge_batch, known_keys
from ledger.licences.copies import CopyTerms, make_copy
from ledger.licences.issuing import present
from ledger.licences.judging import Terms
from ledger.licences.qr import SHEET_CHARACTERS, symbol
from ledger.licences.templates import TEMPLATES
from ledger.licences.verdict import Verdict
from ledger.licences.verify import judge
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_city import BODY, DAY, NOW, OTHER_BODY
from tests.ledger.licences.licence_keys import HOLDER
from tests.ledger.licences.pictures import opened, photographed, read

TERMS = CopyTerms(recipient=OTHER_BODY, matter="办理不动产转移登记手续", made_s=NOW - 5, expires_s=NOW + 30 * DAY)


#: Of a driver's medical certificate a page holds everything but what leads an auditor to the hospital's record.
TOO_LONG = "driver-medical"
LEFT_OUT = {"KZ_TJJGDM", "KZ_TJBGBS", "KZ_TJBGBB", "KZ_TJBGCN", "KZ_TJBGXH"}


def copied(template: str, left_out: Set[str] = frozenset()) -> str:
    """A copy that shows everything a licence of the template has, or not these."""
    shown = city.issue(city.claims(template=template))
    if left_out:
        names = [json.loads(b64.decode(one))[-2] for one in shown.split("~")[1:-1]]
        shown = present(shown, [(name,) for name in names if name not in left_out])
    return make_copy(shown, TERMS, holder=HOLDER, nonce=bytes(range(16)))


COPY = copied("driving-licence")
PACKED = packing.pack(COPY)


def judged(text: str, recipient: str | None) -> Verdict:
    return judge(
        text,
        now_ms=NOW * 1_000,
        trust=lambda *_: city.trust(),
        status=lambda _: city.listed(),
        copy_recipient=recipient,
    )


def code_of(text: str) -> str:
    with pytest.raises(LedgerError) as caught:
        packing.unpack(text)
    return caught.value.code


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_a_copy_that_shows_everything_fits_one_code_and_comes_back(template: str) -> None:
    copy = copied(template, LEFT_OUT if template == TOO_LONG else frozenset())
    text = packing.pack(copy)
    code = symbol(text, SHEET_CHARACTERS)
    assert (code.level, code.version <= (40 if template == TOO_LONG else 36)) == ("M", True)
    assert packing.unpack(text) == packing.plain(text) == copy
    # 0.45 mm a module at 300 dpi is a little more than five pixels.
    picture = photographed(code.png(5 * (code.modules + 8)), turned=7, noise=20, blur=0.8, uneven=True)
    assert [found for found, _ in read(picture)] == [text]
    assert read(opened(code.png(5 * (code.modules + 8)))) == [(text, "M")]


def test_a_copy_that_shows_too_much_for_a_page_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidInputError, match=r"licence\.packed-too-long") as caught:
        packing.pack(copied(TOO_LONG))
    assert caught.value.hint == "show fewer facts"


@pytest.mark.parametrize("text", [city.licence(), city.presented(), city.licence().split("~", 1)[0] + "~"])
def test_any_presentation_may_be_packed(text: str) -> None:
    assert packing.unpack(packing.pack(text)) == text


def test_the_verdict_is_the_one_on_the_text_it_stands_for() -> None:
    for recipient, code in ((OTHER_BODY, "valid"), (BODY, "wrong-recipient"), (None, "recipient-needed")):
        verdict = judged(PACKED, recipient)
        assert verdict.code == code
        assert verdict == judged(COPY, recipient)
    alone = judged(PACKED, OTHER_BODY)
    terms = Terms(now_ms=NOW * 1_000, copy_recipient=OTHER_BODY)
    both = judge_batch(
        [PACKED, COPY], terms=terms, trust=lambda *_: city.trust(), status=lambda _: city.listed(), keys=known_keys({})
    )
    assert list(both) == [alone, alone]


def repacked(data: bytes) -> str:
    return packing.PREFIX + base45.encode(data)


RAW = zlib.decompress(base45.decode(PACKED.removeprefix(packing.PREFIX)))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("EP2:" + PACKED[4:], "licence.packed-prefix"),
        ("EP1", "licence.packed-prefix"),
        (COPY, "licence.packed-prefix"),
        (PACKED + "0" * 3_392, "licence.packed-size"),
        ("EP1:%%", "licence.base45"),
        (PACKED.lower().replace("ep1:", "EP1:"), "licence.base45"),
        ("EP1:", "licence.packed-form"),
        (repacked(b"\x78"), "licence.packed-form"),
        (repacked(b"no stream"), "licence.packed-form"),
        (repacked(zlib.compress(RAW, 9)[:-1]), "licence.packed-form"),
        (repacked(zlib.compress(RAW, 9) + b"\0"), "licence.packed-form"),
        (repacked(zlib.compress(zlib.compress(RAW, 9))), "licence.packed-form"),
        (repacked(zlib.compress(bytes(1 << 20))), "licence.packed-form"),
        (repacked(zlib.compress(zlib.compress(bytes(1 << 26), 9), 9)), "licence.packed-form"),
        (repacked(zlib.compress(b"")), "licence.packed-form"),
        (repacked(zlib.compress(RAW[:-1])), "licence.packed-form"),
        (repacked(zlib.compress(RAW + b"\0")), "licence.packed-form"),
        (repacked(zlib.compress(RAW + b"\0\0")), "licence.packed-form"),
        (repacked(zlib.compress(b"\0\0" + RAW[2:])), "licence.packed-form"),
        (repacked(zlib.compress(b"\xff\xff" + RAW[2:])), "licence.packed-form"),
        # More than a presentation may hold: inflated it is below the bound, as text above it.
        (repacked(zlib.compress(b"\0\0" + (b"\xd6\xd8" + bytes(55_000)) + b"\0\0" * 2)), "licence.packed-form"),
    ],
)
def test_what_is_no_packed_presentation(text: str, code: str) -> None:
    assert code_of(text) == code
    assert packing.plain(text) == text
    if packing.is_packed(text):
        verdict = judged(text, OTHER_BODY)
        assert verdict.code == "malformed"
        assert {check.name: check.code for check in verdict.checks}["structure"] == code
        assert verdict.to_dict()["todo"]["zh"]


@given(st.integers(4, len(PACKED) - 1))
def test_no_beginning_of_one_passes_for_it(end: int) -> None:
    assert code_of(PACKED[:end]) in ("licence.packed-form", "licence.base45")


@given(st.binary(max_size=200))
def test_whatever_inflates_is_refused_or_unpacked(data: bytes) -> None:
    text = repacked(zlib.compress(data))
    found = packing.plain(text)
    if found == text:
        assert code_of(text) == "licence.packed-form"
    else:
        assert re.fullmatch(r"[\w-]*\.[\w-]*\.[\w-]*~([\w-]*~)*([\w-]*\.[\w-]*\.[\w-]*)?", found)


def test_what_is_not_packed() -> None:
    for text, code in (
        ("", "licence.packed-form"),
        ("a.b~", "licence.packed-form"),
        (COPY + "~x", "licence.packed-form"),
        (COPY[:-1] + "=", "licence.base64"),
        ("~".join([COPY.split("~", 1)[0], *["AAAA"] * 257, ""]), "licence.packed-form"),
        ("AAAA.AAAA." + "A" * 90_000 + "~", "licence.packed-form"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            packing.pack(text)
        assert caught.value.code == code
    # Digests do not shrink.
    digests = "~".join([COPY.split("~", 1)[0], *(city.digest(str(n)) for n in range(60)), ""])
    with pytest.raises(InvalidInputError) as caught:
        packing.pack(digests)
    assert caught.value.code == "licence.packed-too-long"
