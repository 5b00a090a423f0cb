"""Recovering from a stopped node's folder, by the command: proposed, signed, started, interrupted, taken back,
refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger.chain.devnet import DevMember
from ledger.chain.embedded import header_hash, load_chain
from ledger.chain.recovery import encode_recovery, sign
from ledger.errors import LedgerError
from ledger.identifiers import consensus_chain_id
from ledger.model import KeyRole
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store
from node.cli.main import build
from node.config import Listen, MemberSection, NodeConfig, encode_config, load_config
from node.context import system_clock
from node.identity.keyfiles import key_file, write_key, write_passphrase
from node.recovering import propose_recovery, read_recoveries, start_recovery
from node.recoveryfiles import RecoveryFiles, StateFile, check_not_signed
from tests.ledger.chain.recovery_city import Chain, make_chain, make_members

BODIES = make_members()
OLD_HOME = "civic-of-before"


class Folders:
    """Stopped nodes of all members at one head, made as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain = make_chain(BODIES)

    def node(self, member: DevMember, chain: Chain | None = None, *, empty: bool = False) -> Path:
        """A member's folder; ``empty``: it has its keys and nothing of the chain."""
        path = self.folder / member.founder.handle
        if path.exists():
            return path
        (path / "keys").mkdir(parents=True, mode=0o700)
        (path / "comet" / "config").mkdir(parents=True)
        (path / "comet" / "config" / "genesis.json").write_text(json.dumps({"chain_id": OLD_HOME}))
        write_passphrase(path / "passphrase", b"a passphrase of a test")
        write_key(key_file(path / "keys", KeyRole.ACCOUNT), KeyRole.ACCOUNT, member.secret, b"a passphrase of a test")
        section = MemberSection(uscc=member.uscc, handle=member.founder.handle, region=member.founder.region)
        listen = Listen(port=7001)
        config = NodeConfig(member=section, grpc=listen, https=listen, local=listen, passphrase_file="passphrase")
        (path / "node.toml").write_bytes(encode_config(config))
        chain = chain or self.chain
        (path / "genesis.json").write_bytes(chain.genesis)
        if not empty:
            with Store.open(path / "store" / "chain") as store:
                head = chain.native.head()
                chains = ChainStore(store)
                chains.write_genesis(chain.native.genesis_digest(), b"\x01" * 32, b"header 0", chain.rows.items())
                chains.write_block(Executed(head))
        return path


class Executed:
    """A block without transactions, as the store reads it."""

    transactions: tuple[bytes, ...] = ()
    receipts: tuple[dict[str, Any], ...] = ()
    writes: tuple[tuple[bytes, bytes | None], ...] = ()

    def __init__(self, head: dict[str, Any]) -> None:
        self.height: int = head["height"]
        self.hash: bytes = head["hash"]
        self.header: bytes = head["header"]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def command(folder: Path, *words: str) -> tuple[str, str]:
    """(output, code of the refusal)."""
    line = ["city", "recover", *words, "--node", str(folder)]
    done = CliRunner().invoke(build(line), line)
    if isinstance(done.exception, LedgerError):
        assert done.exception.hint, done.exception.code
        return done.stdout, done.exception.code
    assert done.exit_code == 0, (words, done.stdout, done.exception)
    return done.stdout, ""


def answer(folder: Path, *words: str) -> Any:
    text, code = command(folder, *words, "--json")
    assert not code
    return json.loads(text)


def files_of(folders: Folders, member: DevMember) -> RecoveryFiles:
    return RecoveryFiles.of(load_config(folders.node(member)), folders.chain.native.genesis_digest())


def propose(folders: Folders, file: Path, *more: str) -> Any:
    lost = ["--lost", "dept-1", "--lost", "dept-2", "--validator", "dept-5", "--validator", "dept-6"]
    return answer(folders.node(BODIES[2]), "propose", *lost, "--out", str(file), *more)


def agree(folders: Folders, file: Path) -> Any:
    told = propose(folders, file)
    for member in BODIES[3:]:
        told = answer(folders.node(member), "sign", str(file))
    return told


