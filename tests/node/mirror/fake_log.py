"""A member's log behind a real HTTPS server, signed with the member's real keys, and free to lie."""

from __future__ import annotations

import hashlib
import ssl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.evidence.checkpoint import Checkpoint, add_signature, cosign, format_checkpoint, parse_note, sign_note
from ledger.keys import Ed25519Signer, Signer
from ledger.model import KeyRole
from node.compose import Node
from node.identity.keyfiles import key_file, read_passphrase
from node.identity.keyring import KeyRing
from node.identity.tls import load_identity, server_context
from node.web.webserver import WebServer
from tests.ledger.log import naive_tiles
from tests.node.core.city import City


def entry(number: int, word: str = "entry") -> bytes:
    return f'{{"{word}":{number}}}'.encode()


class FakeLog:
    """Serves ``entries`` under a checkpoint of ``size``; what is served can be changed by path in
    ``lies``, or refused with a status."""

    def __init__(self, city: City, number: int) -> None:
        founding = city.founded.foundings[number]
        config = next(iter(city.nodes.values())).core.config
        self.member = founding.member.uscc
        folder = founding.folder
        self.keys = KeyRing(folder / "keys", self.member, read_passphrase(folder, config.passphrase_file, {}))
        node = next(iter(city.nodes.values()))
        info = node.core.rosters.current().members[self.member]
        self.origin, self.https = info.origin, node.core.peers[self.member].https
        self.witnesses = {
            other.core.rosters.current().members[other.core.member].witness_name: other.core.keys[KeyRole.WITNESS]
            for other in city.nodes.values()
        }
        self.entries: list[bytes] = []
        self.size = 0
        self.signer: Signer = self.keys[KeyRole.LOG]
        self.cosigners = 99
        self.lies: dict[str, bytes | None] = {}
        self.refused: dict[str, int] = {}
        self.asked: list[str] = []
        self.seen_certificates: set[bytes] = set()
        self._server: WebServer | None = None
        self._made: tuple[tuple[int, int], dict[str, bytes]] | None = None

    # --- what it says -------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        self.entries, self.size, self.signer, self.cosigners = [], 0, self.keys[KeyRole.LOG], 99
        self.lies.clear()
        self.refused.clear()

    def grow(self, size: int, word: str = "entry") -> None:
        self.entries += [entry(number, word) for number in range(len(self.entries), size)]
        self.size = size

    def note(self) -> bytes:
        leaves = [naive_tiles.leaf(item) for item in self.entries[: self.size]]
        head = Checkpoint(origin=self.origin, size=self.size, root=naive_tiles.root(leaves))
        note = sign_note(format_checkpoint(head), self.origin, self.signer)
        for name, signer in list(self.witnesses.items())[: self.cosigners]:
            note = add_signature(note, cosign(parse_note(note).text, name, signer, 1_790_000_000))
        return note

    def files(self) -> dict[str, bytes]:
        """Every path of tlog-tiles for the present size."""
        key = (self.size, hash(tuple(self.entries[: self.size])))
        if self._made is None or self._made[0] != key:
            self._made = (key, self._make())
        return self._made[1]

    def _make(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        entries = self.entries[: self.size]
        for start in range(0, len(entries), 256):
            part = entries[start : start + 256]
            found[naive_tiles.name("entries", start // 256, len(part))] = b"".join(
                len(item).to_bytes(2, "big") + item for item in part
            )
        hashes, level = [naive_tiles.leaf(item) for item in entries], 0
        while hashes:
            for start in range(0, len(hashes), 256):
                part = hashes[start : start + 256]
                found[naive_tiles.name(str(level), start // 256, len(part))] = b"".join(part)
            hashes = [naive_tiles.root(hashes[at : at + 256]) for at in range(0, len(hashes) // 256 * 256, 256)]
            level += 1
        return found

    def _narrower(self, path: str) -> bytes | None:
        """A partial tile of an older size, out of the present one; gone where the tile is full by now."""
        stem, _, width = path.partition(".p/")
        now = next((name for name in self.files() if name.startswith(stem + ".p/")), None)
        if not width or now is None or int(width) > int(now.rpartition("/")[2]):
            return None
        index = int(stem.rpartition("/")[2])
        if "entries" not in stem:
            return self.files()[now][: 32 * int(width)]
        part = self.entries[index * 256 : index * 256 + int(width)]
        return b"".join(len(item).to_bytes(2, "big") + item for item in part)

    # --- how it is served ---------------------------------------------------------------------------------------------

    def start(self, keys: KeyRing | None = None) -> None:
        keys = keys or self.keys
        context = server_context(lambda: self.seen_certificates)
        load_identity(context, keys.certificate_file, key_file(keys.folder, KeyRole.TLS), keys.passphrase)
        self.serve(context)

    def serve(self, context: ssl.SSLContext) -> None:
        host, _, port = self.https.rpartition(":")
        app = Starlette(routes=[Route("/{path:path}", self._answer)])
        self._server = WebServer(app, host, int(port), context, name="fake")
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.asked.append(path)
        if path in self.refused:
            return Response(b"{}", status_code=self.refused[path])
        if path in self.lies:
            data = self.lies[path]
        elif path == "checkpoint":
            data = self.note() if self.size else None
        else:
            data = self.files().get(path) or self._narrower(path)
        return Response(b"{}", status_code=404) if data is None else Response(data)


def stranger() -> Ed25519Signer:
    """A log key nobody registered."""
    return Ed25519Signer(KeyRole.LOG, hashlib.sha256(b"stranger").digest())


def digest(node: Node, member: str) -> str:
    return hashlib.sha256(node.core.rosters.current().members[member].origin.encode()).hexdigest()
