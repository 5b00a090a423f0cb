"""peers.json: strict decoding, re-reading, channels that follow it."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import pytest

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from node.identity.peers import Peer, PeerBook, decode_peers, encode_peers
from node.identity.tls import Identity, key_pem, make_certificate, spki_of_pem
from tests.node.core.makers import NOW_MS, make_uscc


@cache  # an ECDSA signature differs each time, a peer must not
def peer(number: int, port: int = 7000) -> Peer:
    certificate = make_certificate(bytes([number]) * 32, make_uscc(number), NOW_MS, number)
    return Peer(
        uscc=make_uscc(number),
        grpc=f"127.0.0.1:{port}",
        https=f"[::1]:{port + 1}",
        certificate=certificate,
        spki=spki_of_pem(certificate),
    )


IDENTITY = Identity(key=key_pem(b"\x09" * 32), certificate=make_certificate(b"\x09" * 32, make_uscc(9), NOW_MS, 9))


def test_encoding_and_decoding_agree() -> None:
    peers = tuple(sorted((peer(2), peer(1), peer(3)), key=lambda one: one.uscc))
    assert decode_peers(encode_peers((peers[2], peers[0], peers[1]))) == peers


def _changed(change: str) -> bytes:
    file = json.loads(encode_peers((peer(1),)))
    entry = file["peers"][0]
    match change:
        case "version":
            file["v"] = 2
        case "twice":
            file["peers"].append(entry)
        case "unknown field":
            entry["trust"] = True
        case "missing field":
            del entry["https"]
        case "no port":
            entry["grpc"] = "127.0.0.1"
        case "port out of range":
            entry["grpc"] = "127.0.0.1:65536"
        case "no certificate":
            entry["certificate"] = "-----BEGIN CERTIFICATE-----"
        case "member":
            entry["uscc"] = entry["uscc"][:-1]
    return json.dumps(file).encode()


@pytest.mark.parametrize(
    "change",
    ["version", "twice", "unknown field", "missing field", "no port", "port out of range", "no certificate", "member"],
)
def test_a_wrong_file_is_refused(change: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_peers(_changed(change))
    assert caught.value.code == "peers.invalid"


def test_the_book_follows_the_file_and_keeps_the_last_good_content(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    with pytest.raises(NotFoundError, match=r"peers\.missing"):
        PeerBook(path, IDENTITY)
    path.write_bytes(encode_peers((peer(1),)))
    book = PeerBook(path, IDENTITY)
    assert list(book) == [make_uscc(1)]
    path.write_bytes(encode_peers((peer(1), peer(2))))
    book.refresh()
    assert book.by_spki(peer(2).spki) == peer(2)
    path.write_bytes(b"{")
    book.refresh()
    assert len(book) == 2
    assert isinstance(book.problem, LedgerError)
    os.unlink(path)
    book.refresh()
    assert len(book) == 2
    path.write_bytes(encode_peers((peer(2),)))
    book.refresh()
    assert book.problem is None
    assert list(book) == [make_uscc(2)]
    with pytest.raises(NotFoundError, match=r"peers\.unknown"):
        book.require(make_uscc(1))


def test_a_channel_is_shared_until_address_or_certificate_change(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(encode_peers((peer(1),)))
    book = PeerBook(path, IDENTITY)
    try:
        first = book.channel(make_uscc(1))
        assert book.channel(make_uscc(1)) is first
        path.write_bytes(encode_peers((peer(1, port=7100),)))
        second = book.channel(make_uscc(1))
        assert second is not first
        assert book.channel(make_uscc(1)) is second
    finally:
        book.close()
