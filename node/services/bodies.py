"""Bodies of records in bulk: the catalogue's schemas compiled once, checked at a microsecond a record.

The schemas are those of ``ledger.events``; a test compares both on generated bodies. What does not pass here is judged
again by ``ledger.events``, which names the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from ledger.codec import decode_record
from ledger.events import TYPES, EventType
from ledger.events import Field as EventField

_MAX_UINT = 2**53 - 1
#: Kind name -> a type at least as strict as the kind, so that passing here is passing there.
_KINDS: Mapping[str, Any] = {
    "id": Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")],
    "digest": Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")],
    "commitment": Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")],
    "uint": Annotated[int, msgspec.Meta(ge=0, le=_MAX_UINT)],
    "purpose": Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}\Z")],
    "label": Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}\Z")],
}


def _struct(event: EventType) -> type[msgspec.Struct]:
    def field(item: EventField) -> Any:
        kind = _KINDS[item.kind.name]
        return (item.name, kind | msgspec.UnsetType, msgspec.UNSET) if item.optional else (item.name, kind)

    return msgspec.defstruct(
        "Body_" + re.sub(r"\W", "_", event.name),
        [field(item) for item in event.fields],
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _decoder(event: EventType) -> msgspec.json.Decoder[Any]:
    record = msgspec.defstruct(
        "Record_" + re.sub(r"\W", "_", event.name), [("body", _struct(event)), ("type", str)], gc=False
    )
    return msgspec.json.Decoder(record)


#: Types all of whose fields have a compiled kind.
_DECODERS: Mapping[bytes, msgspec.json.Decoder[Any]] = {
    name.encode(): _decoder(event)
    for name, event in TYPES.items()
    if all(item.kind.name in _KINDS for item in event.fields)
}
_TYPE = re.compile(rb'"type":"([a-z0-9.-]{3,64})","v":1\}\Z')


def check_bodies(records: Sequence[bytes]) -> None:
    """Check the body of every record against its type's schema; the end of each record is known to be well-formed.

    Raises: InvalidInputError(record.body | record.type | json.* | …), for the first that does not pass.
    """
    for record in records:
        match = _TYPE.search(record[-100:])
        decoder = _DECODERS.get(match[1]) if match is not None else None
        try:
            if decoder is not None:
                decoder.decode(record)
                continue
        except msgspec.MsgspecError:
            pass
        decode_record(record)
