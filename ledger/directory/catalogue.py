"""Metadata of a dataset: the JSON file whose digest is on chain, and its export as DCAT-AP 3.0.1.

The elements are those of the resource catalogue guide (政务信息资源目录编制指南): name, code, provider, abstract,
format, information items, sharing, openness, update cycle; the level follows GB/T 43697-2024 with 就高从严: a set takes
the highest level of its items.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.identifiers import dataset_id, parse_resource_code, parse_uscc
from ledger.model import DatasetVersion, Level, Sharing, format_time

#: Largest metadata file.
MAX_METADATA_BYTES: Final = 60_000
MAX_FIELDS: Final = 256
FIELD_TYPES: Final = ("boolean", "code", "date", "decimal", "integer", "string", "time")
#: How a value leaves: as it is, with only its ends, or not at all.
MASKS: Final = ("ends", "hide")
#: Content that names a licence type: an exchange of it yields one licence of one holder.
LICENCE_FORMAT: Final = "licence"
#: Content that names an examination: an exchange of it yields what one certificate needs of one person's newest.
EXAMINATION_FORMAT: Final = "examination"
FORMATS: Final = ("csv", EXAMINATION_FORMAT, "json", LICENCE_FORMAT, "other")
OPENNESS: Final = ("closed", "conditional", "open")
#: Update cycle -> the EU frequency authority's code, which DCAT-AP asks for.
UPDATE_CYCLES: Final[Mapping[str, str]] = {
    "continuous": "CONT",
    "daily": "DAILY",
    "irregular": "IRREG",
    "monthly": "MONTHLY",
    "once": "NEVER",
    "quarterly": "QUARTERLY",
    "weekly": "WEEKLY",
    "yearly": "ANNUAL",
}

_FIELD_NAME = re.compile(r"[A-Za-z_][0-9A-Za-z_]{0,63}\Z")
_KEYS: Final = frozenset(
    ("abstract", "fields", "format", "level", "name", "openness", "provider", "resourceCode", "sharing", "updateCycle")
) | {"v"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One information item (信息项). ``level``: its own level, where it has one; ``mask``: its desensitisation."""

    name: str
    type: str
    title: str
    level: Level | None = None
    mask: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetMetadata:
    """A dataset as its provider describes it. ``condition``: under which conditional data is shared."""

    name: str
    resource_code: str
    provider: str
    abstract: str
    format: str
    fields: tuple[Field, ...]
    sharing: Sharing
    condition: str
    openness: str
    update_cycle: str
    level: Level

    @property
    def id(self) -> bytes:
        """The dataset's id, 32 bytes."""
        return dataset_id(self.provider, self.resource_code)

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names in the file's order."""
        return tuple(field.name for field in self.fields)


def highest_level(levels: Iterable[Level]) -> Level:
    """就高从严: the level of a set is the highest of its members; an empty set is general."""
    return max(levels, default=Level.GENERAL)


def encode_metadata(metadata: DatasetMetadata) -> bytes:
    """The canonical file. Raises as :func:`decode_metadata` where it would not decode."""
    fields = []
    for field in metadata.fields:
        entry: dict[str, Any] = {"name": field.name, "title": field.title, "type": field.type}
        if field.level is not None:
            entry["level"] = field.level.word
        if field.mask is not None:
            entry["mask"] = field.mask
        fields.append(entry)
    data = codec.encode(
        {
            "abstract": metadata.abstract,
            "fields": fields,
            "format": metadata.format,
            "level": metadata.level.word,
            "name": metadata.name,
            "openness": metadata.openness,
            "provider": metadata.provider,
            "resourceCode": metadata.resource_code,
            "sharing": {"condition": metadata.condition, "type": metadata.sharing.word},
            "updateCycle": metadata.update_cycle,
            "v": 1,
        }
    )
    decode_metadata(data)
    return data


def decode_metadata(data: bytes) -> DatasetMetadata:
    """The metadata of a canonical file, every element checked.

    Raises:
        InvalidInputError: ``json.*``; ``metadata.form``, naming the element and what it may be; ``metadata.level``.
    """
    value = codec.decode(data, max_bytes=MAX_METADATA_BYTES)
    _object(value, _KEYS, frozenset(), "metadata")
    if value["v"] != 1 or isinstance(value["v"], bool):
        raise _wrong("v", "this version reads metadata files of version 1", value["v"])
    sharing = value["sharing"]
    _object(sharing, frozenset({"condition", "type"}), frozenset(), "sharing")
    fields = value["fields"]
    if not isinstance(fields, list) or not 1 <= len(fields) <= MAX_FIELDS:
        raise _wrong("fields", f"a list of 1 to {MAX_FIELDS} information items", None)
    metadata = DatasetMetadata(
        name=_text(value["name"], "name", 200),
        resource_code=parse_resource_code(_text(value["resourceCode"], "resourceCode", 64)),
        provider=parse_uscc(_text(value["provider"], "provider", 18)),
        abstract=_text(value["abstract"], "abstract", 4000),
        format=_word(value["format"], FORMATS, "format"),
        fields=tuple(_field(entry) for entry in fields),
        sharing=Sharing.from_word(_text(sharing["type"], "sharing.type", 20)),
        condition=_text(sharing["condition"], "sharing.condition", 1000, empty=True),
        openness=_word(value["openness"], OPENNESS, "openness"),
        update_cycle=_word(value["updateCycle"], tuple(UPDATE_CYCLES), "updateCycle"),
        level=Level.from_word(_text(value["level"], "level", 20)),
    )
    names = metadata.field_names
    if len(set(names)) != len(names):
        raise _wrong("fields", "every information item has its own name", None)
    if metadata.sharing is Sharing.CONDITIONAL and not metadata.condition:
        raise _wrong("sharing.condition", "conditional sharing says under which condition", None)
    least = highest_level(field.level for field in metadata.fields if field.level is not None)
    if metadata.level < least:
        raise InvalidInputError(
            "metadata.level",
            f"a dataset takes the highest level of its items (就高从严): {least.word}, not {metadata.level.word}",
            hint="raise the dataset's level, or leave the item out",
            expected=least.word,
            actual=metadata.level.word,
        )
    return metadata


