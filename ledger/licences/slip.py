"""Slips: a licence on paper or on a screen without a network, small enough for a QR code.

``EL1:`` and the Base45 of a COSE_Sign1 whose payload is a CWT. Codes are packed as numbers; what is left is digests,
signature and names, which deflating only makes longer. The issuer signs it when the holder asks; it says who (masked),
what, until when and where the status is, and it ends by itself: after minutes on a screen, on a date on paper. A slip
that carries a copy's terms is meant for one recipient and one matter.
Source: RFC 8392; RFC 9285; draft-ietf-oauth-status-list, section 6.3; docs/formats.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ledger.errors import InvalidInputError
from ledger.licences import base45, cose, identifier
from ledger.licences.copies import HOLDER, CopyTerms, is_plain
from ledger.licences.identifier import ROOT, LicenceIdentifier
from ledger.licences.qr import MAX_CHARACTERS
from ledger.licences.suites import Signer

PREFIX: Final = "EL1:"
#: Of a slip on a screen, seconds.
SCREEN_SECONDS: Final = 300
MAX_HOLDER: Final = 40
MAX_TITLE: Final = 40
MAX_URI: Final = 128
MAX_PACKED: Final = 80
USCC_LENGTH: Final = 18
MAX_INDEX: Final = 2**24 - 1
_MAX_TIME_S: Final = 253_402_300_799

# CWT claims. Source: RFC 8392, 3.1; draft-ietf-oauth-status-list, 6.3. Ours lie in one claim of the private range.
_EXP, _NBF, _IAT, _STATUS, _CONTENT = 4, 5, 6, 65_535, -70_001
# Within ours: packed identifier, title, masked holder, end of the licence, terms of a copy.
_IDENTIFIER, _TITLE, _HOLDER, _LICENCE_EXP, _COPY = 1, 2, 3, 4, 5
# Within a copy: packed recipient, matter, packed maker where it is an office. Made and ended with the slip.
_RECIPIENT, _MATTER, _MAKER = 1, 2, 3
#: Type, serial, version and check of an identifier around the issuer's 18 characters.
_PACKED: Final = re.compile(r"([0-9A-Z]{21})([0-9A-Z]{18})([0-9A-Z]{1,64})([0-9]{3})([0-9A-Z])\Z")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """What a slip says. Times are Unix seconds.

    ``identifier``: of the licence (GB/T 36904), which names its type and issuer; ``title``: the licence's name;
    ``holder``: the masked name; ``valid_from_s``, ``valid_until_s`` (None: without end): of the licence; ``made_s``,
    ``ends_s``: of this slip; ``status_uri``, ``status_index``: where its status stands; ``copy``: for whom, if for one
    only.
    """

    identifier: str
    title: str
    holder: str
    valid_from_s: int
    valid_until_s: int | None
    made_s: int
    ends_s: int
    status_uri: str
    status_index: int
    copy: CopyTerms | None = None

    def __post_init__(self) -> None:
        for name, text, limit in (
            ("title", self.title, MAX_TITLE),
            ("holder", self.holder, MAX_HOLDER),
            ("status uri", self.status_uri, MAX_URI),
        ):
            if type(text) is not str or not 1 <= len(text) <= limit or not is_plain(text):
                _refuse(f"its {name} is not a text of 1 to {limit} characters")
        if type(self.identifier) is not str:
            _refuse("its identifier is not a text")
        if len(identifier.parse(self.identifier).issuer) != USCC_LENGTH:
            _refuse("its issuer is not named by a unified social credit code")
        times = (self.valid_from_s, self.made_s, self.ends_s, *_given(self.valid_until_s))
        if any(type(time) is not int or not 0 <= time <= _MAX_TIME_S for time in times):
            _refuse("a time of it is no second between 1970 and 9999")
        if not self.made_s < self.ends_s or (self.valid_until_s is not None and self.ends_s > self.valid_until_s):
            _refuse("it ends before it is made, or after the licence")
        if type(self.status_index) is not int or not 0 <= self.status_index <= MAX_INDEX:
            _refuse("its place in the status list is out of range")
        if self.copy is not None and (self.copy.made_s, self.copy.expires_s) != (self.made_s, self.ends_s):
            _refuse("the copy has other times than the slip")

    @property
    def parts(self) -> LicenceIdentifier:
        """The identifier in its parts: type, issuer, check rule."""
        return identifier.parse(self.identifier)

    @property
    def vct(self) -> str:
        """The type as licences name it."""
        return f"urn:cn:elicence:{self.parts.type_code}:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSlip:
    """A slip as it was read, **not verified**: ``signed.verify(spki)`` checks it under a key the caller trusts."""

    slip: Slip
    signed: cose.Sign1


def is_slip(text: str) -> bool:
    """Whether a scanned text claims to be a slip, of whatever version."""
    return text.startswith("EL") and text[2:3].isdigit() and ":" in text[:6]


def make(slip: Slip, signer: Signer) -> str:
    """The text for the QR code, at most 600 characters. Raises: InvalidInputError(licence.slip-too-long)."""
    text = PREFIX + base45.encode(cose.sign(_payload(slip), signer))
    if len(text) > MAX_CHARACTERS:
        raise InvalidInputError(
            "licence.slip-too-long",
            "this licence says more than a QR code on paper holds",
            hint="shorten the matter or the title, or present a reference instead",
            expected=MAX_CHARACTERS,
            actual=len(text),
        )
    return text


def read(text: str) -> SignedSlip:
    """The slip in a scanned text.

    Raises: InvalidInputError(licence.slip-prefix | licence.slip-size | licence.base45 |
    licence.slip-deflated | licence.slip-cbor | licence.slip-trailing | licence.slip-canonical |
    licence.slip-form | licence.slip-header | licence.slip-alg | licence.slip-labels | licence.slip-claims |
    licence.identifier | licence.copy-terms | identifier.uscc).
    """
    if not text.startswith(PREFIX):
        raise InvalidInputError(
            "licence.slip-prefix",
            "not a slip of a licence, or of a version that is unknown here",
            hint="scan the code on the licence itself",
            expected=PREFIX,
            actual=ascii(text[:8]),
        )
    if len(text) > MAX_CHARACTERS:
        raise InvalidInputError(
            "licence.slip-size",
            "longer than any slip",
            hint="scan the code on the licence itself",
            expected=MAX_CHARACTERS,
            actual=len(text),
        )
    data = base45.decode(text[len(PREFIX) :])
    if data[:1] == b"\x78":
        raise InvalidInputError(
            "licence.slip-deflated",
            "a slip is not deflated, neither once nor twice",
            hint="scan the licence's own code",
        )
    signed = cose.parse(data)
    return SignedSlip(slip=_slip(cose.decode(signed.payload)), signed=signed)


def _payload(slip: Slip) -> bytes:
    content: dict[int, Any] = {
        _IDENTIFIER: _pack(slip.identifier.removeprefix(f"{ROOT}.").replace(".", "")),
        _TITLE: slip.title,
        _HOLDER: slip.holder,
    }
    if slip.valid_until_s is not None:
        content[_LICENCE_EXP] = slip.valid_until_s
    if slip.copy is not None:
        content[_COPY] = {_RECIPIENT: _pack(slip.copy.recipient), _MATTER: slip.copy.matter}
        if slip.copy.maker != HOLDER:
            content[_COPY][_MAKER] = _pack(slip.copy.maker)
    status = {"status_list": {"idx": slip.status_index, "uri": slip.status_uri}}
    return cose.encode(
        {_EXP: slip.ends_s, _NBF: slip.valid_from_s, _IAT: slip.made_s, _STATUS: status, _CONTENT: content}
    )


def _slip(claims: Any) -> Slip:
    _labels(claims, {_EXP, _NBF, _IAT, _STATUS, _CONTENT})
    status, content = claims[_STATUS], claims[_CONTENT]
    _labels(status, {"status_list"})
    _labels(status["status_list"], {"idx", "uri"})
    _labels(content, {_IDENTIFIER, _TITLE, _HOLDER}, {_LICENCE_EXP, _COPY})
    copy = None
    if _COPY in content:
        _labels(content[_COPY], {_RECIPIENT, _MATTER}, {_MAKER})
        given = content[_COPY]
        copy = CopyTerms(
            recipient=_unpack(given[_RECIPIENT]),
            matter=given[_MATTER],
            maker=_unpack(given[_MAKER]) if _MAKER in given else HOLDER,
            made_s=claims[_IAT],
            expires_s=claims[_EXP],
        )
    packed = _PACKED.match(_unpack(content[_IDENTIFIER]))
    if packed is None:
        _refuse("its identifier has other parts than a licence's")
    return Slip(
        identifier=".".join((ROOT, *packed.groups())),
        title=content[_TITLE],
        holder=content[_HOLDER],
        valid_from_s=claims[_NBF],
        valid_until_s=content.get(_LICENCE_EXP),
        made_s=claims[_IAT],
        ends_s=claims[_EXP],
        status_uri=status["status_list"]["uri"],
        status_index=status["status_list"]["idx"],
        copy=copy,
    )


def _labels(value: Any, needed: set[int] | set[str], more: frozenset[int] | set[int] = frozenset()) -> None:
    """Exactly the labels of this version: an unknown one may change what the others mean."""
    if type(value) is not dict:
        raise _labels_error("a text or number where a map belongs")
    # By their text: True equals 1 and would pass for it.
    found = set(map(repr, value))
    if missing := sorted({repr(label) for label in needed} - found):
        raise _labels_error(f"without {', '.join(missing)}")
    if unknown := sorted(found - {repr(label) for label in (*needed, *more)}):
        raise _labels_error(f"with {ascii(unknown[0])[:20]}")


def _labels_error(message: str) -> InvalidInputError:
    return InvalidInputError(
        "licence.slip-labels",
        f"a slip with other claims than this version has: {message}",
        hint="a newer programme may be able to read it",
    )


def _pack(text: str) -> bytes:
    """Capitals and digits as one number of base 36 behind a leading 1: two thirds of the bytes of the text."""
    number = int(f"1{text}", 36)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _unpack(data: Any) -> str:
    if type(data) is not bytes or not 1 <= len(data) <= MAX_PACKED:
        _refuse("a code of it is not packed bytes")
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    if text[:1] != "1" or data[0] == 0:
        _refuse("a code of it is packed in another way")
    return text[1:]


def _given(value: int | None) -> tuple[int, ...]:
    return () if value is None else (value,)


def _refuse(message: str) -> NoReturn:
    raise InvalidInputError(
        "licence.slip-claims", f"no slip can say this: {message}", hint="ask the issuer for a new slip"
    )
