"""What a node has of licences: the stores, the issuer, the publisher of status lists, and where the lists are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger.storage.fetches import FetchStore
from ledger.storage.licences import LicenceStore
from ledger.storage.statuslists import StatusListStore
from node.licences.issuer import Issuer
from node.licences.publishing import StatusPublisher

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.core import NodeCore
    from node.web.licences import LicenceParts

#: The path of a status list under the node's public address; its number follows.
STATUS_PATH = "/licence/status/"


class Desk:
    """The licences of one node. ``open`` completes it, once the node's context is there."""

    issuer: Issuer
    publisher: StatusPublisher

    def __init__(
        self, store: LicenceStore, lists: StatusListStore, fetches: FetchStore, base: Callable[[], str]
    ) -> None:
        """``base``: the public address of this node, ``https://host:port``."""
        self.store = store
        self.lists = lists
        self.fetches = fetches
        self._base = base

    @classmethod
    def of_core(cls, core: NodeCore) -> Desk:
        """The desk over a node's stores."""
        stores = core.stores
        return cls(stores.licences, stores.status_lists, stores.fetches, lambda: public_base(core))

    def open(self, context: NodeContext, is_open: Callable[[], bool], on_fatal: Callable[[LedgerError], None]) -> None:
        """Make the parts that work with the whole node. ``is_open``: whether its services answer."""
        self.issuer = Issuer(context, lambda: self.publisher.loop.wake())
        self.publisher = StatusPublisher(context, self.issuer.settle, is_open, on_fatal)

    def uri(self, number: int) -> str:
        """The uri of a list as licences name it: fixed when the list begins, also when the node's address changes."""
        return self.lists.uri(number, lambda: f"{self._base()}{STATUS_PATH}{number}")

    def parts(self, member: str) -> LicenceParts:
        """What the public surface shows."""
        from node.web.licences import LicenceParts

        return LicenceParts(
            issuer=member, keys=lambda: [spki for _, spki in self.lists.signing_keys()], token=self.publisher.token
        )


def public_base(core: NodeCore) -> str:
    """How the public reaches this node: as set, else its https address in ``peers.json``, else where it listens."""
    if core.config.licences.public_url:
        return core.config.licences.public_url
    peer = core.peers.get(core.member)
    listen = core.config.https
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"https://{peer.https if peer is not None else f'{host}:{listen.port}'}"
