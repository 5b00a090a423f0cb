"""Recovering a city from a stopped node's folder: propose, sign, start (docs/operations.md, a lost quorum)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.chain import embedded
from ledger.chain.genesis import decode_genesis
from ledger.chain.recovery import (
    MAX_RECOVERY_BYTES,
    OldState,
    Recovery,
    Tally,
    check_signatures,
    decode_recovery,
    encode_recovery,
    read_old_state,
    sign,
    tally,
)
from ledger.chain.recoveryterms import check_clock, check_terms, propose
from ledger.errors import ConflictError, InvalidInputError, NotFoundError
from ledger.identifiers import consensus_chain_id
from ledger.keys import AccountSigner
from ledger.log.files import disk_errors, replace_file
from ledger.model import KeyRole
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store
from node.config import NodeConfig, load_config
from node.context import system_clock
from node.identity.keyfiles import key_file, load_secret, read_passphrase
from node.recoveryfiles import RecoveryFiles, StateFile, write_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """A recovery as one node sees it."""

    recovery: Recovery
    state: OldState
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A node that is ready to run on the recovered city. ``height``: its first block; ``again``: it had started
    before."""

    recovery: Recovery
    height: int
    again: bool


def read_recoveries(paths: Sequence[Path]) -> Recovery:
    """One recovery of the signatures in all files.

    Raises: NotFoundError(recovery.no-file), InvalidInputError(recovery.format), ConflictError(recovery.other-proposal).
    """
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found.append(decode_recovery(file.read(MAX_RECOVERY_BYTES + 1)))
        except OSError as error:
            raise NotFoundError(
                "recovery.no-file", f"{path} cannot be read: {error.strerror}", hint="give the file of the proposal"
            ) from error
    return found[0].merged(found[1:])


def propose_recovery(
    folder: Path,
    environ: Mapping[str, str],
    *,
    lost: Sequence[str],
    validators: Sequence[str],
    chain_id: int,
    now_ms: int,
) -> Agreed:
    """A recovery from this node's head, signed by its member; from now on the node does not run on the old chain. The
    state is left beside what was signed, for members whose nodes have less.

    Raises: ConflictError(store.locked | recovery.signed-other), and as ``ledger.chain.recoveryterms.propose``.
    """
    config = load_config(folder)
    with Store.open(config.store_folder / "chain") as opened:
        store = ChainStore(opened)
        native, genesis = _load(config, store)
        state = read_old_state(native, genesis)
        made = propose(state, lost=lost, validators=validators, now_ms=now_ms, chain_id=chain_id)
        write_state(RecoveryFiles.of(config, made.terms.chain).state, genesis, store.load_rows())
    return _signed(config, environ, made, state)


def sign_recovery(
    folder: Path, environ: Mapping[str, str], recovery: Recovery, *, state_file: Path | None = None
) -> Agreed:
    """The recovery with this member's signature, after this node's own state says the same; from now on the node does
    not run on the old chain. ``state_file``: the state from the proposer, for a node that has less.

    Raises: ConflictError(store.locked | recovery.signed-other | recovery.clock), and as ``check_terms`` and ``tally``.
    """
    judged = judge_recovery(folder, recovery, state_file=state_file)
    check_clock(recovery, judged.state, system_clock())
    return _signed(load_config(folder), environ, recovery, judged.state)


def judge_recovery(folder: Path, recovery: Recovery, *, state_file: Path | None = None) -> Agreed:
    """What this node's own state says of a recovery. Raises: as ``check_terms`` and ``tally``."""
    config = load_config(folder)
    with Store.open(config.store_folder / "chain") as opened:
        state, _ = _agreed_state(config, ChainStore(opened), recovery, state_file)
    return Agreed(recovery=recovery, state=state, tally=tally(recovery, state))


def judge_by_file(recovery: Recovery, state_file: Path) -> Agreed:
    """What the state in a file says of a recovery, for somebody without a node: whether that block was the last one is
    for him to know. Raises: as ``check_terms`` and ``tally``, InvalidInputError(recovery.state)."""
    source = StateFile(state_file)
    state = read_old_state(embedded.load_chain(source.genesis, source.rows()), source.genesis)
    check_terms(recovery, state)
    return Agreed(recovery=recovery, state=state, tally=tally(recovery, state))


def withdraw(folder: Path) -> bool:
    """Forget what was signed here, so that the node runs on the old chain again; False when nothing was signed.

    Raises: ConflictError(recovery.started | store.locked).
    """
    config = load_config(folder)
    city = decode_genesis(_own_genesis(config))
    files = RecoveryFiles.of(config, city.digest)
    agreed = files.agreed()
    if agreed is None and city.recovery is None:
        return False
    # A start that was interrupted has the new chain and the old genesis file still.
    if agreed is None or _kept_chain(config) == agreed:
        raise ConflictError(
            "recovery.started",
            "this node started on the recovery already: there is no way back",
            hint="run it" if agreed is None else "finish it: `city recover start` with the same file, then run it",
            expected=city.digest if city.recovery is None else city.recovery.chain,
            actual=agreed or city.digest,
        )
    with disk_errors(files.signed, of_log=False):
        files.signed.unlink()
    return True


