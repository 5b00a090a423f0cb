"""The rule sets a node judges by: which version is in force for it, and the file behind the digest on chain.

The commission that adopted a version keeps its file and shows it to everybody; other nodes ask that commission's node
once, and keep what agrees with the digest.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import grpc
import structlog

from ledger.chain.bindings.recognitionrows import RuleVersionInfo
from ledger.errors import ConflictError, LedgerError, NotAllowedError, NotFoundError, UnavailableError
from ledger.model import Roles
from ledger.v1 import medicalrules_pb2, medicalrules_pb2_grpc
from node.medical.standing import StandingReader
from node.rpc.errors import from_rpc

if TYPE_CHECKING:
    from ledger.medical.ruleset import RuleSet
    from ledger.medical.standing import Standing
    from ledger.storage.store import Store
    from node.context import NodeContext

log = structlog.get_logger(__name__)

#: The largest rule set that is adopted: it travels in one message.
MAX_RULES_BYTES = 6 << 20
#: How long the commission's node may take for a file, seconds.
FETCH_TIMEOUT_S = 5.0
#: A commission that did not answer is not asked again for this long, milliseconds.
PAUSE_MS = 10_000
#: Rule sets kept loaded: the one in force, and those before and after it.
_LOADED = 3


class Rules:
    """Versions of rules and their files. Thread-safe. ``rows``: files by digest."""

    def __init__(self, context: NodeContext, rows: Store) -> None:
        self._context = context
        self._rows = rows
        self._lock = threading.Lock()
        self._reader = StandingReader(context)
        self._loaded: dict[bytes, RuleSet] = {}
        self._silent: dict[str, int] = {}
        #: The last answer of ``in_force``, and what it answers.
        self._answered: tuple[tuple[bytes, str | None, int], tuple[int, bytes, RuleSet]] | None = None

    def region(self) -> str:
        """The region by whose rules this member goes: a commission by its own, a hospital by that of the commission
        which entered it.

        Raises: NotAllowedError(medical.no-institution), ConflictError(medical.not-founded).
        """
        contracts, member = self._context.contracts, self._context.member
        entry = contracts.recognition.institution(member)
        if entry is not None:
            return entry.region
        known = contracts.consortium.member(member)
        if known is not None and Roles.HEALTH in known.roles:
            return known.region
        raise NotAllowedError(
            "medical.no-institution",
            f"{member} is no institution of any region, so no rules hold for it",
            hint="the region's health commission enters it: civicledger medical institution set",
        )

    def in_force(self, at_s: int, region: str | None = None) -> tuple[int, bytes, RuleSet]:
        """(version, digest, rule set) in force in a region at a time, this member's by default: whoever asks judges by
        the rules of its own region, and whoever checks that by the asker's.

        Raises: ConflictError(medical.no-rules | medical.not-founded), NotAllowedError(medical.no-institution),
        UnavailableError(medical.rules-away).
        """
        # What the chain says at one head of one second is asked for once: reports come in faster than that.
        asked = (self._context.chain.head().hash, region, at_s)
        known = self._answered
        if known is not None and known[0] == asked:
            return known[1]
        region = region or self.region()
        info = self._context.contracts.recognition.rules_at(region, at_s)
        if info is None:
            raise ConflictError(
                "medical.no-rules",
                f"region {region} had no rules in force then",
                hint="its health commission adopts some: civicledger medical rules adopt",
            )
        found = info.version, info.digest, self._load(info)
        # A block that came meanwhile answers for itself: nothing newer is kept under this head than what was asked.
        if self._context.chain.head().hash == asked[0]:
            self._answered = asked, found
        return found

    def standing(self) -> Standing:
        """Labels, quality, agreements and institutions at the newest head.

        Raises: ConflictError(medical.not-founded).
        """
        return self._reader.read()

    def keep(self, digest: bytes, data: bytes) -> None:
        """Keep the canonical bytes of a rule set under the digest the caller computed."""
        self._rows.put(digest, data)

    def held(self, digest: bytes) -> bytes:
        """The canonical bytes of a rule set, or none."""
        return self._rows.get(digest) or b""

    def file(self, info: RuleVersionInfo, *, fetch: bool = True) -> bytes:
        """The canonical bytes of a version, asked of its commission's node where they are not here; none where that
        does not show them."""
        data = self.held(info.digest)
        if data or not fetch or info.by == self._context.member or self._is_silent(info.by):
            return data
        request = medicalrules_pb2.GetRulesRequest(region=info.region, version=info.version)
        try:
            stub = medicalrules_pb2_grpc.MedicalRulesServiceStub(self._context.peers.channel(info.by))
            data = bytes(stub.GetRules(request, timeout=FETCH_TIMEOUT_S).file)
        except grpc.RpcError as error:
            self._missed(info.by, from_rpc(error, f"the node of {info.by}"))
            return b""
        except LedgerError as error:
            self._missed(info.by, error)
            return b""
        if not data or not self._agrees(data, info.digest):
            return b""
        self.keep(info.digest, data)
        return data

    def public(self, version: int) -> bytes:
        """The canonical bytes of a version of this member's region, as this node holds them.

        Raises: NotFoundError(medical.rules-unknown), NotAllowedError(medical.no-institution),
        ConflictError(medical.not-founded).
        """
        versions = self._context.contracts.recognition.rules(self.region())
        data = self.held(versions[version - 1].digest) if 1 <= version <= len(versions) else b""
        if not data:
            raise NotFoundError(
                "medical.rules-unknown",
                f"this node holds no version {version} of the rules",
                hint="the commission's node that adopted it does: civicledger medical rules list",
                actual=version,
            )
        return data

    def _load(self, info: RuleVersionInfo) -> RuleSet:
        from ledger.medical.rules import load_rules

        with self._lock:
            found = self._loaded.get(info.digest)
        if found is not None:
            return found
        data = self.file(info)
        if not data:
            raise UnavailableError(
                "medical.rules-away",
                f"the rules in force (version {info.version} of region {info.region}) are neither here nor at the node "
                f"of {info.by}, which adopted them",
                hint="start that node, and try again",
                actual=info.digest,
            )
        # Its units were checked by the commission, which could not adopt it otherwise.
        loaded = load_rules(data, units=False)
        with self._lock:
            self._loaded[info.digest] = loaded
            while len(self._loaded) > _LOADED:
                del self._loaded[next(iter(self._loaded))]
        return loaded

    def _agrees(self, data: bytes, digest: bytes) -> bool:
        from ledger.medical.rules import load_rules, rules_digest

        try:
            return rules_digest(load_rules(data, units=False)) == digest
        except LedgerError as error:
            log.warning("rules.malformed", code=error.code)
            return False

    def _is_silent(self, member: str) -> bool:
        with self._lock:
            return self._context.clock() < self._silent.get(member, 0)

    def _missed(self, member: str, error: LedgerError) -> None:
        log.info("rules.missed", member=member, code=error.code)
        if isinstance(error, UnavailableError):
            with self._lock:
                self._silent[member] = self._context.clock() + PAUSE_MS
