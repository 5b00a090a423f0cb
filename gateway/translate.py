"""Views as protobuf messages: the one module of the gateway that builds them."""

from __future__ import annotations

from gateway.views import Block, CityMember, CityView, Dataset
from ledger.v1 import gateway_pb2, types_pb2


def city(view: CityView) -> gateway_pb2.City:
    """The whole city."""
    return gateway_pb2.City(
        chain=view.chain_digest,
        engine=view.engine,
        height=view.chain.height,
        view_age_ms=view.view_age_ms or 0,
        members=[member(item) for item in view.members],
        blocks=[block(item) for item in view.chain.blocks],
    )


def member(item: CityMember) -> gateway_pb2.CityMember:
    """A member with its log and anchor."""
    info, anchor = item.chain.info, item.chain.anchor
    return gateway_pb2.CityMember(
        member=types_pb2.Member(
            uscc=info.uscc,
            handle=info.handle,
            region=info.region,
            name=item.chain.name,
            status=info.status.word,
            roles=list(info.roles.words),
            origin=info.origin,
            validator=info.validator,
        ),
        reachable=item.log.reachable,
        log_size=item.log.size,
        anchored_size=anchor.size if anchor else 0,
        anchored_time=anchor.time if anchor else 0,
    )


def block(item: Block) -> gateway_pb2.CityBlock:
    """A recent block."""
    return gateway_pb2.CityBlock(height=item.height, hash=item.hash, time=item.time, transactions=item.transactions)


def dataset(item: Dataset) -> types_pb2.Dataset:
    """A dataset of the catalogue; title and metadata file stay with its provider's node."""
    info = item.info
    return types_pb2.Dataset(
        id=info.id,
        provider=info.provider,
        resource_code=item.resource_code,
        sharing=info.sharing.word,
        level=info.level.word,
        metadata_digest=info.metadata_digest,
        withdrawn=info.withdrawn,
        versions=[
            types_pb2.DatasetVersion(
                number=one.number, content_digest=one.content_digest, count=one.count, time=one.time
            )
            for one in info.versions
        ],
    )
