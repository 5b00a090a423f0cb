"""Sending transactions as a member: nonces under concurrency, signing, waiting, safe repetition."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import rlp

from ledger.chain import embedded
from ledger.chain.blocks import Receipt
from ledger.chain.reverts import revert_error
from ledger.errors import LedgerError, UnavailableError
from ledger.keys import AccountSigner

#: Gas is free here; the limit only counts against the member's share of a block (a quarter of it at least).
DEFAULT_GAS = 4_000_000
DEFAULT_TIMEOUT_S = 30.0
#: A transaction without a block after this long is handed in again: the sequencer's pool is memory only.
RESUBMIT_S = 2.0
#: How far the local view may lag behind the sequencer's before we stop feeling our way to the next nonce.
_MAX_STEPS = 256
#: The same bytes may be in a block or in the pool already: keep waiting.
_HARMLESS = frozenset({"tx.nonce-low", "tx.nonce-taken", "tx.nonce-gap", "tx.pool-full"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionOutcome:
    """A transaction that took effect in the block at ``height``."""

    hash: bytes
    height: int
    receipt: Receipt


def sign_transaction(
    signer: AccountSigner, *, chain_id: int, nonce: int, to: bytes | None, data: bytes, gas: int = DEFAULT_GAS
) -> bytes:
    """A raw EIP-1559 transaction without price, value and access list. ``to`` None creates a contract."""
    fields = [chain_id, nonce, 0, 0, gas, to or b"", 0, data, []]
    signature = signer.sign_digest(embedded.keccak256(b"\x02" + rlp.encode(fields)))
    r, s = (int.from_bytes(signature[i : i + 32], "big") for i in (0, 32))
    return b"\x02" + bytes(rlp.encode([*fields, signature[64], r, s]))


class TransactionSender:
    """One account's way to the chain. Any number of threads send; nonces are given in order of arrival.

    ``nonce`` reads the committed nonce of an address, ``submit`` admits a raw transaction (here or at the sequencer),
    ``wait`` blocks for a receipt: ``EmbeddedChain.nonce``, ``.submit`` and ``.wait``.
    """

    def __init__(
        self,
        signer: AccountSigner,
        *,
        chain_id: int,
        nonce: Callable[[bytes], int],
        submit: Callable[[bytes], bytes],
        wait: Callable[[bytes, float], Receipt],
        resubmit_s: float = RESUBMIT_S,
    ) -> None:
        self.address = signer.address
        self._signer = signer
        self._chain_id = chain_id
        self._nonce = nonce
        self._submit = submit
        self._wait = wait
        self._resubmit_s = resubmit_s
        self._order = threading.Lock()
        self._in_flight: set[int] = set()

    def use_signer(self, signer: AccountSigner) -> None:
        """Send from another account from now on: the old one was replaced on chain."""
        with self._order:
            self._signer = signer
            self.address = signer.address
            # A set of its own: what is still in flight from the old account gives back its nonces there.
            self._in_flight = set()

    def send(
        self, to: bytes | None, calldata: bytes, *, gas: int = DEFAULT_GAS, timeout: float = DEFAULT_TIMEOUT_S
    ) -> TransactionOutcome:
        """Send and wait until it is in a block.

        Raises the contract's refusal as ``contract.*`` (``ledger.chain.reverts``), the admission's as ``tx.*``, and
        UnavailableError(chain.timeout) when no block took it in ``timeout`` seconds: it may still be included.
        """
        deadline = time.monotonic() + timeout
        receipt = None
        while receipt is None:
            with self._order:
                in_flight, address = self._in_flight, self.address
                raw, transaction, nonce = self._dispatch(to, calldata, gas)
            try:
                # None: another transaction took the nonce, so this one can never be in a block and is sent anew.
                receipt = self._await(raw, transaction, address, nonce, deadline)
            finally:
                with self._order:
                    in_flight.discard(nonce)
        if not receipt.succeeded:
            raise revert_error(receipt.output)
        return TransactionOutcome(hash=transaction, height=receipt.height, receipt=receipt)

    def _dispatch(self, to: bytes | None, calldata: bytes, gas: int) -> tuple[bytes, bytes, int]:
        """Give a nonce and hand in; the lock is held, so that nonces are handed in in their order."""
        nonce = self._free(self._nonce(self.address))
        for _ in range(_MAX_STEPS):
            raw = sign_transaction(self._signer, chain_id=self._chain_id, nonce=nonce, to=to, data=calldata, gas=gas)
            try:
                transaction = self._submit(raw)
            except LedgerError as error:
                # Our view is behind the sequencer's, or an earlier transaction we gave up on still waits there.
                if error.code not in ("tx.nonce-low", "tx.nonce-taken"):
                    raise
                nonce = self._free(max(nonce + 1, self._nonce(self.address)))
                continue
            self._in_flight.add(nonce)
            return raw, transaction, nonce
        raise UnavailableError(
            "chain.behind",
            f"this node's view of the chain is more than {_MAX_STEPS} transactions behind",
            hint="wait until the node has caught up: `civicledger doctor` says how far it is",
        )

    def _free(self, nonce: int) -> int:
        """The first nonce from here on that none of our transactions under way has. A nonce given up on is filled
        again: behind a gap every later transaction would wait for ever."""
        while nonce in self._in_flight:
            nonce += 1
        return nonce

    def _await(self, raw: bytes, transaction: bytes, address: bytes, nonce: int, deadline: float) -> Receipt | None:
        while True:
            left = deadline - time.monotonic()
            try:
                return self._wait(transaction, max(0.0, min(left, self._resubmit_s)))
            except LedgerError as error:
                if error.code == "tx.nonce-low":
                    return self._taken(transaction)
                if error.code != "chain.timeout" or left <= self._resubmit_s:
                    raise
            try:
                self._submit(raw)
            except LedgerError as error:
                if not _harmless(error):
                    raise
                # Only a nonce that is used up by what this node itself executed: the orderer's view may be ahead.
                if error.code == "tx.nonce-low" and self._nonce(address) > nonce:
                    return self._taken(transaction)

    def _taken(self, transaction: bytes) -> Receipt | None:
        """The nonce is used up by a block executed here: the receipt if by this very transaction, else None."""
        try:
            return self._wait(transaction, 0.0)
        except LedgerError as error:
            if error.code not in ("chain.timeout", "tx.nonce-low"):
                raise
            return None


def _harmless(error: LedgerError) -> bool:
    """Whether an admitted transaction may still get into a block though handing it in again is answered so. ``auth.*``
    judges the connection, not the transaction, by a newer block than ours: this very transaction may have ended the
    key the connection speaks with."""
    return error.code in _HARMLESS or error.code.startswith("auth.") or isinstance(error, UnavailableError)
