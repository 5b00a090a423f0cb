"""The chain as the home node serves it on this machine's loopback: members, keys, anchors, datasets, blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from gateway.views import Block, ChainMember, ChainView, Dataset, LogKeys
from ledger.chain.abi import interface
from ledger.chain.bindings import AnchorInfo, Contracts
from ledger.chain.client import ChainClient
from ledger.chain.genesis import Genesis
from ledger.errors import ConflictError, InvalidInputError, NotFoundError
from ledger.evidence.checkpoint import ED25519_COSIGNATURE, ED25519_NOTE, VKey, quorum_of
from ledger.model import KeyInfo, KeyRole, MemberInfo, MemberStatus

#: A head asked for this recently is not asked for again.
FRESH_MS = 500
#: Blocks shown.
RECENT_BLOCKS = 8
#: Datasets read at most: the catalogue page of a city, not of a country.
MAX_DATASETS = 5_000
_PAGE = 200
_LOG_RANGE = 5_000


class ChainReader:
    """Reads one moment of the chain and keeps it until the head changes. Thread-safe."""

    def __init__(
        self, client: ChainClient, genesis: Genesis, names: Mapping[str, str], clock: Callable[[], int]
    ) -> None:
        self._client = client
        self._clock = clock
        self._asked_ms = -FRESH_MS
        self._genesis = genesis
        self._names = {**{member.uscc: member.name for member in genesis.members}, **names}
        self._lock = threading.Lock()
        self._view: ChainView | None = None
        self._blocks: dict[int, Block] = {}
        self._codes: dict[bytes, str] = {}
        # On somebody else's network the contracts stand since the founding block; before, nothing is ours.
        self._codes_to = -1 if genesis.network is None else genesis.network.height - 1
        self._checked = False

    def view(self) -> ChainView:
        """The chain at its present head, at most half a second old.

        Raises:
            UnavailableError: ``chain.unreachable``.
            ConflictError: ``gateway.other-chain``, the home node serves another chain than the genesis file says.
        """
        with self._lock:
            asked = self._clock()
            if self._view is not None and 0 <= asked - self._asked_ms < FRESH_MS:
                return self._view
            self._check_chain()
            head = self._client.head()
            if self._view is None or self._view.hash != head.hash:
                contracts = Contracts.in_force(self._client.call, self._genesis.contracts["Consortium"])
                members = self._members(contracts, head.height)
                names = {member.info.uscc: member.name for member in members}
                self._view = ChainView(
                    height=head.height,
                    hash=head.hash,
                    head_time=head.time,
                    members=members,
                    blocks=self._recent(head.height),
                    datasets=self._datasets(contracts, head.height, names),
                )
            self._asked_ms = asked
            return self._view

    def member(self, handle_or_uscc: str) -> ChainMember:
        """A member by handle or credit code.

        Raises:
            NotFoundError: ``member.unknown``; and as :meth:`view`.
        """
        return find_member(self.view(), handle_or_uscc)

    def _check_chain(self) -> None:
        if self._checked:
            return
        network = self._genesis.network
        first = "0x0" if network is None else hex(network.height)
        named, block = self._client.chain_id(), self._client.request("eth_getBlockByNumber", first, False)
        if block is None:
            same = False
        elif network is None:
            same = int(block["timestamp"], 16) == self._genesis.time_ms // 1000
        else:
            same = block["hash"] == "0x" + network.hash.hex()
        if named != self._genesis.chain_id or not same:
            raise ConflictError(
                "gateway.other-chain",
                "the home node serves another chain than the gateway's genesis file",
                hint="give the gateway the genesis file of its home node",
                expected=self._genesis.chain_id,
                actual=named,
            )
        self._checked = True

    def _members(self, contracts: Contracts, height: int) -> tuple[ChainMember, ...]:
        infos = contracts.consortium.members(height)
        keys = {info.uscc: contracts.consortium.keys(info.uscc, height) for info in infos}
        return tuple(
            ChainMember(
                info=info,
                name=self._names.get(info.uscc) or info.handle,
                keys=log_keys(info, infos, keys),
                anchor=_anchor(contracts, info, height),
            )
            for info in infos
        )

    def _recent(self, height: int) -> tuple[Block, ...]:
        wanted = range(height, max(-1, height - RECENT_BLOCKS), -1)
        found = {number: self._blocks.get(number) or self._block(number) for number in wanted}
        self._blocks = found
        return tuple(found.values())

    def _block(self, height: int) -> Block:
        row = self._client.request("eth_getBlockByNumber", hex(height), False)
        if row is None:
            raise NotFoundError("chain.block", f"the home node has no block {height}", actual=height)
        return Block(
            height=height,
            hash=bytes.fromhex(row["hash"][2:]),
            time=int(row["timestamp"], 16),
            transactions=len(row["transactions"]),
        )

    def _datasets(self, contracts: Contracts, height: int, names: Mapping[str, str]) -> tuple[Dataset, ...]:
        count = min(contracts.directory.dataset_count(height), MAX_DATASETS)
        if count > len(self._codes):
            self._read_codes(contracts.directory.address, height)
        infos = [
            info
            for first in range(0, count, _PAGE)
            for info in contracts.directory.datasets(first, min(_PAGE, count - first), height)
        ]
        return tuple(
            Dataset(
                info=info,
                resource_code=self._codes.get(info.id, ""),
                provider_name=names.get(info.provider, info.provider),
            )
            for info in infos
        )

    def _read_codes(self, directory: bytes, height: int) -> None:
        """Resource codes stand in the events of publication only."""
        directory_abi = interface("Directory")
        topic = next(sel for sel, event in directory_abi.events.items() if event.name == "DatasetPublished")
        for first in range(self._codes_to + 1, height + 1, _LOG_RANGE):
            last = min(first + _LOG_RANGE - 1, height)
            wanted: dict[str, Any] = {
                "fromBlock": hex(first),
                "toBlock": hex(last),
                "address": "0x" + directory.hex(),
                "topics": ["0x" + topic.hex()],
            }
            for row in self._client.request("eth_getLogs", wanted):
                topics = [bytes.fromhex(item[2:]) for item in row["topics"]]
                event = directory_abi.decode_event(topics, bytes.fromhex(row["data"][2:]))
                if event is not None:
                    self._codes[event.args["id"]] = event.args["resourceCode"]
            self._codes_to = last


def find_member(view: ChainView, handle_or_uscc: str) -> ChainMember:
    """A member by handle or credit code. Raises: NotFoundError ``member.unknown``."""
    for member in view.members:
        if handle_or_uscc in (member.info.handle, member.info.uscc):
            return member
    raise NotFoundError(
        "member.unknown",
        f"no member of this city is called {ascii(handle_or_uscc)[:60]}",
        hint="GET /v1/city lists the members with their handles",
    )


def log_keys(info: MemberInfo, members: tuple[MemberInfo, ...], keys: Mapping[str, tuple[KeyInfo, ...]]) -> LogKeys:
    """Whom a member's checkpoints are checked against.

    A retired log key still counts: what it signed stays valid until the next checkpoint; a compromised one never does.
    """
    active = [member for member in members if member.status is MemberStatus.ACTIVE]
    others = [member for member in active if member.uscc != info.uscc]
    return LogKeys(
        origin=info.origin,
        log=tuple(
            VKey(name=info.origin, type=ED25519_NOTE, public=key.material)
            for key in keys[info.uscc]
            if key.role is KeyRole.LOG and key.status != "compromised"
        ),
        witnesses=tuple(
            VKey(name=member.witness_name, type=ED25519_COSIGNATURE, public=key.material)
            for member in others
            for key in [_newest(keys[member.uscc], KeyRole.WITNESS)]
            if key is not None
        ),
        # A log of a member that is not active needs the quorum it would need if it came back.
        quorum=quorum_of(len(others) + 1),
        tls=frozenset(_active(keys[info.uscc], KeyRole.TLS)),
        receipts=_active(keys[info.uscc], KeyRole.RECEIPT),
    )


def page_of(view: ChainView, provider: str, page_size: int, token: str) -> tuple[tuple[Dataset, ...], str]:
    """(datasets of a provider in order of publication, token of the next page or "").

    Raises:
        InvalidInputError: ``page.size`` or ``page.token``.
    """
    if not 1 <= page_size <= _PAGE:
        raise InvalidInputError("page.size", f"a page has 1 to {_PAGE} rows", actual=page_size)
    if token and (not token.isascii() or not token.isdecimal() or len(token) > 9):
        raise InvalidInputError("page.token", "this is no page token of this list", hint="start again without a token")
    wanted = [item for item in view.datasets if not provider or item.info.provider == provider]
    first = int(token or "0")
    page = tuple(wanted[first : first + page_size])
    return page, str(first + page_size) if first + page_size < len(wanted) else ""


def _newest(keys: tuple[KeyInfo, ...], role: KeyRole) -> KeyInfo | None:
    active = [key for key in keys if key.role is role and key.status == "active"]
    return active[-1] if active else None


def _active(keys: tuple[KeyInfo, ...], role: KeyRole) -> tuple[bytes, ...]:
    return tuple(key.material for key in keys if key.role is role and key.status == "active")


def _anchor(contracts: Contracts, info: MemberInfo, height: int) -> AnchorInfo | None:
    return contracts.anchors.anchor(info.uscc, height)
