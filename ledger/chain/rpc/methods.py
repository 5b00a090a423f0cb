"""The methods: name -> readers of its parameters and what it does with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ledger.chain.embedded import read_transaction
from ledger.chain.engine import EmbeddedChain
from ledger.chain.rpc import params, shapes
from ledger.chain.rpc.errors import SERVER_ERROR, RpcError, from_ledger_error, invalid_params, reverted
from ledger.chain.rpc.filters import Filters
from ledger.chain.rpc.params import BlockRef, CallParams, LogParams
from ledger.errors import InvalidInputError, LedgerError
from ledger.storage.chainstate import LogFilter, StoredBlock

#: A log query reads every log of its range, so the range is bounded.
MAX_LOG_BLOCKS = 10_000
MAX_LOGS = 10_000
#: What one call may burn, whatever the client asks for.
MAX_CALL_GAS = 50_000_000
_LATEST = BlockRef(tag="latest")

Reader = Callable[[object], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method: ``readers`` by position, of which the first ``required`` must be given."""

    run: Callable[..., Any]
    readers: tuple[Reader, ...]
    required: int

    def __call__(self, given: list[object]) -> Any:
        return self.run(*self.read(given))

    def read(self, given: list[object]) -> list[Any]:
        """The parameters, checked. Raises RpcError."""
        if not self.required <= len(given) <= len(self.readers):
            span = (
                str(self.required) if self.required == len(self.readers) else f"{self.required} to {len(self.readers)}"
            )
            raise invalid_params(f"{span} parameters are expected, {len(given)} were given")
        return [
            # null stands for an optional parameter that was left out, not for a value.
            None if value is None and place >= self.required else reader(value)
            for place, (reader, value) in enumerate(zip(self.readers, given, strict=False))
        ]


