"""Looking for what is about a holder: in every form a program could have written it, in files, stores and answers."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import plyvel

from ledger.licences.sdjwt import open_claims, parse

#: Shorter values (a sex, an ethnic group, a class of vehicles) stand in program texts and say nothing of one person.
LEAST_BYTES = 8


def holder_values(licence: str) -> dict[str, str]:
    """What a licence says of its holder, by claim name; each disclosure as it is written, too."""
    opened = open_claims(parse(licence))
    values = {}
    for number, item in enumerate(opened.disclosures):
        value = opened.claims[str(item.path[0])]
        values[f"disclosure {number}"] = item.text
        if isinstance(value, str) and len(value.encode()) >= LEAST_BYTES:
            values[str(item.path[0])] = value
    return values


def forms(value: str) -> dict[str, bytes]:
    """A value in the forms it could have been written in; a digest without a salt gives away a number as well."""
    plain, digest = value.encode(), hashlib.sha256(value.encode()).digest()
    found = {
        "UTF-8": plain,
        "UTF-16, little end first": value.encode("utf-16-le"),
        "UTF-16, big end first": value.encode("utf-16-be"),
        "GB 18030": value.encode("gb18030"),
        "JSON escapes": json.dumps(value)[1:-1].encode(),
        "a URL": quote(value).encode(),
        "its SHA-256": digest,
    }
    for name, data in (("", plain), ("its SHA-256 in ", digest)):
        found[f"{name}hex"] = data.hex().encode()
        found[f"{name}HEX"] = data.hex().upper().encode()
        for shift in range(3):
            for kind, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
                found[f"{name}{kind}, {shift} bytes in"] = inside(encode, data, shift)
    return found


def inside(encode: Callable[[bytes], bytes], data: bytes, shift: int) -> bytes:
    """The characters that are the same whatever stands before and behind the data, ``shift`` bytes into a group."""
    text = encode(bytes(shift) + data)
    return text[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6]


def needles(values: Mapping[str, str]) -> dict[bytes, str]:
    """What to look for -> what it is. The same bytes are looked for once."""
    return {data: f"{name} as {form}" for name, value in values.items() for form, data in forms(value).items()}


def search(wanted: Mapping[bytes, str], data: bytes) -> list[str]:
    """What of the wanted stands in the data."""
    return [name for needle, name in wanted.items() if needle in data]


def files(folder: Path, leave_out: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder but those in folders of these names, with its content."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not leave_out & set(path.relative_to(folder).parts):
            yield str(path.relative_to(folder)), path.read_bytes()


def stores(folder: Path, leave_out: frozenset[str]) -> list[Path]:
    """The folders of LevelDB stores below a folder."""
    found = {path.parent for path in folder.rglob("CURRENT")}
    return sorted(path for path in found if not leave_out & set(path.relative_to(folder).parts))


def rows(store: Path, scratch: Path) -> Iterator[bytes]:
    """Keys with values of a store, read from a copy: its blocks are compressed, and opening it would write."""
    shutil.copytree(store, scratch)
    with plyvel.DB(str(scratch)) as db, db.iterator() as iterator:
        for key, value in iterator:
            yield key + b"\0" + value
    shutil.rmtree(scratch)
