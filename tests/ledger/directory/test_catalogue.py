"""Metadata files: one spelling, every element checked; the DCAT export has what DCAT-AP asks for."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ledger import codec
from ledger.directory.catalogue import (
    DatasetMetadata,
    decode_metadata,
    encode_metadata,
    highest_level,
    metadata_digest,
    to_dcat,
)
from ledger.errors import InvalidInputError
from ledger.identifiers import dataset_id
from ledger.model import DatasetVersion, Level

USCC = "91110000600037341L"


def test_a_file_is_its_own_re_encoding(metadata: DatasetMetadata) -> None:
    data = encode_metadata(metadata)
    assert decode_metadata(data) == metadata
    assert encode_metadata(decode_metadata(data)) == data
    assert metadata_digest(data) == codec.domain_digest("metadata", data)
    assert metadata.id == dataset_id(USCC, "310000-0001")


def changed(metadata: DatasetMetadata, **changes: Any) -> bytes:
    value = json.loads(encode_metadata(metadata))
    for path, new in changes.items():
        *folders, last = path.split("__")
        inner = value
        for folder in folders:
            inner = inner[int(folder)] if folder.isdigit() else inner[folder]
        if new is ...:
            del inner[last]
        else:
            inner[last] = new
    return codec.encode(value)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": True},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 201},
        {"name": "a\u0000b"},
        {"name": "e\u0301"},
        {"name": 5},
        {"abstract": ...},
        {"extra": "field"},
        {"format": "xml"},
        {"openness": "maybe"},
        {"updateCycle": "often"},
        {"fields": []},
        {"fields": {}},
        {"fields": [1]},
        {"fields__0__type": "blob"},
        {"fields__0__name": "no spaces"},
        {"fields__0__name": "name"},
        {"fields__0__title": ...},
        {"fields__0__mask": "some"},
        {"fields__0__more": 1},
        {"sharing": "conditional"},
        {"sharing__condition": ""},
        {"sharing__more": ""},
    ],
)
def test_what_is_not_a_metadata_file_is_refused(metadata: DatasetMetadata, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_metadata(changed(metadata, **changes))
    assert caught.value.code == "metadata.form"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"provider": "91110000600037341X"}, "identifier.uscc"),
        ({"resourceCode": "a b"}, "identifier.resource-code"),
        ({"level": "secret"}, "model.word"),
        ({"sharing__type": "all"}, "model.word"),
        ({"fields__1__level": "core"}, "metadata.level"),
    ],
)
def test_words_and_identifiers_keep_their_own_codes(
    metadata: DatasetMetadata, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_metadata(changed(metadata, **changes))
    assert caught.value.code == code


def test_a_second_spelling_is_refused(metadata: DatasetMetadata) -> None:
    with pytest.raises(InvalidInputError):
        decode_metadata(encode_metadata(metadata) + b" ")


def test_encoding_checks_too(metadata: DatasetMetadata) -> None:
    with pytest.raises(InvalidInputError):
        encode_metadata(replace(metadata, fields=()))


def test_a_set_takes_its_highest_level() -> None:
    assert highest_level([Level.GENERAL, Level.CORE, Level.IMPORTANT]) is Level.CORE
    assert highest_level([]) is Level.GENERAL


def test_dcat_has_the_mandatory_properties(metadata: DatasetMetadata) -> None:
    version = DatasetVersion(number=3, content_digest=b"\xab" * 32, count=10, time=1_790_000_000)
    dcat = to_dcat(metadata, version)
    # Dataset: title, description; Distribution: accessURL; Checksum: algorithm, checksumValue; Agent: name.
    assert dcat["@type"] == "dcat:Dataset"
    assert dcat["dct:title"] == {"@value": "行政区划代码", "@language": "zh"}
    assert dcat["dct:description"]["@value"] == metadata.abstract
    assert dcat["dct:publisher"]["foaf:name"] == USCC
    (distribution,) = dcat["dcat:distribution"]
    assert distribution["dcat:accessURL"]["@id"] == f"urn:civicledger:dataset:{metadata.id.hex()}"
    assert distribution["spdx:checksum"]["spdx:checksumValue"]["@value"] == "ab" * 32
    used = {key.split(":")[0] for key in _keys(dcat) if ":" in key and not key.startswith(("@", "urn:", "http"))}
    assert used <= set(dcat["@context"])
    assert json.loads(json.dumps(dcat)) == dcat
    assert "dcat:distribution" not in to_dcat(metadata, None)


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [key for name, inner in value.items() if name != "@context" for key in (name, *_keys(inner))]
    return [key for inner in value for key in _keys(inner)] if isinstance(value, list) else []
