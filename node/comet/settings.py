"""The whole ``config.toml`` of CometBFT v0.38: every key it knows, so that nothing depends on a default of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from node.comet.binary import VERSION

#: Requests of one JSON-RPC batch, and bytes of a body: the most that ``node.comet.rpc`` sends.
MAX_BATCH = 100
MAX_BODY_BYTES = 1 << 20
#: What waits in CometBFT at most, where the application keeps what waits itself: one bell, and no harm if it were two.
_BELLS = 2
_BELL_BYTES = 1 << 10
#: The same where it does not.
_MEMPOOL_TRANSACTIONS = 20_000
_MEMPOOL_BYTES = 64 << 20
#: Files relative to the home.
PRIVATE_KEY = "config/priv_validator_key.json"
NODE_KEY = "config/node_key.json"
SIGN_STATE = "data/priv_validator_state.json"
#: A block's time is the median of what the validators said: a node whose clock is minutes behind need not refuse it.
_TIME_TOLERANCE = "1h"
#: Bytes a second and peer, far above what a full block every second needs.
_RATE = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSync:
    """How a node without data gets a snapshot: two sources of light blocks (``unix://…`` or ``http://…``) and a header
    that is trusted for ``period_s`` seconds."""

    sources: tuple[str, str]
    height: int
    hash: bytes
    period_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSettings:
    """What differs between nodes. ``app`` and ``rpc`` are addresses (``unix://…``, ``tcp://…``), ``p2p`` is the
    listening ``host:port``, ``peers`` the others as ``<node id>@host:port``."""

    name: str
    app: str
    rpc: str
    p2p: str
    peers: tuple[str, ...] = ()
    max_tx_bytes: int = 131_072
    empty_interval_s: int = 60
    log_level: str = "error"
    #: Refuse to vote with a key that signed one of so many last blocks; 0: do not look.
    double_sign_check: int = 0
    #: How long a proposer may take before the others vote without it, milliseconds.
    propose_ms: int = 1_500
    #: How long late votes of a decided height are waited for, unless all are there, milliseconds.
    commit_ms: int = 200
    #: How long between two looks whether a peer lacks something, milliseconds: what a network at rest costs.
    gossip_ms: int = 50
    #: The application keeps what waits for a block; CometBFT's own mempool holds the bell and tells nobody of it.
    own_pool: bool = True
    state_sync: StateSync | None = None

    @property
    def on_one_machine(self) -> bool:
        """Whether peers share this machine: then they share an address too, and no address is routable."""
        return self.p2p.startswith(("127.", "[::1]", "localhost"))


def encode_settings(settings: HomeSettings) -> bytes:
    """The text of ``config.toml``."""
    lines = [f"# CometBFT {VERSION}. Written by the node at every start: change node.toml, not this file."]
    for name, section in sections(settings).items():
        if name:
            lines += ["", f"[{name}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in section.items()]
    return ("\n".join(lines) + "\n").encode()


def sections(settings: HomeSettings) -> dict[str, dict[str, Any]]:
    """Section name to its keys; the empty name has the keys above the first section."""
    return {
        "": {
            "version": VERSION,
            "proxy_app": settings.app,
            "moniker": settings.name,
            "db_backend": "goleveldb",
            "db_dir": "data",
            "log_level": settings.log_level,
            "log_format": "plain",
            "genesis_file": "config/genesis.json",
            "priv_validator_key_file": PRIVATE_KEY,
            "priv_validator_state_file": SIGN_STATE,
            "priv_validator_laddr": "",
            "node_key_file": NODE_KEY,
            "abci": "socket",
            "filter_peers": False,
            "event_bus_buffer_capacity": 0,
        },
        "rpc": _rpc(settings),
        "p2p": _p2p(settings),
        "mempool": _mempool(settings),
        "statesync": _state_sync(settings.state_sync),
        "blocksync": {"version": "v0"},
        "consensus": {
            "wal_file": "data/cs.wal/wal",
            "timeout_propose": f"{settings.propose_ms}ms",
            "timeout_propose_delta": "500ms",
            "timeout_prevote": "500ms",
            "timeout_prevote_delta": "500ms",
            "timeout_precommit": "500ms",
            "timeout_precommit_delta": "500ms",
            "timeout_commit": f"{settings.commit_ms}ms",
            "double_sign_check_height": settings.double_sign_check,
            "skip_timeout_commit": True,
            # Idle heights carry a signed time, so that idle and halted can be told apart.
            "create_empty_blocks": False,
            "create_empty_blocks_interval": f"{settings.empty_interval_s}s",
            "peer_gossip_sleep_duration": f"{settings.gossip_ms}ms",
            "peer_query_maj23_sleep_duration": "2s",
            "block_time_tolerance": _TIME_TOLERANCE,
        },
        # What the application answered is in its own store.
        "storage": {"discard_abci_responses": True},
        "tx_index": {"indexer": "null", "psql-conn": ""},
        "instrumentation": {
            "prometheus": False,
            "prometheus_listen_addr": "127.0.0.1:0",
            "max_open_connections": 3,
            "namespace": "cometbft",
        },
    }


def _mempool(settings: HomeSettings) -> dict[str, Any]:
    size, max_bytes = (_BELLS, _BELL_BYTES) if settings.own_pool else (_MEMPOOL_TRANSACTIONS, _MEMPOOL_BYTES)
    return {
        # "nop" would be enough, and is refused together with create_empty_blocks = false.
        "type": "flood",
        # The bell goes when nothing waits any more.
        "recheck": True,
        "recheck_timeout": "5s",
        "broadcast": not settings.own_pool,
        "wal_dir": "",
        "size": size,
        "max_txs_bytes": max_bytes,
        "cache_size": 2 * size,
        # It may be rung again.
        "keep-invalid-txs-in-cache": False,
        "max_tx_bytes": min(max_bytes, settings.max_tx_bytes),
        "max_batch_bytes": 0,
        "experimental_max_gossip_connections_to_persistent_peers": 0,
        "experimental_max_gossip_connections_to_non_persistent_peers": 0,
    }


def _rpc(settings: HomeSettings) -> dict[str, Any]:
    return {
        "laddr": settings.rpc,
        "cors_allowed_origins": (),
        "cors_allowed_methods": (),
        "cors_allowed_headers": (),
        "grpc_laddr": "",
        "grpc_max_open_connections": 1,
        # Dialling peers is wanted, and only this user's processes reach the socket. Over TCP anybody here does.
        "unsafe": settings.rpc.startswith("unix://"),
        "max_open_connections": 64,
        "max_subscription_clients": 0,
        "max_subscriptions_per_client": 0,
        "experimental_subscription_buffer_size": 100,
        "experimental_websocket_write_buffer_size": 100,
        "experimental_close_on_slow_client": True,
        "timeout_broadcast_tx_commit": "10s",
        "max_request_batch_size": MAX_BATCH,
        "max_body_bytes": MAX_BODY_BYTES,
        "max_header_bytes": 1 << 16,
        "tls_cert_file": "",
        "tls_key_file": "",
        "pprof_laddr": "",
    }


def _p2p(settings: HomeSettings) -> dict[str, Any]:
    return {
        "laddr": f"tcp://{settings.p2p}",
        "external_address": "",
        "seeds": "",
        "persistent_peers": ",".join(settings.peers),
        "addr_book_file": "data/addrbook.json",
        "addr_book_strict": not settings.on_one_machine,
        "max_num_inbound_peers": 40,
        "max_num_outbound_peers": 10,
        # Members find a place whatever strangers do.
        "unconditional_peer_ids": ",".join(peer.partition("@")[0] for peer in settings.peers),
        "persistent_peers_max_dial_period": "10s",
        "flush_throttle_timeout": "10ms",
        "max_packet_msg_payload_size": 16_384,
        "send_rate": _RATE,
        "recv_rate": _RATE,
        # Members' nodes are known by peers.json; nobody else's are wanted.
        "pex": False,
        "seed_mode": False,
        "private_peer_ids": "",
        "allow_duplicate_ip": settings.on_one_machine,
        "handshake_timeout": "20s",
        "dial_timeout": "3s",
    }


def _state_sync(sync: StateSync | None) -> dict[str, Any]:
    return {
        "enable": sync is not None,
        "rpc_servers": "" if sync is None else ",".join(sync.sources),
        "trust_height": 0 if sync is None else sync.height,
        "trust_hash": "" if sync is None else sync.hash.hex().upper(),
        "trust_period": f"{90 * 86_400 if sync is None else sync.period_s}s",
        "discovery_time": "5s",
        "temp_dir": "",
        "chunk_request_timeout": "10s",
        "chunk_fetchers": "4",
        "max_snapshot_chunks": 100_000,
    }


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # A TOML basic string has the escapes of JSON, but for DEL.
    return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
