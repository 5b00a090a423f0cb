"""Reference URLs: one form, and nothing like it."""

from __future__ import annotations

import pytest

from ledger.errors import InvalidInputError
from ledger.licences.qr import symbol
from ledger.licences.reference import Reference, make_reference, parse_reference, parse_token, token_text

TOKEN = bytes(range(20))
URL = "HTTPS://GATEWAY.EXAMPLE/R/AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT"


def test_a_reference_is_short_and_comes_back() -> None:
    made = make_reference("gateway.example", TOKEN)
    assert made.url == URL
    assert parse_reference(URL) == made == Reference(host="GATEWAY.EXAMPLE", token=TOKEN)
    assert (symbol(URL).version, len(URL)) == (3, 58)
    assert parse_token(token_text(TOKEN)) == TOKEN
    assert make_reference("127.0.0.1:8443", TOKEN).host == "127.0.0.1:8443"


@pytest.mark.parametrize(
    "text",
    [
        URL.lower(),
        URL + "\n",
        " " + URL,
        URL + "/",
        URL + "?A",
        URL[:-1],
        URL + "A",
        URL.replace("HTTPS", "HTTP"),
        URL.replace("/R/", "/X/"),
        URL.replace("/R/", "//R/"),
        URL.replace("GATEWAY.EXAMPLE", ""),
        URL.replace("GATEWAY.EXAMPLE", "GATEWAY..EXAMPLE"),
        URL.replace("GATEWAY.EXAMPLE", "-GATEWAY.EXAMPLE"),
        URL.replace("GATEWAY.EXAMPLE", "A@GATEWAY.EXAMPLE"),
        URL.replace("GATEWAY.EXAMPLE", "GATEWAY.EXAMPLE:0443"),
        URL.replace("GATEWAY.EXAMPLE", "GATEWAY.EXAMPLE:"),
        URL.replace("GATEWAY.EXAMPLE", "G" * 101),
        URL.replace("AAAQ", "AAA1"),
        "HTTPS://" + "A" * 100_000,
        "",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_reference(text)
    assert caught.value.code == "licence.reference"


def test_what_cannot_be_made() -> None:
    for host, token in (
        ("gateway.example/x", TOKEN),
        ("", TOKEN),
        ("gateway.example", TOKEN[:-1]),
        ("例.example", TOKEN),
    ):
        with pytest.raises(InvalidInputError):
            make_reference(host, token)
