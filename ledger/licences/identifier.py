"""Identifiers of e-licences (电子证照标识): ``1.2.156.3005.2.<type 21>.<issuer>.<serial>.<version 3>.<check 1>``.

The check character is ISO 7064 MOD 37,36 over type, issuer, serial and version, without dots and without the root. A
widely copied routine gives letters the values 11 to 36 and reduces them by another modulus: what it wrote is in the
field, and is told apart here from a mistyped identifier. Source: GB/T 36904-2018; GB/T 17710-2008.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from ledger.errors import InvalidInputError
from ledger.identifiers import parse_uscc

ROOT: Final = "1.2.156.3005.2"
MAX_SERIAL: Final = 64

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_TYPE_CHARACTERS: Final = 21
_TYPE: Final = re.compile(r"[0-9A-Z]{18}[0-9]{3}\Z")
_SERIAL: Final = re.compile(rf"[0-9A-Z]{{1,{MAX_SERIAL}}}\Z")
_VERSION: Final = re.compile(r"(?!000)[0-9]{3}\Z")
#: Divisions (six digits) and old organisation codes (nine) stand for the issuer in older identifiers.
_OLD_ISSUER: Final = re.compile(r"[0-9]{6}\Z|[0-9A-Z]{8}[0-9X]\Z")
_HINT: Final = "compare it with the licence; it reads 1.2.156.3005.2.<type>.<issuer>.<serial>.<version>.<check>"


class CheckRule(StrEnum):
    """By which rule the check character fits."""

    STANDARD = "standard"
    WIDESPREAD = "widespread"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceIdentifier:
    """An identifier in its parts. ``type_code``: 21 characters; ``issuer``: USCC (in older ones a division of six
    digits or an organisation code of nine); ``version``: 1 to 999; ``rule``: which rule the check character follows."""

    type_code: str
    issuer: str
    serial: str
    version: int
    check: str
    rule: CheckRule

    def __str__(self) -> str:
        return f"{ROOT}.{self.type_code}.{self.issuer}.{self.serial}.{self.version:03d}.{self.check}"


def make(type_code: str, issuer: str, serial: str, version: int = 1) -> LicenceIdentifier:
    """The identifier of a licence, by the standard's rule.

    Raises: InvalidInputError(licence.type-code | identifier.uscc | licence.serial | licence.version).
    """
    parse_type_code(type_code)
    parse_uscc(issuer)
    if not _SERIAL.match(serial):
        raise InvalidInputError(
            "licence.serial",
            "a serial of a licence is of capitals A to Z and digits: nothing else has a value in the check character",
            hint="take a number without Chinese characters, brackets or dashes, or a random one",
            expected=f"1 to {MAX_SERIAL} of 0-9 A-Z",
        )
    if not 1 <= version <= 999:
        raise InvalidInputError("licence.version", "the version of a licence is 1 to 999", actual=version)
    check = standard_check(type_code + issuer, f"{serial}{version:03d}")
    return LicenceIdentifier(
        type_code=type_code, issuer=issuer, serial=serial, version=version, check=check, rule=CheckRule.STANDARD
    )


def parse(text: str) -> LicenceIdentifier:
    """The parts of an identifier, with the rule its check character follows; capitals are not lower-case letters.

    Raises: InvalidInputError(licence.identifier).
    """
    parts = text.removeprefix(f"{ROOT}.").split(".")
    if not text.startswith(f"{ROOT}.") or len(parts) != 5:
        raise _refusal("it has not six parts")
    type_code, issuer, serial, version, check = parts
    if not (_is_type_code(type_code) and _is_issuer(issuer) and _SERIAL.match(serial) and _VERSION.match(version)):
        raise _refusal("one of its parts cannot be")
    if len(check) != 1 or check not in _ALPHABET:
        raise _refusal("it has no check character")
    if check == standard_check(type_code + issuer, serial + version):
        rule = CheckRule.STANDARD
    elif check == widespread_check(type_code + issuer + serial + version):
        rule = CheckRule.WIDESPREAD
    else:
        rule = CheckRule.NONE
    return LicenceIdentifier(
        type_code=type_code, issuer=issuer, serial=serial, version=int(version), check=check, rule=rule
    )


def parse_type_code(text: str) -> str:
    """A type code: the USCC of the body that defined the type, and three digits.

    Raises: InvalidInputError(licence.type-code).
    """
    if not _is_type_code(text):
        raise InvalidInputError(
            "licence.type-code",
            "not a type code of licences",
            hint="the unified social credit code of the body that defined the type, and three digits",
            actual=ascii(text)[:40],
        )
    return text


def standard_check(front: str, rest: str) -> str:
    """The check character of ISO 7064 MOD 37,36 over ``front`` and ``rest``. What stands in front, type and issuer, is
    the same in very many identifiers, and is added up once."""
    return _ALPHABET[(1 - _product(rest, _front(front))) % 36]


def _product(text: str, product: int) -> int:
    for character in text:
        product = ((product + _VALUES[character]) % 36 or 36) * 2 % 37
    return product


@lru_cache(maxsize=1024)
def _front(text: str) -> int:
    return _product(text, 36)


def widespread_check(body: str) -> str:
    """The check character the widely copied routine gives: letters count 11 to 36, and a sum that a letter brought over
    37 loses 37 instead of 36."""
    product = 36
    for character in body:
        value = _ALPHABET.index(character)
        if value >= 10:
            total = product + value + 1
            product = total - 37 if total > 37 else total
        else:
            product += value
        product = (product % 36 or 36) * 2 % 37
    return _ALPHABET[36 - product]


def _is_type_code(text: str) -> bool:
    # What is kept comes from texts that nobody has verified: only short ones are.
    return len(text) == _TYPE_CHARACTERS and _well_formed_type(text)


@lru_cache(maxsize=1024)
def _well_formed_type(text: str) -> bool:
    return bool(_TYPE.match(text)) and _is_uscc(text[:18])


def _is_issuer(text: str) -> bool:
    return _is_uscc(text) or bool(_OLD_ISSUER.match(text))


def _is_uscc(text: str) -> bool:
    try:
        return parse_uscc(text) == text
    except InvalidInputError:
        return False


def _refusal(message: str) -> InvalidInputError:
    return InvalidInputError("licence.identifier", f"not an identifier of a licence: {message}", hint=_HINT)