def metadata_digest(data: bytes) -> bytes:
    """The digest of a metadata file as it stands on chain: the domain digest of its canonical bytes."""
    return codec.domain_digest("metadata", data)


def to_dcat(metadata: DatasetMetadata, version: DatasetVersion | None) -> dict[str, Any]:
    """The dataset as a DCAT-AP 3.0.1 JSON-LD object; ``version`` is its newest published content.

    The checksum of the distribution is the content digest that stands on chain.
    Source: SEMICeu DCAT-AP 3.0.1, mandatory properties of Dataset, Distribution and Checksum.
    """
    identity = metadata.id.hex()
    iri = f"urn:civicledger:dataset:{identity}"
    dataset: dict[str, Any] = {
        "@context": _CONTEXT,
        "@id": iri,
        "@type": "dcat:Dataset",
        "dct:identifier": metadata.resource_code,
        "dct:title": {"@value": metadata.name, "@language": "zh"},
        "dct:description": {"@value": metadata.abstract, "@language": "zh"},
        "dct:publisher": {
            "@id": f"urn:civicledger:member:{metadata.provider}",
            "@type": "foaf:Agent",
            "foaf:name": metadata.provider,
        },
        "dct:accrualPeriodicity": {"@id": _FREQUENCY + UPDATE_CYCLES[metadata.update_cycle]},
        "dct:accessRights": {"@id": _ACCESS + ("PUBLIC" if metadata.openness == "open" else "RESTRICTED")},
        "dcat:keyword": [{"@value": field.title, "@language": "zh"} for field in metadata.fields],
        "civic:level": metadata.level.word,
        "civic:sharing": metadata.sharing.word,
    }
    if version is not None:
        dataset["dct:modified"] = {"@value": format_time(version.time * 1000), "@type": "xsd:dateTime"}
        dataset["dcat:version"] = str(version.number)
        dataset["dcat:distribution"] = [
            {
                "@id": f"{iri}:{version.number}",
                "@type": "dcat:Distribution",
                "dcat:accessURL": {"@id": iri},
                "dct:format": {"@id": _FILE_TYPE + {"csv": "CSV", "json": "JSON"}.get(metadata.format, "OCTET")},
                "spdx:checksum": {
                    "@type": "spdx:Checksum",
                    "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
                    "spdx:checksumValue": {"@value": version.content_digest.hex(), "@type": "xsd:hexBinary"},
                },
            }
        ]
    return dataset


_AUTHORITY: Final = "http://publications.europa.eu/resource/authority/"
_FREQUENCY: Final = _AUTHORITY + "frequency/"
_ACCESS: Final = _AUTHORITY + "access-right/"
_FILE_TYPE: Final = _AUTHORITY + "file-type/"
_CONTEXT: Final[Mapping[str, str]] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "civic": "urn:civicledger:term:",
}


def _field(entry: Any) -> Field:
    _object(entry, frozenset({"name", "title", "type"}), frozenset({"level", "mask"}), "fields")
    return Field(
        name=_match(entry["name"], _FIELD_NAME, "fields.name", "1 to 64 letters, digits and _"),
        type=_word(entry["type"], FIELD_TYPES, "fields.type"),
        title=_text(entry["title"], "fields.title", 200),
        level=Level.from_word(_text(entry["level"], "fields.level", 20)) if "level" in entry else None,
        mask=_word(entry["mask"], MASKS, "fields.mask") if "mask" in entry else None,
    )


def _object(value: Any, needed: frozenset[str], optional: frozenset[str], where: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    missing, unknown = needed - value.keys(), value.keys() - needed - optional
    if missing or unknown:
        what = f"without {', '.join(sorted(missing))}" if missing else f"with unknown {ascii(sorted(unknown)[0])[:80]}"
        raise InvalidInputError("metadata.form", f"{where} {what}", hint="see docs/formats.md, catalogue entry")


def _text(value: Any, where: str, most: int, *, empty: bool = False) -> str:
    if (
        not isinstance(value, str)
        or len(value) > most
        or not (value.strip() or empty)
        or not unicodedata.is_normalized("NFC", value)
        or any(unicodedata.category(char) == "Cc" and char != "\n" for char in value)
    ):
        raise _wrong(where, f"1 to {most} characters in normal form (NFC), no control characters", value)
    return value


def _match(value: Any, pattern: re.Pattern[str], where: str, allowed: str) -> str:
    if not isinstance(value, str) or not pattern.match(value):
        raise _wrong(where, allowed, value)
    return value


def _word(value: Any, words: tuple[str, ...], where: str) -> str:
    if not isinstance(value, str) or value not in words:
        raise _wrong(where, "one of " + ", ".join(words), value)
    return value


def _wrong(where: str, allowed: str, actual: object) -> InvalidInputError:
    return InvalidInputError(
        "metadata.form",
        f"metadata, {where}: {allowed}",
        hint="see docs/formats.md, catalogue entry",
        actual=None if actual is None else ascii(actual)[:80],
    )
