"""tlog-policy files: which logs and which quorum of witnesses, for the tools of others.

Source: C2SP tlog-policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.note import ED25519_COSIGNATURE, ED25519_NOTE, VKey, check_name, parse_vkey

MAX_POLICY_BYTES: Final = 262_144
_THRESHOLD = re.compile(r"[1-9][0-9]{0,5}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named group of a tlog-policy: at least ``threshold`` of its members (witnesses or groups) have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogPolicy:
    """A parsed tlog-policy: logs, witnesses by local name, groups in order, the quorum's name.

    ``urls``: (verifier key, URL) of the logs and witnesses that have one, in order. Names and URLs hold opaque octets,
    one character each.
    """

    logs: tuple[VKey, ...]
    witnesses: tuple[tuple[str, VKey], ...]
    groups: tuple[Group, ...]
    quorum: str
    urls: tuple[tuple[str, str], ...] = ()

    def __bytes__(self) -> bytes:
        """The policy file. Raises: InvalidInputError(policy.tlog) for a policy no file can say."""
        urls = dict(self.urls)
        lines = [f"log {_plain(str(key))}{_url(urls, key)}" for key in self.logs]
        lines += [f"witness {name} {_plain(str(key))}{_url(urls, key)}" for name, key in self.witnesses]
        lines += [f"group {group.name} {group.threshold} {' '.join(group.members)}" for group in self.groups]
        try:
            data = "\n".join([*lines, f"quorum {self.quorum}", ""]).encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidInputError("policy.tlog", "a name or URL with characters beyond an octet") from None
        if parse_tlog_policy(data) != self:
            raise InvalidInputError("policy.tlog", "a blank, a comment sign or an empty word in a name or URL")
        return data

    def satisfied(self, cosigners: Iterable[VKey]) -> bool:
        """Whether cosignatures by these keys fulfil the quorum."""
        public = {key.public for key in cosigners}
        holds = {name: key.public in public for name, key in self.witnesses} | {"none": True}
        for group in self.groups:
            holds[group.name] = sum(holds[name] for name in group.members) >= group.threshold
        return holds[self.quorum]


def format_tlog_policy(logs: Sequence[VKey], witnesses: Sequence[VKey], quorum: int) -> str:
    """A tlog-policy of these logs and ``quorum`` of these witnesses, named by their key names."""
    names = [check_name(key.name) for key in witnesses]
    if not 1 <= quorum <= len(names):
        raise InvalidInputError(
            "policy.quorum", "a quorum is of 1 to all witnesses", expected=len(names), actual=quorum
        )
    policy = TlogPolicy(
        logs=tuple(logs),
        witnesses=tuple((_plain(name), key) for name, key in zip(names, witnesses, strict=True)),
        groups=(Group(name="members", threshold=quorum, members=tuple(_plain(name) for name in names)),),
        quorum="members",
    )
    return bytes(policy).decode("utf-8")


def parse_tlog_policy(data: bytes) -> TlogPolicy:
    """A tlog-policy file. Raises: InvalidInputError(policy.tlog), naming the line."""
    if len(data) > MAX_POLICY_BYTES or any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in data):
        raise InvalidInputError("policy.tlog", "too large, or control characters in it")
    logs: list[VKey] = []
    witnesses: list[tuple[str, VKey]] = []
    groups: list[Group] = []
    quorums: list[str] = []
    urls: list[tuple[str, str]] = []
    free = set[str]()
    defined = set[str]()
    # Octets above 127 are opaque by the specification: one character each keeps names distinct.
    for number, line in enumerate(data.decode("latin-1").split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        match [word for word in words if word]:
            case []:
                continue
            case [first, *_] if first.startswith("#"):
                continue
            case ["log", key, *url] if len(url) <= 1:
                logs.append(_tlog_key(key, ED25519_NOTE, logs, number))
                urls += [(str(logs[-1]), item) for item in url]
            case ["witness", name, key, *url] if len(url) <= 1 and name not in defined | {"none"}:
                witnesses.append((name, _tlog_key(key, ED25519_COSIGNATURE, [item for _, item in witnesses], number)))
                urls += [(str(witnesses[-1][1]), item) for item in url]
                defined.add(name)
                free.add(name)
            case ["group", name, threshold, *members] if members and name not in defined | {"none"}:
                if not set(members) <= free or len(set(members)) != len(members):
                    raise _bad_line(number, "a member is not defined above, or is a member already")
                groups.append(
                    Group(name=name, threshold=_threshold(threshold, members, number), members=tuple(members))
                )
                free = free - set(members) | {name}
                defined.add(name)
            case ["quorum", name] if not quorums and (name in defined or name == "none"):
                quorums.append(name)
            case _:
                raise _bad_line(number, "not a log, witness, group or quorum line, or a name used twice or unknown")
    if not quorums:
        raise InvalidInputError("policy.tlog", "a policy has exactly one quorum line")
    return TlogPolicy(
        logs=tuple(logs), witnesses=tuple(witnesses), groups=tuple(groups), quorum=quorums[0], urls=tuple(sorted(urls))
    )


def _tlog_key(word: str, type_: int, known: Sequence[VKey], number: int) -> VKey:
    try:
        key = parse_vkey(word.encode("latin-1").decode("utf-8"))
    except (LedgerError, UnicodeDecodeError) as error:
        raise _bad_line(number, str(error)) from None
    if key.type != type_ or any(key.public == other.public for other in known):
        raise _bad_line(number, "a key of the wrong type, or one listed twice")
    return key


def _threshold(word: str, members: Sequence[str], number: int) -> int:
    if word in ("any", "all"):
        return 1 if word == "any" else len(members)
    if not _THRESHOLD.match(word) or int(word) > len(members):
        raise _bad_line(number, f"a threshold is 1 to {len(members)}, any or all")
    return int(word)


def _plain(text: str) -> str:
    """UTF-8 octets as one character each: how a policy holds names."""
    return text.encode("utf-8").decode("latin-1")


def _url(urls: dict[str, str], key: VKey) -> str:
    return f" {urls[str(key)]}" if str(key) in urls else ""


def _bad_line(number: int, message: str) -> InvalidInputError:
    return InvalidInputError("policy.tlog", f"line {number}: {message}", actual=number)
