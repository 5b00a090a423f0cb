"""The external engine: our contracts on an EVM network that somebody else runs, read and written by JSON-RPC.

It has the reading and submitting side of ``EmbeddedChain``. What differs:

- membership is enforced by the contracts alone: an outsider's transaction may be in a block and reverts;
- blocks are adopted by polling (``external_watch``); one that changes afterwards ends the engine with
  ``chain.reorged``: what was read before may no longer hold;
- headers are hashed, transactions compared with their hashes, proofs verified under the header's state root; answers to
  calls, receipts and nonces are the word of the node asked, so it should be the member's own;
- finality is the network's own: ``ledger.evidence.qbftfinality`` where it seals by QBFT, else unproven.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from ledger.chain import embedded, external_refusals
from ledger.chain import external_shapes as shapes
from ledger.chain.blocks import ChainHead, Receipt
from ledger.chain.external_deploy import Deployment, check_deployment, check_rules, read_block
from ledger.chain.external_link import RpcLink, refused
from ledger.chain.external_watch import POLL_S, HeadWatch
from ledger.chain.mempool import Admission
from ledger.chain.rpc.errors import METHOD_NOT_FOUND, RpcError
from ledger.errors import LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence import network
from ledger.storage.chainstate import StoredBlock

#: A receipt that is waited for is asked for this often even when no block is seen to hold it.
_RECHECK_S: Final = 1.0


class ExternalChain:
    """A member's view of the network. Any thread may read, call or submit."""

    engine: Final = "external"

    def __init__(self, link: RpcLink, deployment: Deployment, watch: HeadWatch) -> None:
        self.deployment: Final = deployment
        #: The way to the network's node.
        self.link: Final = link
        self._watch = watch
        #: Accounts read at one head: they are asked for with every call that is judged.
        self._accounts: tuple[bytes, dict[bytes, Mapping[str, Any]]] = (b"", {})

    @classmethod
    def open(
        cls,
        link: RpcLink,
        deployment: Deployment,
        *,
        since: tuple[int, bytes] | None = None,
        confirmations: int = 0,
        poll_s: float = POLL_S,
    ) -> Self:
        """Check the network and the contracts, and follow its blocks from now on. The link is closed with the engine.

        ``since``: height and hash of a block adopted earlier (before a restart), which must still stand.
        Raises ConflictError(chain.other-chain | chain.fees | chain.gas-limit), UntrustedError(chain.contract-code |
        chain.reorged | header.hash | chain.answer), UnavailableError(chain.*).
        """
        check_deployment(link, deployment)
        try:
            newest = read_block(link, None)
            check_rules(newest)
            start = newest
            if confirmations:
                start = read_block(link, max(deployment.height, newest.head.height - confirmations))
            watch = HeadWatch(link, start, confirmations=confirmations, poll_s=poll_s)
            if since is not None:
                watch.check_since(*since)
        except RpcError as error:
            raise refused("reading the newest block", error) from error
        watch.start()
        return cls(link, deployment, watch)

    # --- reading ------------------------------------------------------------------------------------------------------
    @property
    def chain_id(self) -> int:
        """The EIP-155 chain id."""
        return self.deployment.chain_id

    @property
    def is_follower(self) -> bool:
        """Transactions are handed to others."""
        return True

    @property
    def failure(self) -> LedgerError | None:
        """Why the engine follows no blocks any more (a block changed, or it is closed), or None."""
        return self._watch.failure

    @property
    def trouble(self) -> LedgerError | None:
        """Why the last look at the network failed, or None; it is tried again."""
        return self._watch.trouble

    @property
    def age_s(self) -> float:
        """Seconds since the network's node last answered: how old the view may be."""
        return self._watch.age_s

    def head(self) -> ChainHead:
        """The newest adopted block."""
        return self._watch.head()

    def hash_at(self, height: int) -> bytes | None:
        """The hash of the adopted block of a height; None where none is (remembered)."""
        return self._watch.hash_at(height)

    def call(self, to: bytes, data: bytes, height: int | None = None) -> bytes:
        """Read a contract at the head or at an earlier height. Raises the contract's revert as an error."""
        return shapes.data(self._state("eth_call", {"to": shapes.text(to), "data": shapes.text(data)}, height=height))

    def block(self, which: int | bytes) -> StoredBlock | None:
        """An adopted block by height or hash, or None. A transaction of a kind we do not write has empty bytes.

        Raises UntrustedError(chain.reorged) when another block of that height was adopted before.
        """
        found = self._block(which)
        return None if found is None else found.stored

    def transaction(self, transaction: bytes) -> tuple[StoredBlock, int] | None:
        """The adopted block a transaction is in, and its index there; None when it is in none."""
        row = self._read("eth_getTransactionByHash", shapes.text(transaction))
        at = None if row is None else shapes.fields_of(row).get("blockNumber")
        block = None if at is None else self.block(shapes.number(at))
        if block is None or transaction not in block.transaction_hashes:
            return None
        return block, block.transaction_hashes.index(transaction)

    def receipt(self, transaction: bytes) -> Receipt | None:
        """The receipt of a transaction in an adopted block, or None.

        ``output`` of a revert is what the network tells; where it tells nothing, the call is made once more on the
        state behind the block, which gives the same reason but for rare orders of transactions.
        """
        answer = self._read("eth_getTransactionReceipt", shapes.text(transaction))
        if answer is None:
            return None
        row = self._read("eth_getTransactionByHash", shapes.text(transaction))
        if row is None:
            return None
        found = self._receipt(answer, row)
        if found.hash != transaction:
            raise UntrustedError(
                "chain.answer", "another receipt was answered", expected=transaction, actual=found.hash
            )
        adopted = self._watch.hash_at(found.height)
        if found.height > self.head().height or adopted not in (None, found.block_hash):
            return None  # not adopted yet, or a change the watch is about to find
        return found

    def receipts(self, height: int) -> tuple[Receipt, ...]:
        """The receipts of a block in order; empty for an unknown height."""
        if not 0 <= height <= self.head().height:
            return ()
        rows = self._read("eth_getBlockByNumber", hex(height), True)
        if rows is None:
            return ()
        block = shapes.block(rows)
        self._watch.confirm(height, block.head.hash)
        hashes = block.stored.transaction_hashes
        try:
            answers = self.link.request("eth_getBlockReceipts", hex(height)) if hashes else []
        except RpcError as error:
            if error.code != METHOD_NOT_FOUND:
                raise refused("reading receipts", error) from error
            answers = self._each("eth_getTransactionReceipt", hashes)
        if not isinstance(answers, list) or len(answers) != len(hashes):
            raise UntrustedError("chain.answer", f"the receipts of block {height} are not those of its transactions")
        found = tuple(self._receipt(answer, row) for answer, row in zip(answers, rows["transactions"], strict=True))
        if [(item.hash, item.block_hash) for item in found] != [(hash_, block.head.hash) for hash_ in hashes]:
            raise UntrustedError("chain.answer", f"the receipts of block {height} are not those of its transactions")
        return found

    def nonce(self, address: bytes) -> int:
        """The next nonce of an account at the head."""
        return shapes.number(self._state("eth_getTransactionCount", shapes.text(address), height=None))

    def pending_nonce(self, address: bytes) -> int:
        """The next nonce of an account behind what waits at the network's node."""
        return shapes.number(self._read("eth_getTransactionCount", shapes.text(address), "pending"))

    def proof(self, address: bytes, slots: Sequence[bytes], height: int | None = None) -> dict[str, Any]:
        """An EIP-1186 proof in the form of the native chain's ``proof``, verified under the block's state root.

        Raises NotFoundError(chain.height | proof.window), UntrustedError(state.account | state.storage | chain.answer).
        """
        at = self.head()
        if height is not None and height != at.height:
            self._check_height(height)
            block = self._block(height)
            if block is None:
                raise NotFoundError("chain.height", f"the network's node has no block {height}")
            at = block.head
        answer = self._state(
            "eth_getProof", shapes.text(address), [shapes.text(slot) for slot in slots], height=at.height
        )
        if answer is None:
            raise NotFoundError(
                "proof.window",
                f"the state of block {at.height} is gone from the network's node",
                hint="take proofs while they are in the window, or use the ones kept with each anchor",
            )
        return dict(shapes.proof(answer, at.state_root, address, slots).native(at.height))

    def account(self, address: bytes) -> Mapping[str, Any]:
        """Nonce, balance, code hash and storage hash of an account, proven under the head's state root."""
        head = self.head()
        at, known = self._accounts
        if at != head.hash:
            at, known = self._accounts = (head.hash, {})
        found = known.get(address)
        if found is None:
            found = known[address] = self.proof(address, (), head.height)
        return found

    def hashed_header(self, height: int) -> tuple[bytes, bytes] | None:
        """(hash, the RLP that it is the hash of) of an adopted block, or None: of a QBFT block without its seals."""
        block = self.block(height)
        return None if block is None else (block.hash, network.hashed_header(block.header, block.hash))

    # --- submitting ---------------------------------------------------------------------------------------------------
    def submit(self, raw: bytes) -> bytes:
        """Hand in one transaction and return its hash; the same one again is no error.

        Raises InvalidInputError(tx.*), ConflictError(tx.nonce-taken), NotAllowedError(tx.not-member),
        UnavailableError(tx.pool-full | chain.*).
        """
        admission = self.submit_many([raw])[0]
        if not admission.admitted:
            raise admission.error()
        return admission.hash

    def submit_many(self, raws: Sequence[bytes]) -> list[Admission]:
        """Hand in many; one answer each, in order."""
        if self.failure is not None:
            raise UnavailableError(self.failure.code, self.failure.message, hint=self.failure.hint)
        judged = [self._judge(raw) for raw in raws]
        good = [(place, raw) for place, raw in enumerate(raws) if judged[place].admitted]
        answers = self.link.batch([("eth_sendRawTransaction", (shapes.text(raw),)) for _, raw in good])
        for (place, _), answer in zip(good, answers, strict=True):
            judged[place] = self._admission(judged[place].hash, answer)
        return judged

    def wait(self, transaction: bytes, timeout: float) -> Receipt:
        """The receipt, as soon as the transaction is in an adopted block.

        Raises UnavailableError(chain.timeout) after ``timeout`` seconds (it may still be included later), or what ended
        the engine.
        """
        deadline = time.monotonic() + timeout
        with self._watch.awaiting(transaction) as seen:
            while True:
                receipt = self._receipt_if_reachable(transaction)
                if receipt is not None:
                    return receipt
                if self.failure is not None:
                    raise self.failure
                left = deadline - time.monotonic()
                if left <= 0:
                    raise UnavailableError(
                        "chain.timeout",
                        f"transaction 0x{transaction.hex()} is not in a block after {timeout:g} s",
                        hint="it may still be included: ask for its receipt; check that the network makes blocks",
                    )
                if seen.wait(min(left, _RECHECK_S)):
                    seen.clear()

    def subscribe(self, callback: Callable[[StoredBlock], None]) -> Callable[[], None]:
        """Call ``callback`` with every block after it is adopted, in order, without gaps, on the watch's thread (so it
        must be short). Returns the function that ends the subscription."""
        return self._watch.listen(callback)

    def close(self) -> None:
        """Follow no more blocks, release the waiters, give the connections back."""
        self._watch.stop(UnavailableError("chain.closed", "the node is stopping", hint="ask another node"))
        self.link.close()

    # --- inside -------------------------------------------------------------------------------------------------------
    def _check_height(self, height: int) -> None:
        head = self.head().height
        if height > head:
            raise NotFoundError(
                "chain.height", f"block {height} is above the head", hint="wait for it", expected=head, actual=height
            )

    def _state(self, method: str, *params: object, height: int | None) -> Any:
        """A question about the state at a height."""
        head = self.head().height
        if height is not None:
            self._check_height(height)
        try:
            return self._read(method, *params, hex(head if height is None else height))
        except NotFoundError as error:
            if error.code != "proof.window" or height is not None:
                raise
            # The newest state is never gone: a balancer asked a node that is behind.
            raise UnavailableError("chain.behind", error.message, hint="ask again in a moment") from error

    def _read(self, method: str, *params: object) -> Any:
        try:
            return self.link.request(method, *params)
        except RpcError as error:
            raise external_refusals.called(method, error) from error

    def _each(self, method: str, hashes: Sequence[bytes]) -> list[Any]:
        answers = self.link.batch([(method, (shapes.text(item),)) for item in hashes])
        for answer in answers:
            if isinstance(answer, RpcError):
                raise refused(method, answer)
        return answers

    def _block(self, which: int | bytes) -> shapes.ForeignBlock | None:
        if isinstance(which, bytes):
            return self._block_by_hash(which)
        if not 0 <= which <= self.head().height:
            return None
        answer = self._read("eth_getBlockByNumber", hex(which), True)
        if answer is None:
            return None
        block = shapes.block(answer)
        if block.head.height != which:
            raise UntrustedError("chain.answer", "another block was answered", expected=which, actual=block.head.height)
        self._watch.confirm(which, block.head.hash)
        return block

    def _block_by_hash(self, hash_: bytes) -> shapes.ForeignBlock | None:
        answer = self._read("eth_getBlockByHash", shapes.text(hash_), True)
        if answer is None:
            return None
        block = shapes.block(answer)
        if block.head.hash != hash_:
            raise UntrustedError("chain.answer", "another block was answered", expected=hash_, actual=block.head.hash)
        # A block beside the chain has a hash too: only the one of its height counts.
        standing = self._block(block.head.height)
        return block if standing is not None and standing.head.hash == hash_ else None

    def _receipt(self, answer: Any, row: Any) -> Receipt:
        bare = shapes.receipt(answer, shapes.number(shapes.fields_of(row).get("nonce")), b"")
        if bare.succeeded:
            return bare
        return shapes.receipt(answer, bare.nonce, self._revert(answer, row, bare.height))

    def _revert(self, answer: Any, row: Any, height: int) -> bytes:
        told = answer.get("revertReason")
        if isinstance(told, str) and told.startswith("0x"):
            return shapes.data(told)
        call = {name: row.get(name) for name in ("from", "to", "gas", "value", "input")}
        call["data"] = call.pop("input")
        for tag in (hex(height), hex(max(height - 1, 0))):
            try:
                self.link.request("eth_call", {name: value for name, value in call.items() if value}, tag)
            except RpcError as error:
                found = external_refusals.revert_data(error)
                if found:
                    return found
        return b""

    def _receipt_if_reachable(self, transaction: bytes) -> Receipt | None:
        try:
            return self.receipt(transaction)
        except UnavailableError:
            return None  # the network's node may be back before the deadline

    def _judge(self, raw: bytes) -> Admission:
        """What can be said of a transaction without asking."""
        hash_ = embedded.keccak256(raw)
        try:
            decoded = embedded.read_transaction(raw)
        except LedgerError as error:
            return Admission(hash=hash_, code=error.code, message=error.message)
        if decoded.chain_id != self.chain_id:
            return Admission(hash=hash_, code="tx.chain-id", message=f"signed for chain {decoded.chain_id}")
        return Admission(hash=hash_)

    def _admission(self, hash_: bytes, answer: Any) -> Admission:
        if not isinstance(answer, RpcError):
            if shapes.data(answer, 32) != hash_:
                raise UntrustedError("chain.answer", "a transaction was taken under another hash", expected=hash_)
            return Admission(hash=hash_)
        code, message = external_refusals.submitted(answer)
        if code == "tx.nonce-low" and self._read("eth_getTransactionByHash", shapes.text(hash_)) is not None:
            code = ""  # sent again after it got into a block: the first answer holds
        return Admission(hash=hash_, code=code, message=message if code else "")
