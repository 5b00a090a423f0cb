"""Which cosignatures make a checkpoint witnessed: the quorum of members, and a tlog-policy of the operator's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ledger.errors import FatalError, InvalidInputError, LedgerError
from ledger.evidence.note import VKey
from ledger.evidence.tlogpolicy import MAX_POLICY_BYTES, Group, TlogPolicy, parse_tlog_policy
from node.chain.roster import Roster
from node.trail.witnessing import log_keys, witness_keys


class WitnessQuorum:
    """The rule for one log. The quorum of other active members always holds, because contracts and bundles demand it;
    ``own``, a policy of the operator, may ask for more (*two districts and the audit office*), never for less."""

    def __init__(self, member: str, own: TlogPolicy | None = None) -> None:
        self._member = member
        self.own = own

    @classmethod
    def of_file(cls, member: str, file: Path | None) -> WitnessQuorum:
        """With the policy file of ``log.witness_policy``, None without one.

        Raises: InvalidInputError(policy.tlog), FatalError(config.unreadable).
        """
        if file is None:
            return cls(member)
        try:
            with file.open("rb") as stream:
                data = stream.read(MAX_POLICY_BYTES + 1)
        except OSError as error:
            raise FatalError("config.unreadable", f"{file} cannot be read: {error.strerror}") from error
        try:
            return cls(member, parse_tlog_policy(data))
        except LedgerError as error:
            raise InvalidInputError(
                error.code,
                f"{file}: {error.message}",
                hint="`civicledger witness policy` prints one to start from; docs/operations.md explains it",
            ) from None

    def met(self, roster: Roster, cosigners: Iterable[str]) -> bool:
        """Whether the operator's policy is satisfied by these members."""
        return self.own is None or self.own.satisfied(_keys(roster, cosigners))

    def within_reach(self, roster: Roster) -> bool:
        """Whether the witnesses of today's chain could satisfy it at all: a rotated key may put it out of reach."""
        return self.met(roster, [info.uscc for info in roster.others(self._member)])

    def policy(self, roster: Roster, addresses: Mapping[str, str] | None = None) -> TlogPolicy:
        """The rule as a tlog-policy for the tools of others, with the keys in force.

        ``addresses``: ``host:port`` of the members' witnesses, by USCC, where they are known.
        """
        if self.own is not None:
            return self.own
        witnesses: list[tuple[str, VKey]] = []
        groups: list[Group] = []
        members: list[str] = []
        urls: list[tuple[str, str]] = []
        for info in roster.others(self._member):
            keys = witness_keys(roster, info)
            # While a member rotates it has two keys; either one counts, and both count once.
            names = [info.witness_name if at == 0 else f"{info.witness_name}/{at + 1}" for at in range(len(keys))]
            witnesses += zip(names, keys, strict=True)
            if addresses is not None and info.uscc in addresses:
                urls += [(str(key), f"https://{addresses[info.uscc]}") for key in keys]
            if len(names) > 1:
                groups.append(Group(name=info.uscc, threshold=1, members=tuple(names)))
            members += [info.uscc] if len(names) > 1 else names
        if not members:
            quorum = "none"
        else:
            quorum = "members"
            groups.append(Group(name=quorum, threshold=min(roster.quorum, len(members)), members=tuple(members)))
        log = roster.members.get(self._member)
        return TlogPolicy(
            logs=log_keys(roster, log) if log is not None else (),
            witnesses=tuple(witnesses),
            groups=tuple(groups),
            quorum=quorum,
            urls=tuple(sorted(urls)),
        )


def _keys(roster: Roster, members: Iterable[str]) -> list[VKey]:
    known = [roster.members[uscc] for uscc in members if uscc in roster.members]
    return [key for info in known for key in witness_keys(roster, info)]
