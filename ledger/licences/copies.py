"""Purpose-bound copies (加注件): a licence for one recipient, one matter and a limited time.

The holder makes one alone: a presentation whose key binding carries the terms, with the recipient as its audience, so
that terms and licence are under one signature of the holder's key. The claims in the KB-JWT: ``aud``
``urn:cn:uscc:<recipient>``, ``iat`` when it was made, ``exp`` when it ends, ``nonce`` 128 random bits that name the
copy, ``copy`` ``{"matter"}``. Shown elsewhere or later it is refused with that reason. On paper the same terms stand in
a slip that the issuer signs (:mod:`ledger.licences.slip`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ledger.errors import InvalidInputError, NotAllowedError
from ledger.identifiers import parse_uscc
from ledger.licences import b64, binding
from ledger.licences.binding import KeyBinding
from ledger.licences.suites import Signer

MAX_MATTER: Final = 60
#: A copy is for a matter at hand: longer than this is another licence.
MAX_SECONDS: Final = 366 * 86_400
NONCE_BYTES: Final = 16
SKEW_SECONDS: Final = 60
#: The maker of a copy that no office made.
HOLDER: Final = "holder"
_AUDIENCE: Final = "urn:cn:uscc:"
_MAX_TIME_S: Final = 253_402_300_799


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTerms:
    """``recipient``: USCC; ``matter``: what it is for (事项), 1 to 60 characters; ``maker``: USCC of the office that
    made it, or ``holder``; ``made_s``, ``expires_s``: Unix seconds.

    Raises: InvalidInputError(licence.copy-terms | identifier.uscc).
    """

    recipient: str
    matter: str
    made_s: int
    expires_s: int
    maker: str = HOLDER

    def __post_init__(self) -> None:
        if type(self.recipient) is not str or type(self.maker) is not str:
            _refuse("recipient and maker are texts")
        parse_uscc(self.recipient)
        if self.maker != HOLDER:
            parse_uscc(self.maker)
        if type(self.matter) is not str or not 1 <= len(self.matter) <= MAX_MATTER or not is_plain(self.matter):
            _refuse(f"the matter is a text of 1 to {MAX_MATTER} characters, without line ends or blanks around it")
        if any(type(time) is not int or not 0 <= time <= _MAX_TIME_S for time in (self.made_s, self.expires_s)):
            _refuse("times are seconds between 1970 and 9999")
        if not 0 < self.expires_s - self.made_s <= MAX_SECONDS:
            _refuse("a copy ends after it was made, and within a year")

    @property
    def audience(self) -> str:
        """The recipient as key bindings name it."""
        return _AUDIENCE + self.recipient


def make_copy(presented: str, terms: CopyTerms, *, holder: Signer, nonce: bytes) -> str:
    """A copy of what is shown: ``presented`` ends in ``~`` (:func:`ledger.licences.issuing.present`); ``holder``: the
    key in the licence's ``cnf``; ``nonce``: 16 fresh random bytes.

    Raises: InvalidInputError(licence.copy-terms), and what binding raises.
    """
    if len(nonce) != NONCE_BYTES:
        _refuse(f"a copy is named by {NONCE_BYTES} random bytes")
    if terms.maker != HOLDER:
        _refuse("only a slip signed by the issuer says that an office made it")
    return binding.bind(
        presented,
        signer=holder,
        audience=terms.audience,
        nonce=b64.encode(nonce),
        issued_at=terms.made_s,
        extra={"copy": {"matter": terms.matter}, "exp": terms.expires_s},
    )


def is_copy(claims: Mapping[str, Any]) -> bool:
    """Whether the claims of a key binding are those of a copy: then it is old by its own terms, not by its age."""
    return "copy" in claims


def copy_in(bound: KeyBinding) -> CopyTerms | None:
    """The terms in a verified key binding; None in an ordinary presentation.

    Raises: InvalidInputError(licence.copy-terms | identifier.uscc).
    """
    if not is_copy(bound.claims):
        return None
    given: Any = bound.claims["copy"]
    if not isinstance(given, dict) or set(given) != {"matter"} or set(bound.claims) != {"copy", "exp"}:
        _refuse("its claims are copy with the matter, and exp")
    if not bound.audience.startswith(_AUDIENCE):
        _refuse("its audience is a body's unified social credit code")
    return CopyTerms(
        recipient=bound.audience.removeprefix(_AUDIENCE),
        matter=given["matter"],
        made_s=bound.issued_at,
        expires_s=bound.claims["exp"],
    )


def check_copy(terms: CopyTerms, *, now_s: int, recipient: str | None) -> None:
    """Refuse a copy that is shown elsewhere, later, or before it was made. ``recipient``: USCC of who is looking at it;
    None: nobody said, and only a person can compare.

    Raises: NotAllowedError(licence.wrong-recipient | licence.copy-expired | licence.copy-early).
    """
    if recipient is not None and recipient != terms.recipient:
        raise NotAllowedError(
            "licence.wrong-recipient",
            "this copy was made for another body",
            hint="ask the holder for a copy made for you, or for the licence itself",
            expected=terms.recipient,
            actual=recipient,
        )
    if now_s >= terms.expires_s + SKEW_SECONDS:
        raise NotAllowedError(
            "licence.copy-expired",
            "this copy has ended",
            hint="ask the holder for a new copy",
            expected=f"before {terms.expires_s}",
            actual=now_s,
        )
    if now_s < terms.made_s - SKEW_SECONDS:
        raise NotAllowedError(
            "licence.copy-early",
            "this copy was made in the future",
            hint="compare the clocks of both sides; a minute's difference is allowed",
            expected=f"from {terms.made_s}",
            actual=now_s,
        )


def is_plain(text: str) -> bool:
    """Whether a text is NFC, without blanks around it and without anything that steers or hides text on a screen."""
    normal = unicodedata.is_normalized("NFC", text) and text == text.strip()
    return normal and not any(unicodedata.category(character).startswith("C") for character in text)


def _refuse(message: str) -> NoReturn:
    raise InvalidInputError("licence.copy-terms", f"no terms of a copy: {message}", hint="make the copy anew")
