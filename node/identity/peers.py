"""Where the other members' nodes are: ``<folder>/peers.json``, and channels to them.

The file carries addresses and self-signed certificates. It carries no trust: a certificate counts only while the
SHA-256 of its public key is the active ``tls`` key of that member on chain (design, trust boundaries).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import msgspec

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError
from ledger.identifiers import parse_uscc
from ledger.log.files import replace_file
from node.identity.tls import Identity, certificate_name, channel_credentials, spki_of_pem

_NODE_ID = re.compile(r"[0-9a-f]{40}")
#: Largest message either side of a gRPC call may send, bytes.
MAX_MESSAGE = 8 << 20
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A peer that comes back is found within a second or two, not after minutes of back-off.
    ("grpc.initial_reconnect_backoff_ms", 200),
    # This is also the time one attempt has for connection and handshakes: a loaded machine or a long way needs more.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One member's node: ``grpc`` and ``https`` are ``host:port``; ``certificate`` is PEM; ``spki`` 32 bytes; ``p2p``,
    where there is a CometBFT network, is ``<node id>@host:port``, the id 40 hex digits."""

    uscc: str
    grpc: str
    https: str
    certificate: bytes
    spki: bytes
    p2p: str = ""


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    uscc: str
    grpc: str
    https: str
    certificate: str
    p2p: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: int
    peers: list[_Entry]


def decode_peers(data: bytes) -> tuple[Peer, ...]:
    """Decode a ``peers.json`` strictly.

    Raises: InvalidInputError(peers.invalid).
    """
    try:
        file = msgspec.json.decode(data, type=_File)
        if file.v != 1:
            raise ValueError(f"version {file.v} is unknown")
        peers = tuple(_peer(entry) for entry in file.peers)
        if len({peer.uscc for peer in peers}) != len(peers):
            raise ValueError("a member stands in it twice")
    except (ValueError, msgspec.ValidationError, LedgerError) as error:
        text = error.message if isinstance(error, LedgerError) else str(error)
        raise InvalidInputError(
            "peers.invalid", f"peers.json: {text}", hint="`civicledger city init` writes this file; restore it"
        ) from error
    return peers


def encode_peers(peers: tuple[Peer, ...]) -> bytes:
    """The bytes of a ``peers.json``, in order of member."""
    entries = [
        _Entry(uscc=peer.uscc, grpc=peer.grpc, https=peer.https, certificate=peer.certificate.decode(), p2p=peer.p2p)
        for peer in sorted(peers, key=lambda peer: peer.uscc)
    ]
    return msgspec.json.format(msgspec.json.encode(_File(v=1, peers=entries)), indent=1) + b"\n"


def _peer(entry: _Entry) -> Peer:
    certificate = entry.certificate.encode()
    node_id, at, p2p = entry.p2p.partition("@")
    if entry.p2p and not (at and _NODE_ID.fullmatch(node_id)):
        raise ValueError(f"{entry.p2p!r} is not <node id>@host:port")
    for address in (entry.grpc, entry.https, *([p2p] if at else [])):
        host, _, port = address.rpartition(":")
        # A comma would make two peers of one in CometBFT's list.
        if not host or "," in host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ValueError(f"{address!r} is not host:port")
    return Peer(
        uscc=parse_uscc(entry.uscc),
        grpc=entry.grpc,
        https=entry.https,
        certificate=certificate,
        spki=spki_of_pem(certificate),
        p2p=entry.p2p,
    )


class PeerBook(Mapping[str, Peer]):
    """The peers by USCC, re-read when the file changes, with one shared gRPC channel per peer.

    A broken file at start is an error; a file that breaks later keeps the last good content (``problem`` says why).
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self._path = path
        self._identity = identity
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._peers: dict[str, Peer] = {}
        self._channels: dict[str, tuple[bytes, bytes, grpc.Channel]] = {}
        self.problem: LedgerError | None = None
        self._read()

    def _read(self) -> None:
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            peers = decode_peers(self._path.read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(
                "peers.missing",
                f"there is no {self._path.name} in {self._path.parent}",
                hint="restore it, or copy it from another node of the city",
            ) from error
        self._peers = {peer.uscc: peer for peer in peers}
        self._stamp = stamp

    def refresh(self) -> None:
        """Look at the file again; called before every handshake and dial, costs one ``stat``."""
        with self._lock:
            try:
                self._read()
            except LedgerError as error:
                self.problem = error
            else:
                self.problem = None

    def __getitem__(self, uscc: str) -> Peer:
        return self._peers[uscc]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._peers))

    def __len__(self) -> int:
        return len(self._peers)

    def by_spki(self, spki: bytes) -> Peer | None:
        """The peer whose certificate has this SPKI SHA-256."""
        for peer in tuple(self._peers.values()):
            if peer.spki == spki:
                return peer
        return None

    def require(self, uscc: str) -> Peer:
        """The peer of a member.

        Raises: NotFoundError(peers.unknown).
        """
        self.refresh()
        peer = self._peers.get(uscc)
        if peer is None:
            raise NotFoundError(
                "peers.unknown", f"no address of member {uscc} is known here", hint="add its node to peers.json"
            )
        return peer

    def learn(self, uscc: str, certificate: bytes) -> None:
        """Take over a peer's new certificate, also in the file, so that a restart knows it.

        Raises: NotFoundError(peers.unknown), UnavailableError(peers.write-failed).
        """
        peer = self.require(uscc)
        learnt = replace(peer, certificate=certificate, spki=spki_of_pem(certificate))
        with self._lock:
            peers = {**self._peers, uscc: learnt}
            try:
                replace_file(self._path, encode_peers(tuple(peers.values())))
            except OSError as error:
                raise UnavailableError(
                    "peers.write-failed",
                    f"{self._path} cannot be written: {error.strerror}",
                    hint="check the disk and the rights of the folder",
                ) from error
            self._peers = peers

    def channel(self, uscc: str) -> grpc.Channel:
        """The shared channel to a member's node, made at first use and remade when either certificate changed.

        The server must present exactly the certificate of ``peers.json``. Raises: NotFoundError(peers.unknown).
        """
        peer = self.require(uscc)
        with self._lock:
            known = self._channels.get(uscc)
            own = self._identity.certificate
            if known is not None:
                certificate, ours, channel = known
                if certificate == peer.certificate + peer.grpc.encode() and ours == own:
                    return channel
                channel.close()
            channel = _dial(peer, self._identity, peer.certificate)
            self._channels[uscc] = (peer.certificate + peer.grpc.encode(), own, channel)
            return channel

    def dial(self, uscc: str, identity: Identity | None = None, certificate: bytes = b"") -> grpc.Channel:
        """A channel of its own, which the caller closes: presenting another ``identity`` than :meth:`channel`, or to a
        server with another ``certificate`` than that of ``peers.json``. Raises: NotFoundError(peers.unknown)."""
        peer = self.require(uscc)
        return _dial(peer, identity or self._identity, certificate or peer.certificate)

    def close(self) -> None:
        """Close every channel."""
        with self._lock:
            for _, _, channel in self._channels.values():
                channel.close()
            self._channels.clear()


def _dial(peer: Peer, identity: Identity, certificate: bytes) -> grpc.Channel:
    options = [*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", certificate_name(peer.uscc))]
    return grpc.secure_channel(peer.grpc, channel_credentials(identity, certificate), options=options)