def start_recovery(folder: Path, recovery: Recovery, *, state_file: Path | None = None) -> Started:
    """Take a node over to the recovered city: its blocks stay, its chain goes on with the first block of the new
    genesis file, and CometBFT begins anew beside its old home. Interrupted, it is finished by the same call.

    ``state_file``: the state of the agreed head from another member, for a node that has less.
    Raises: ConflictError(store.locked | recovery.clock), what ``check_terms`` and ``check_signatures`` raise,
    UnavailableError(disk.*).
    """
    config, city = load_config(folder), recovery.city
    files = RecoveryFiles.of(config, recovery.terms.chain)
    with Store.open(config.store_folder / "chain") as opened:
        store = ChainStore(opened)
        again = store.genesis_digest == city.digest
        if not again:
            state, source = _agreed_state(config, store, recovery, state_file)
            check_signatures(recovery, state)
            check_clock(recovery, state, system_clock())
            files.write(files.genesis_before, state.genesis)
            files.write(files.recovery, encode_recovery(recovery))
            write_state(files.state, state.genesis, source.rows() if source else store.load_rows())
            rows = StateFile(files.state)
            made, writes = embedded.recover_chain(recovery.genesis, rows.rows())
            head = made.head()
            store.write_recovery(
                city.digest,
                (head["height"], head["hash"], head["header"]),
                writes,
                state=rows.rows() if source else None,
            )
    with disk_errors(config.genesis_file, of_log=False):
        replace_file(config.genesis_file, recovery.genesis)
        _set_aside(config.comet_folder, consensus_chain_id(city.digest))
    return Started(recovery=recovery, height=city.first_block, again=again)


def _kept_chain(config: NodeConfig) -> bytes | None:
    """The genesis digest of the chain in this folder; None where there is none. Raises: ConflictError(store.locked)."""
    folder = config.store_folder / "chain"
    if not folder.exists():
        return None
    with Store.open(folder) as store:
        return ChainStore(store).genesis_digest


def _signed(config: NodeConfig, environ: Mapping[str, str], recovery: Recovery, state: OldState) -> Agreed:
    uscc = config.member.uscc
    passphrase = read_passphrase(config.folder, config.passphrase_file, environ)
    signer = AccountSigner(load_secret(key_file(config.keys_folder, KeyRole.ACCOUNT), KeyRole.ACCOUNT, passphrase))
    made = sign(recovery, uscc, signer)
    counted = tally(made, state)
    # Before the signature leaves: who has it may count on this node.
    files = RecoveryFiles.of(config, recovery.terms.chain)
    files.fence(recovery.terms.chain, recovery.city.digest)
    files.write(files.recovery, encode_recovery(made))
    return Agreed(recovery=made, state=state, tally=counted)


def _agreed_state(
    config: NodeConfig, store: ChainStore, recovery: Recovery, state_file: Path | None
) -> tuple[OldState, StateFile | None]:
    """The agreed head, checked against the recovery; the file it comes from where this node has less."""
    source = None if state_file is None else _from_file(store, recovery, state_file)
    if source is None:
        native, genesis = _load(config, store)
    else:
        genesis = source.genesis
        native = embedded.load_chain(genesis, source.rows())
    state = read_old_state(native, genesis)
    check_terms(recovery, state)
    return state, source


def _load(config: NodeConfig, store: ChainStore) -> tuple[embedded.NativeChain, bytes]:
    if store.genesis_digest is None:
        raise NotFoundError(
            "recovery.no-chain",
            f"{config.folder} holds no chain yet",
            hint="take the file state in recovery/ of the member that proposed, and add --state",
        )
    genesis = _own_genesis(config)
    store.check_genesis(decode_genesis(genesis).digest)
    return embedded.load_chain(genesis, store.load_rows()), genesis


def _own_genesis(config: NodeConfig) -> bytes:
    try:
        return config.genesis_file.read_bytes()
    except OSError as error:
        raise NotFoundError(
            "genesis.missing",
            f"{config.genesis_file} cannot be read: {error.strerror}",
            hint="copy genesis.json from another member of the city: it is the same file everywhere",
        ) from error


def _from_file(store: ChainStore, recovery: Recovery, path: Path) -> StateFile | None:
    """The state in a file, where this folder has less than the agreed head; None where it has that itself.

    Raises: ConflictError(recovery.other-head | chain.other-genesis), InvalidInputError(recovery.state).
    """
    terms, own = recovery.terms, store.state_head
    source = StateFile(path)
    if decode_genesis(source.genesis).digest != terms.chain:
        raise InvalidInputError(
            "recovery.state",
            f"{path} is the state of another chain",
            hint="take the file state in recovery/ of the member that proposed, or of one that started",
            expected=terms.chain,
            actual=decode_genesis(source.genesis).digest,
        )
    if own is None:
        return source
    store.check_genesis(terms.chain)
    height, kept = own
    if height >= terms.height:
        return None  # judged by what is here
    theirs = dict(_headers(source)).get(height)
    if theirs is not None and kept != theirs:
        raise ConflictError(
            "recovery.other-head",
            f"this node has another block {height} than the agreed chain",
            hint="two blocks of one height are a fork: stop, keep both folders and compare with the other members",
            expected=theirs,
            actual=kept,
        )
    return source


def _headers(source: StateFile) -> Iterator[tuple[int, bytes]]:
    """(height, hash) of the blocks in the proof window. Source: native/src/chain/store.rs, row ``d``."""
    for key, value in source.rows():
        if key[:1] == b"d":
            length = int.from_bytes(value[:4], "big")
            yield int.from_bytes(key[1:], "big"), embedded.header_hash(value[4 : 4 + length])


def _set_aside(home: Path, chain_id: str) -> None:
    """Keep CometBFT's home of the old network beside, with what was signed from it: votes name their network, so the
    new one begins with a record of its own. Raises: OSError."""
    try:
        kept = json.loads((home / "config" / "genesis.json").read_bytes())["chain_id"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        kept = "unknown"
    if kept == chain_id:
        return
    os.rename(home, home.with_name(f"{home.name}.{kept}"))
