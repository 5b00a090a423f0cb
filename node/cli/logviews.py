"""What others saw of a log, for ``civicledger log fsck``: the answer's parts, and what a policy file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import LedgerError
from ledger.evidence.checkpoint import (
    Checkpoint,
    Note,
    VKey,
    verify_cosignature,
    verify_log_signature,
)
from ledger.evidence.tlogpolicy import parse_tlog_policy
from node.cli.texts import t

OK, DIFFERS, UNCHECKED = "ok", "differs", "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison: what, how it came out (``ok``, ``differs``, ``unchecked``), the detail in words."""

    what: str
    outcome: str
    detail: str

    def to_dict(self) -> dict[str, str]:
        """JSON-ready."""
        return {"check": self.what, "outcome": self.outcome, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Heads that others saw, by who saw them, and what could be said about the note itself."""

    heads: tuple[tuple[str, Checkpoint], ...]
    checks: tuple[Check, ...]


def policy_views(file: Path, origin: str, note: Note) -> Views:
    """What a tlog-policy file says: the log's keys, and which witnesses make a quorum.

    Raises: InvalidInputError(policy.tlog), OSError.
    """
    policy = parse_tlog_policy(file.read_bytes())
    checks = [signed(note, [key for key in policy.logs if key.name == origin])]
    found = []
    for _, key in policy.witnesses:
        try:
            if verify_cosignature(note, key) is not None:
                found.append(key)
        except LedgerError as error:
            checks.append(Check(what="cosignature", outcome=DIFFERS, detail=error.message))
    checks.append(
        Check(
            what="quorum",
            outcome=OK if policy.satisfied(found) else DIFFERS,
            detail=t(f"{len(found)} of the policy's witnesses cosigned", f"策略中有 {len(found)} 个见证方签名"),
        )
    )
    return Views(heads=(), checks=tuple(checks))


def signed(note: Note, keys: Sequence[VKey]) -> Check:
    """Whether one of these keys signed the note."""
    for key in keys:
        try:
            verify_log_signature(note, key)
        except LedgerError:
            continue
        return Check(what="signature", outcome=OK, detail=f"{key.name}+{key.key_id.hex()}")
    return Check(
        what="signature",
        outcome=DIFFERS,
        detail=t("signed by no key that is known to be the log's", "并非由已知的日志密钥签名"),
    )
