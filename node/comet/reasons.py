"""Why CometBFT ended, told from the last lines it wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ledger.errors import ConflictError, FatalError, LedgerError, UnavailableError

#: What it writes when consensus broke but the process goes on: it must be ended from outside.
CONSENSUS_FAILURE = b"CONSENSUS FAILURE"
#: A snapshot was taken, but no block after it: such data cannot be started from.
HALF_JOINED = "comet.half-joined"
#: (what it wrote, kind, code, what that means, next step), the first that fits counts.
_REASONS: tuple[tuple[re.Pattern[str], type[LedgerError], str, str, str], ...] = (
    (
        re.compile(r"address already in use|failed to listen on"),
        ConflictError,
        "comet.port-in-use",
        "an address of CometBFT is taken by another process",
        "another node or program listens there: stop it, or change comet.p2p_port in node.toml and peers.json",
    ),
    (
        re.compile(r"cannot assign requested address|no such host|invalid port"),
        ConflictError,
        "comet.address",
        "CometBFT cannot listen on its address",
        "comet.p2p_host in node.toml must be an address of this machine",
    ),
    (
        re.compile(r"signature from the same key"),
        UnavailableError,
        "comet.double-sign-guard",
        "the chain has fresh signatures by this node's consensus key, which this node does not remember",
        "is the key in use elsewhere? If not, wait: it votes as soon as the last blocks were made without it",
    ),
    (
        re.compile(r"stores were left in an inconsistent state"),
        UnavailableError,
        HALF_JOINED,
        "CometBFT was ended between a snapshot and the first block after it",
        "its data are made anew and a snapshot is taken again, by itself",
    ),
    (
        re.compile(r"AppHash does not match|does not match AppHash|wrong Block.Header.AppHash|app block height"),
        FatalError,
        "comet.app-hash",
        "CometBFT's blocks and this node's chain do not belong together",
        "remove store/chain and comet/data but for priv_validator_state.json: both catch up from the other nodes",
    ),
    (
        re.compile(r"UpgradePanic|chain\.version"),
        FatalError,
        "comet.version-needed",
        "the network goes on with a newer version of this software",
        "install it and start the node again",
    ),
    (
        re.compile(r"no space left on device|disk quota exceeded"),
        UnavailableError,
        "disk.full",
        "no space is left for CometBFT's data",
        "free space; it starts again by itself",
    ),
    (
        re.compile(r"resource temporarily unavailable"),
        ConflictError,
        "comet.home-in-use",
        "another process has CometBFT's data open",
        "stop the other one first",
    ),
    (
        re.compile(r"Did the application crash|connection terminated|socketClient.*stopped|abci.socketClient"),
        UnavailableError,
        "comet.app-gone",
        "CometBFT lost its connection to this node's state machine",
        "it starts again by itself; the node's log says why the state machine stopped",
    ),
    (
        re.compile(r"leveldb.*corrupt|data corrupted", re.IGNORECASE),
        FatalError,
        "comet.corrupt",
        "CometBFT's data is damaged",
        "remove comet/data but for priv_validator_state.json, and start the node again: it catches up from the others",
    ),
    (
        re.compile(r"error in config file|error reading GenesisDoc|Error reading PrivValidator|failed to load or gen"),
        FatalError,
        "comet.config",
        "CometBFT does not take its configuration",
        "restore node.toml and genesis.json; the folder comet/config is written anew at every start",
    ),
    (
        re.compile(r"CONSENSUS FAILURE"),
        UnavailableError,
        "comet.consensus-failure",
        "consensus broke on this node",
        "it starts again by itself; if this comes back, keep comet/comet.log and report it",
    ),
)
_MAX_LINE = 300
#: How a line begins that says why it ends.
_END = re.compile(r"^(ERROR|Error|panic|fatal error|comet):|CONSENSUS FAILURE")


def explain(lines: Sequence[str], status: int) -> LedgerError:
    """The end of the process as an error; ``status`` is its exit status, negative: the signal."""
    first = next((at for at, line in enumerate(lines) if _END.search(line)), None)
    # Before it says that it ends, a line may tell of what others did: a wrong proposal is no damage here.
    told = list(lines[-20:] if first is None else lines[first:])
    for pattern, kind, code, meaning, hint in _REASONS:
        if first is None and kind is FatalError:
            continue
        line = next((line for line in told if pattern.search(line)), None)
        if line is not None:
            return kind(code, f"{meaning}: {line.strip()[:_MAX_LINE]}", hint=hint)
    last = next((line.strip() for line in reversed(told) if line.strip()), "it wrote nothing")
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return UnavailableError(
        "comet.ended",
        f"CometBFT ended with {how}: {last[:_MAX_LINE]}",
        hint="it is started again by itself; the whole output is in comet/comet.log",
    )