def test_from_the_proposal_to_the_first_block(folders: Folders, tmp_path: Path) -> None:
    file = tmp_path / "recovery.json"
    told = propose(folders, file)
    assert (told["needed"], told["members"], told["complete"]) == (5, 7, False)
    assert told["missing"] == [BODIES[3].uscc]
    assert told["signed"] == [BODIES[2].uscc]
    assert command(folders.node(BODIES[2]), "start", str(file))[1] == "recovery.too-few-signatures"
    for member in BODIES[3:]:
        told = answer(folders.node(member), "sign", str(file))
    assert told["complete"]
    assert answer(folders.node(BODIES[4]), "show", str(file)) == told
    # An auditor has no node: the two files say it.
    words = ["city", "recover", "show", str(file), "--state", str(files_of(folders, BODIES[2]).state), "--json"]
    assert json.loads(CliRunner().invoke(build(words), words).stdout) == told

    folder = folders.node(BODIES[4])
    with pytest.raises(LedgerError) as refused:
        check_not_signed(load_config(folder), (folder / "genesis.json").read_bytes())
    assert refused.value.code == "recovery.signed"
    started = answer(folder, "start", str(file))
    assert (started["first_block"], started["again"]) == (folders.chain.native.head()["height"] + 1, False)
    genesis = (folder / "genesis.json").read_bytes()
    recovery = read_recoveries([file])
    assert genesis == recovery.genesis
    check_not_signed(load_config(folder), genesis)
    files = files_of(folders, BODIES[4])
    assert files.genesis_before.read_bytes() == folders.chain.genesis
    assert read_recoveries([files.recovery]) == recovery
    assert dict(StateFile(files.state).rows()) == folders.chain.rows
    assert not (folder / "comet").exists()
    assert (folder / f"comet.{OLD_HOME}" / "config" / "genesis.json").exists()
    with Store.open(folder / "store" / "chain") as store:
        chains = ChainStore(store)
        assert chains.genesis_digest == recovery.city.digest
        assert chains.consensus is None
        head = load_chain(genesis, chains.load_rows()).head()
        assert head["height"] == started["first_block"]
        assert chains.header(head["height"]) == (head["hash"], head["header"])
        assert chains.block(head["height"] - 1) is not None, "blocks of before stay"
    # Once more does nothing, and there is no way back.
    assert answer(folder, "start", str(file))["again"]
    assert command(folder, "withdraw", "--yes")[1] == "recovery.started"
    assert command(folder, "sign", str(file))[1] == "recovery.other-chain"


def test_a_start_that_was_interrupted_is_finished(folders: Folders, tmp_path: Path) -> None:
    file = tmp_path / "recovery.json"
    agree(folders, file)
    folder = folders.node(BODIES[5])
    recovery = read_recoveries([file])
    assert not start_recovery(folder, recovery).again
    # As if it had ended after the batch: old genesis file, old home.
    (folder / "genesis.json").write_bytes(folders.chain.genesis)
    (folder / f"comet.{OLD_HOME}").rename(folder / "comet")
    assert start_recovery(folder, recovery).again
    assert (folder / "genesis.json").read_bytes() == recovery.genesis
    # Taken back it cannot be, half done as it is.
    (folder / "genesis.json").write_bytes(folders.chain.genesis)
    assert command(folder, "withdraw", "--yes")[1] == "recovery.started"
    assert start_recovery(folder, recovery).again
    # A home of the new network is never put aside: it says what was signed.
    home = folder / "comet" / "config"
    home.mkdir(parents=True)
    (home / "genesis.json").write_text(json.dumps({"chain_id": consensus_chain_id(recovery.city.digest)}))
    assert start_recovery(folder, recovery).again
    assert home.exists()


def test_a_node_that_has_less_takes_the_state_of_another(folders: Folders, tmp_path: Path) -> None:
    file = tmp_path / "recovery.json"
    propose(folders, file)
    state = files_of(folders, BODIES[2]).state
    # One lost its disk, one is a block behind.
    empty = folders.node(BODIES[6], empty=True)
    behind = folders.node(BODIES[5], make_chain(BODIES, blocks=1))
    assert command(empty, "sign", str(file))[1] == "recovery.no-chain"
    assert command(behind, "sign", str(file))[1] == "recovery.behind"
    for folder in (empty, behind):
        answer(folder, "sign", str(file), "--state", str(state))
    for member in BODIES[3:5]:
        answer(folders.node(member), "sign", str(file))
    for folder in (empty, behind):
        answer(folder, "start", str(file), "--state", str(state))
        with Store.open(folder / "store" / "chain") as store:
            genesis = (folder / "genesis.json").read_bytes()
            assert load_chain(genesis, ChainStore(store).load_rows()).head()["height"] == 3
    # A node that was behind on another branch.
    other = make_chain(BODIES, blocks=0)
    other.block(other.publish(BODIES[0], "elsewhere"))
    forked = folders.node(BODIES[0], other)
    assert command(forked, "start", str(file), "--state", str(state))[1] == "recovery.other-head"
    ahead = folders.node(BODIES[1], make_chain(BODIES, blocks=3))
    assert command(ahead, "start", str(file), "--state", str(state))[1] == "recovery.ahead"