class Methods:
    """Every method over one chain. ``version`` is what ``web3_clientVersion`` answers."""

    def __init__(self, chain: EmbeddedChain, filters: Filters, *, version: str) -> None:
        self._chain = chain
        self._filters = filters
        self._version = version
        self.table: dict[str, Method] = {
            "web3_clientVersion": _method(lambda: self._version),
            "net_version": _method(lambda: str(self._chain.chain_id)),
            "net_listening": _method(lambda: True),
            "eth_chainId": _method(lambda: hex(self._chain.chain_id)),
            "eth_syncing": _method(lambda: False),
            "eth_accounts": _method(lambda: []),
            "eth_blockNumber": _method(lambda: hex(self._chain.head().height)),
            "eth_gasPrice": _method(lambda: "0x0"),
            "eth_maxPriorityFeePerGas": _method(lambda: "0x0"),
            "eth_feeHistory": _method(self._fee_history, params.count, params.block, params.percentiles, required=2),
            "eth_getBalance": _method(self._balance, params.address, params.block_or_hash, required=1),
            "eth_getCode": _method(self._code, params.address, params.block_or_hash, required=1),
            "eth_getStorageAt": _method(self._storage, params.address, params.slot, params.block_or_hash, required=2),
            "eth_getTransactionCount": _method(self._nonce, params.address, params.block_or_hash, required=1),
            "eth_getProof": _method(self._proof, params.address, params.slots, params.block_or_hash),
            "eth_call": _method(self._call, params.call, params.block_or_hash, required=1),
            "eth_estimateGas": _method(self._estimate, params.call, params.block_or_hash, required=1),
            "eth_sendRawTransaction": _method(self._send, params.hex_data),
            "eth_getTransactionByHash": _method(self._transaction, params.hash32),
            "eth_getTransactionReceipt": _method(self._receipt, params.hash32),
            "eth_getBlockReceipts": _method(self._block_receipts, params.block_or_hash),
            "eth_getBlockByNumber": _method(self._block, params.block, params.boolean, required=1),
            "eth_getBlockByHash": _method(self._block_by_hash, params.hash32, params.boolean, required=1),
            "eth_getLogs": _method(self._logs, params.logs),
            "eth_newFilter": _method(self._new_filter, params.logs),
            "eth_newBlockFilter": _method(self._new_block_filter),
            "eth_getFilterChanges": _method(self._filter_changes, params.text),
            "eth_getFilterLogs": _method(self._filter_logs, params.text),
            "eth_uninstallFilter": _method(self._filters.remove, params.text),
        }

    # --- state --------------------------------------------------------------------------------------------------------
    def _balance(self, address: bytes, at: BlockRef | None = None) -> str:
        account = cast("dict[str, Any]", self._chain.native.account(address, self._state_height(at)))
        return hex(shapes.number(account["balance"]))

    def _code(self, address: bytes, at: BlockRef | None = None) -> str:
        return shapes.data(self._chain.native.code(address, self._state_height(at)))

    def _storage(self, address: bytes, slot: bytes, at: BlockRef | None = None) -> str:
        return shapes.data(self._chain.native.storage(address, slot, self._state_height(at)))

    def _nonce(self, address: bytes, at: BlockRef | None = None) -> str:
        if at is not None and at.tag == "pending":
            return hex(self._chain.pending_nonce(address))
        return hex(cast(int, self._chain.native.account(address, self._state_height(at))["nonce"]))

    def _proof(self, address: bytes, slots: list[bytes], at: BlockRef) -> dict[str, Any]:
        return shapes.proof(self._chain.native.proof(address, slots, self._state_height(at)))

    def _call(self, call: CallParams, at: BlockRef | None = None) -> str:
        gas = MAX_CALL_GAS if call.gas is None else min(call.gas, MAX_CALL_GAS)
        succeeded, output, _ = self._chain.native.call(
            call.to, call.data, sender=call.sender, value=call.value, gas=gas, height=self._state_height(at)
        )
        if not succeeded:
            raise reverted(output)
        return shapes.data(output)

    def _estimate(self, call: CallParams, at: BlockRef | None = None) -> str:
        if at is not None and self._state_height(at) not in (None, self._chain.head().height):
            raise invalid_params("gas is estimated on the newest block only")
        try:
            return hex(self._chain.native.estimate_gas(call.to, call.data, call.sender, call.value))
        except InvalidInputError as error:
            if error.code != "evm.revert":
                raise
            raise reverted(error.actual if isinstance(error.actual, bytes) else b"") from error

    # --- transactions -------------------------------------------------------------------------------------------------
    def _send(self, raw: bytes) -> str:
        try:
            return shapes.data(self._chain.submit(raw))
        except LedgerError as error:
            raise _not_taken(error) from error

    def send_many(self, given: Sequence[list[object]]) -> list[str | RpcError]:
        """``eth_sendRawTransaction`` for each of many lists of parameters: those that are transactions go in
        together, which recovers the senders on all cores and wakes whoever waits for transactions once."""
        answers: list[str | RpcError] = []
        raws: dict[int, bytes] = {}
        for place, values in enumerate(given):
            try:
                (raw,) = self.table["eth_sendRawTransaction"].read(values)
            except RpcError as error:
                answers.append(error)
            else:
                raws[place] = raw
                answers.append("")
        try:
            taken = self._chain.submit_many(list(raws.values()))
        except LedgerError as error:
            return [_not_taken(error) if place in raws else answer for place, answer in enumerate(answers)]
        for place, admission in zip(raws, taken, strict=True):
            answers[place] = shapes.data(admission.hash) if admission.admitted else _not_taken(admission.error())
        return answers

    def _transaction(self, hash_: bytes) -> dict[str, Any] | None:
        found = self._chain.transaction(hash_)
        if found is not None:
            block, index = found
            return shapes.transaction(read_transaction(block.transactions[index]), block, index)
        waiting = self._chain.waiting_transaction(hash_)
        return None if waiting is None else shapes.transaction(read_transaction(waiting), None)

    def _receipt(self, hash_: bytes) -> dict[str, Any] | None:
        found = self._chain.transaction(hash_)
        return None if found is None else self._receipts_of(found[0])[found[1]]

    def _block_receipts(self, at: BlockRef) -> list[dict[str, Any]] | None:
        block = self._stored(at)
        return None if block is None else self._receipts_of(block)

    def _receipts_of(self, block: StoredBlock) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        first_log = 0
        for item in self._chain.receipts(block.height):
            out.append(shapes.receipt(item, block.transactions[item.index], first_log))
            first_log += len(item.logs)
        return out

    # --- blocks -------------------------------------------------------------------------------------------------------
    def _block(self, at: BlockRef, full: bool | None = None) -> dict[str, Any] | None:
        block = self._stored(at)
        return None if block is None else shapes.block(block, full=bool(full))

    def _block_by_hash(self, hash_: bytes, full: bool | None = None) -> dict[str, Any] | None:
        return self._block(BlockRef(hash=hash_), full)

    def _fee_history(self, count: int, newest: BlockRef, asked: list[float] | None = None) -> dict[str, Any]:
        last = self._height(newest)
        if last is None:
            raise RpcError(SERVER_ERROR, "header not found")
        first = max(0, last + 1 - count)
        ratios = []
        for height in range(first, last + 1):
            block = self._chain.block(height)
            if block is None:
                raise RpcError(SERVER_ERROR, "header not found")
            fields = shapes.header(block.header)
            ratios.append(int(fields["gasUsed"], 16) / int(fields["gasLimit"], 16))
        out: dict[str, Any] = {
            "oldestBlock": hex(first),
            "baseFeePerGas": ["0x0"] * (len(ratios) + 1),
            "gasUsedRatio": ratios,
        }
        if asked:
            out["reward"] = [["0x0"] * len(asked) for _ in ratios]
        return out

    # --- logs and filters ---------------------------------------------------------------------------------------------
    def _logs(self, wanted: LogParams) -> list[dict[str, Any]]:
        if wanted.block_hash is not None:
            height = self._height(BlockRef(hash=wanted.block_hash))
            if height is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return self._logs_between(wanted, height, height)
        head = self._chain.head().height
        first = self._bound(wanted.first or _LATEST, head)
        last = self._bound(wanted.last or _LATEST, head)
        if first > last:
            raise invalid_params("fromBlock is after toBlock")
        return self._logs_between(wanted, first, min(last, head))

    def _logs_between(self, wanted: LogParams, first: int, last: int) -> list[dict[str, Any]]:
        if last - first >= MAX_LOG_BLOCKS:
            raise InvalidInputError(
                "logs.range",
                f"{last - first + 1} blocks are asked for, at most {MAX_LOG_BLOCKS} are read at once",
                hint="ask for a part of the range at a time",
            )
        asked = LogFilter(first=first, last=last, addresses=wanted.addresses, topics=wanted.topics)
        return [shapes.log(entry) for entry in self._chain.store.logs(asked, limit=MAX_LOGS)]

    def _new_filter(self, wanted: LogParams) -> str:
        if wanted.block_hash is not None:
            raise invalid_params("a filter looks forward: blockHash has no place in it")
        head = self._chain.head().height
        # Blocks from fromBlock on are reported once even when they are there already.
        start = head + 1 if wanted.first is None or wanted.first.tag else self._bound(wanted.first, head)
        return self._filters.add(wanted, start)

    def _new_block_filter(self) -> str:
        return self._filters.add(None, self._chain.head().height + 1)

    def _filter_changes(self, name: str) -> list[Any]:
        wanted, first, head = self._filters.advance(name, self._chain.head().height)
        if wanted is None:
            blocks = (self._chain.block(height) for height in range(first, head + 1))
            return [shapes.data(block.hash) for block in blocks if block is not None]
        last = head if wanted.last is None else min(head, self._bound(wanted.last, head))
        return self._logs_between(wanted, first, last) if first <= last else []

    def _filter_logs(self, name: str) -> list[dict[str, Any]]:
        wanted = self._filters.get(name).wanted
        if wanted is None:
            raise RpcError(SERVER_ERROR, "filter not found")
        return self._logs(wanted)

    # --- which block --------------------------------------------------------------------------------------------------
    def _height(self, at: BlockRef) -> int | None:
        """The height named, None when there is no such block."""
        if at.hash is not None:
            block = self._chain.block(at.hash)
            return None if block is None else block.height
        head = self._chain.head().height
        height = self._bound(at, head)
        return height if height <= head else None

    def _bound(self, at: BlockRef, head: int) -> int:
        """A height that may lie ahead of the head."""
        if at.height is not None:
            return at.height
        if at.tag == "earliest":
            return 0
        if at.tag in ("safe", "finalized"):
            final = self._chain.store.finality()
            return 0 if final is None else final[0]
        return head

    def _state_height(self, at: BlockRef | None) -> int | None:
        """The height to read state at; None reads the head without naming it, so that it cannot move meanwhile."""
        if at is None or at.tag in ("latest", "pending"):
            return None
        height = self._height(at)
        if height is None:
            raise RpcError(SERVER_ERROR, "header not found")
        return height

    def _stored(self, at: BlockRef) -> StoredBlock | None:
        if at.hash is not None:
            return self._chain.block(at.hash)
        height = self._height(at)
        return None if height is None else self._chain.block(height)


def _method(run: Callable[..., Any], *readers: Reader, required: int | None = None) -> Method:
    return Method(run=run, readers=readers, required=len(readers) if required is None else required)


def _not_taken(error: LedgerError) -> RpcError:
    if error.code == "tx.malformed":
        return invalid_params(f"not a transaction: {error.message}")
    return from_ledger_error(error)
