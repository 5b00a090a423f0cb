"""Founding a city whose members have machines of their own: from their public cards, without anybody's keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ledger.chain.external_founding import Ground
from ledger.chain.genesis import COMETBFT, SOLO, FoundingMember, build_genesis
from ledger.errors import ConflictError, InvalidInputError, LedgerError
from ledger.identifiers import parse_hex32
from ledger.model import KeyRole, Roles
from node.identity.peers import Peer, encode_peers
from node.joining import peer_of

#: Fewer validators than this stand no fault at all: one of three that is away stops the chain.
MINIMUM_VALIDATORS = 4


def assemble_city(
    cards: Sequence[Mapping[str, Any]],
    *,
    chain_id: int,
    region: str,
    time_ms: int,
    engine: str,
    sequencer: str,
    validators: Sequence[str],
    roles: Mapping[str, Sequence[str]],
    settle: Callable[[Sequence[FoundingMember]], Ground] | None = None,
) -> tuple[bytes, bytes]:
    """The city's genesis.json and peers.json. Members are named by handle: ``sequencer`` on the solo engine,
    ``validators`` on cometbft (all of them where none is named); ``roles`` by handle. On ``external`` ``settle`` makes
    the contracts for the founders, and the chain id is the network's.

    Raises: InvalidInputError(found.card, found.handle, found.validators, genesis.*, peers.invalid).
    """
    handles = [str(card.get("handle", "")) for card in cards]
    for named in (*([sequencer] if sequencer else []), *validators, *roles):
        if named not in handles:
            raise InvalidInputError(
                "found.handle", f"no card has the handle {named!r}", hint="handles: " + ", ".join(handles), actual=named
            )
    if len(set(handles)) != len(handles):
        raise InvalidInputError("found.handle", "two cards have the same handle", hint="a card is given once")
    solo = engine == SOLO
    voting = () if engine != COMETBFT else tuple(validators) or tuple(handles)
    if engine == COMETBFT and len(voting) < MINIMUM_VALIDATORS:
        raise InvalidInputError(
            "found.validators",
            f"{len(voting)} validators stand no fault: at least {MINIMUM_VALIDATORS} are needed",
            hint="name more of them, or found the city with the solo engine",
            expected=MINIMUM_VALIDATORS,
            actual=len(voting),
        )
    members = tuple(_member(card, roles, voting) for card in cards)
    peers: tuple[Peer, ...] = tuple(peer_of(card) for card in cards)
    ground = None if settle is None else settle(members)
    first = next((member.uscc for member in members if member.handle == sequencer), "")
    genesis = build_genesis(
        chain_id=chain_id if ground is None else ground.chain_id,
        region=region,
        time_ms=time_ms,
        members=members,
        sequencer=first if solo else "",
        engine=engine,
        network=None if ground is None else ground.network,
        addresses=None if ground is None else ground.addresses,
    )
    return genesis, encode_peers(peers)


def write_city(folder: Path, genesis: bytes, peers: bytes) -> None:
    """Both files into a new folder, for every member to take. Raises: ConflictError(city.exists)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (("genesis.json", genesis), ("peers.json", peers)):
        path = folder / name
        if path.exists():
            raise ConflictError("city.exists", f"{path} exists already", hint="choose another folder")
        path.write_bytes(data)


def _member(card: Mapping[str, Any], roles: Mapping[str, Sequence[str]], voting: Sequence[str]) -> FoundingMember:
    handle = str(card["handle"])
    try:
        keys = tuple((KeyRole.from_word(word), parse_hex32(str(value))) for word, value in card["keys"].items())
        account = bytes.fromhex(str(card["account"]).removeprefix("0x"))
        if len(account) != 20:
            raise ValueError("an account has 20 bytes")
    except (KeyError, AttributeError, ValueError, LedgerError) as error:
        raise InvalidInputError(
            "found.card", f"the card of {handle} is damaged: {error}", hint="civicledger node init printed it"
        ) from error
    return FoundingMember(
        uscc=str(card["uscc"]),
        name=str(card.get("name") or handle),
        handle=handle,
        region=str(card["region"]),
        roles=Roles.from_words(tuple(roles.get(handle, ()))),
        account=account,
        validator=handle in voting,
        keys=keys,
    )
