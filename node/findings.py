"""How the doctor says what it found: one line, its code, the next step, in English and in Chinese."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain.refusals_zh import in_chinese
from ledger.errors import LedgerError
from node.context import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One text in both languages."""

    en: str
    zh: str

    def __add__(self, other: Words) -> Words:
        return Words(en=self.en + other.en, zh=self.zh + other.zh)


def t(en: str, zh: str) -> Words:
    """Both languages of a text."""
    return Words(en=en, zh=zh)


def said(error: LedgerError) -> tuple[Words, Words]:
    """Message and next step of an error: Chinese where there are such words, else as it is."""
    chinese = in_chinese(error.code, error.message, error.hint) or (error.message, error.hint)
    return t(error.message, chinese[0]), t(error.hint, chinese[1])


def fine(code: str, message: Words) -> Finding:
    """Something that is as it should be."""
    return Finding(severity="ok", code=code, message=message.en, hint="", message_zh=message.zh)


def caution(code: str, message: Words, hint: Words) -> Finding:
    """Something that works, and will not for long or not for everybody."""
    return Finding(
        severity="warning", code=code, message=message.en, hint=hint.en, message_zh=message.zh, hint_zh=hint.zh
    )


def trouble(code: str, message: Words, hint: Words) -> Finding:
    """Something that does not work."""
    return Finding(
        severity="problem", code=code, message=message.en, hint=hint.en, message_zh=message.zh, hint_zh=hint.zh
    )