def test_a_node_that_took_a_snapshot_beyond_the_agreed_block_does_not_sign(folders: Folders, tmp_path: Path) -> None:
    """It keeps the state and no block: it has that head all the same."""
    file = tmp_path / "recovery.json"
    propose(folders, file)
    state = files_of(folders, BODIES[2]).state
    ahead = make_chain(BODIES, blocks=3)
    folder = folders.node(BODIES[3], ahead, empty=True)
    head = ahead.native.head()
    first = ahead.rows[b"d" + bytes(8)]
    header = first[4 : 4 + int.from_bytes(first[:4], "big")]
    with Store.open(folder / "store" / "chain") as store:
        digest = ahead.native.genesis_digest()
        ChainStore(store).write_genesis(digest, header_hash(header), header, ahead.rows.items())
        ChainStore(store).put_base(head["height"], head["hash"], head["header"])
    for words in (("sign",), ("start",), ("sign", "--state", str(state)), ("start", "--state", str(state))):
        assert command(folder, words[0], str(file), *words[1:])[1] == "recovery.ahead", words


def test_a_network_that_would_begin_much_later_is_not_agreed_on(folders: Folders, tmp_path: Path) -> None:
    """CometBFT sleeps until the time of its genesis file: with a proposer's clock ahead the city would stand still."""
    file = tmp_path / "recovery.json"
    words = {"lost": ["dept-1", "dept-2"], "validators": ["dept-5", "dept-6"], "chain_id": 0}
    later = system_clock() + 86_400_000
    made = propose_recovery(folders.node(BODIES[2]), {}, **words, now_ms=later)
    file.write_bytes(encode_recovery(made.recovery))
    before = file.read_bytes()
    assert command(folders.node(BODIES[3]), "sign", str(file))[1] == "recovery.clock"
    assert file.read_bytes() == before
    recovery = made.recovery
    for member in BODIES[3:]:
        recovery = sign(recovery, member.uscc, member.account)
    file.write_bytes(encode_recovery(recovery))
    assert command(folders.node(BODIES[3]), "start", str(file))[1] == "recovery.clock"


def test_one_proposal_is_signed_until_it_is_withdrawn(folders: Folders, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    propose(folders, first)
    signer = folders.node(BODIES[3])
    answer(signer, "sign", str(first))
    lost = ["--lost", "dept-1", "--lost", "dept-2", "--validator", "dept-7", "--validator", "dept-6"]
    other = ["propose", *lost, "--out", str(second)]
    answer(folders.node(BODIES[4]), *other)
    assert command(signer, "sign", str(second))[1] == "recovery.signed-other"
    assert command(signer, "sign", str(first), str(second))[1] == "recovery.other-proposal"
    assert command(signer, "withdraw")[1] == "recovery.unconfirmed"
    command(signer, "withdraw", "--yes")
    check_not_signed(load_config(signer), folders.chain.genesis)
    answer(signer, "sign", str(second))
    assert "nothing" in command(folders.node(BODIES[5]), "withdraw", "--yes")[0]


def test_what_is_in_the_way_is_said(folders: Folders, tmp_path: Path) -> None:
    file = tmp_path / "recovery.json"
    propose(folders, file)
    node = folders.node(BODIES[3])
    with Store.open(node / "store" / "chain"):
        assert command(node, "sign", str(file))[1] == "store.locked"
    assert command(node, "sign", str(tmp_path / "absent"))[1] == "recovery.no-file"
    assert command(folders.node(BODIES[2]), "propose", "--lost", "dept-1", "--out", str(file))[1] == "recovery.exists"
    lost = ["--lost", "dept-1", "--lost", "dept-2", "--validator", "dept-5", "--validator", "dept-6"]
    nowhere = tmp_path / "absent" / "recovery.json"
    assert command(node, "propose", *lost, "--out", str(nowhere))[1] == "recovery.no-folder"
    assert not files_of(folders, BODIES[3]).signed.exists(), "nothing is signed that cannot be given out"
    file.rename(tmp_path / "moved.json")
    genesis = (node / "genesis.json").rename(tmp_path / "genesis.aside")
    assert command(node, "sign", str(tmp_path / "moved.json"))[1] == "genesis.missing"
    genesis.rename(node / "genesis.json")
    (tmp_path / "moved.json").rename(file)
    # The proposer has its copy.
    assert files_of(folders, BODIES[2]).recovery.read_bytes() == file.read_bytes()
    damaged = tmp_path / "state"
    for content in (b"other", b"civicledger/recovery-state/v1\n\x00\x00\xff\xff"):
        damaged.write_bytes(content)
        assert command(node, "show", str(file), "--state", str(damaged))[1] == "recovery.state"
    assert command(node, "show", str(file), "--state", str(tmp_path / "absent"))[1] == "recovery.no-state"
    whole = files_of(folders, BODIES[2]).state.read_bytes()
    damaged.write_bytes(whole[:-1])
    empty = folders.node(BODIES[6], empty=True)
    assert command(empty, "show", str(file), "--state", str(damaged))[1] == "recovery.state"
    files_of(folders, BODIES[3]).folder.mkdir(parents=True)
    files_of(folders, BODIES[3]).signed.write_text("{")
    assert command(node, "sign", str(file))[1] == "recovery.damaged"
    shutil.rmtree(node / "recovery")
    text, _ = command(node, "show", str(file))
    assert "dept-1, dept-2" in text
    assert "1 / 5" in text
