"""What the gateway answers in JSON: the views as plain objects."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from gateway.logs import InclusionAnswer
from gateway.views import Block, CityMember, CityView, Dataset
from ledger.errors import LedgerError


def city(view: CityView) -> dict[str, Any]:
    """The whole city."""
    return {
        "chain": {
            "genesis": view.chain_digest.hex(),
            "chainId": view.chain_id,
            "engine": view.engine,
            "finality": view.finality,
            "height": view.chain.height,
            "head": view.chain.hash.hex(),
            "headTime": view.chain.head_time,
            "finalHeight": view.final_height,
            "viewAgeMs": view.view_age_ms,
        },
        "region": view.region,
        "members": [member(item) for item in view.members],
        "blocks": [block(item) for item in view.chain.blocks],
        "datasets": len(view.chain.datasets),
        "madeAt": view.made_at_ms,
    }


def member(item: CityMember) -> dict[str, Any]:
    """A member with its log and anchor."""
    info, anchor, log = item.chain.info, item.chain.anchor, item.log
    return {
        "uscc": info.uscc,
        "handle": info.handle,
        "name": item.chain.name,
        "region": info.region,
        "status": info.status.word,
        "roles": list(info.roles.words),
        "validator": info.validator,
        "reachable": log.reachable,
        "log": {
            "origin": info.origin,
            "size": log.size,
            "cosignatures": log.cosignatures,
            "quorum": item.chain.keys.quorum,
            "cosignedAt": log.cosigned_at,
            "problem": None if log.problem is None else error(log.problem),
        },
        "anchor": None
        if anchor is None
        else {"size": anchor.size, "root": anchor.root.hex(), "time": anchor.time, "generation": anchor.generation},
    }


def block(item: Block) -> dict[str, Any]:
    """A recent block."""
    return {"height": item.height, "hash": item.hash.hex(), "time": item.time, "transactions": item.transactions}


def dataset(item: Dataset) -> dict[str, Any]:
    """A dataset of the catalogue."""
    info = item.info
    return {
        "id": info.id.hex(),
        "resourceCode": item.resource_code,
        "provider": info.provider,
        "providerName": item.provider_name,
        "sharing": info.sharing.word,
        "level": info.level.word,
        "withdrawn": info.withdrawn,
        "metadata": info.metadata_digest.hex(),
        "versions": [
            {"number": one.number, "content": one.content_digest.hex(), "count": one.count, "time": one.time}
            for one in info.versions
        ],
    }


def inclusion(answer: InclusionAnswer) -> dict[str, Any]:
    """An inclusion proof."""
    value: dict[str, Any] = {
        "index": answer.index,
        "size": answer.size,
        "hashes": [base64.b64encode(item).decode() for item in answer.hashes],
    }
    if answer.tlog_proof:
        value["tlogProof"] = answer.tlog_proof
    return value


def consistency(size1: int, size2: int, hashes: tuple[bytes, ...]) -> dict[str, Any]:
    """A consistency proof."""
    return {"size1": size1, "size2": size2, "hashes": [base64.b64encode(item).decode() for item in hashes]}


def error(problem: LedgerError) -> Mapping[str, Any]:
    """``{code, message, hint}`` and the two values that disagreed."""
    return {"hint": "", **problem.to_dict()}
