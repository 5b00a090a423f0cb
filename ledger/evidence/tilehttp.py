"""What an HTTP server answers for the resources of tlog-tiles: caching, ranges, compression. Pure: bytes in, bytes out.

Node and gateway serve the same resources by these rules, whatever web framework carries the answer.

Sources: C2SP tlog-tiles (content types, caching, compression of bundles); RFC 9110 sections 8.8.3, 12.5.3, 13, 14.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

TEXT: Final = "text/plain; charset=utf-8"
OCTETS: Final = "application/octet-stream"

#: Entry bundles are JSON: the first levels of zlib already take most of it away.
_GZIP_LEVEL: Final = 4
#: Shorter answers gain nothing from compression.
_LEAST_GZIP: Final = 256
_RANGE: Final = re.compile(
    r"bytes=(?:(?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})?|-(?P<suffix>[0-9]{1,19}))\Z", re.ASCII
)
_ZERO_Q: Final = re.compile(r"q=0(?:\.0{0,3})?\Z", re.ASCII)


class Kind(Enum):
    """A kind of resource: content type, cache rule, and whether compressing it brings anything."""

    #: Changes with every publication: may be kept, but must be asked about each time.
    CHECKPOINT = (TEXT, "no-cache", False)
    #: Hash tiles never change, full or partial. Hashes do not compress.
    HASHES = (OCTETS, "public, max-age=31536000, immutable", False)
    #: Entry bundles never change either, but are for their reader alone: no shared cache may keep them.
    ENTRIES = (OCTETS, "private, max-age=31536000, immutable", True)

    @property
    def media_type(self) -> str:
        """Content-Type."""
        return self.value[0]

    @property
    def cache(self) -> str:
        """Cache-Control."""
        return self.value[1]

    @property
    def compressible(self) -> bool:
        """Whether it is compressed for clients that ask."""
        return self.value[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """Status, headers and body; for HEAD the server drops the body and keeps its length."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer(data: bytes, kind: Kind, method: str, headers: Mapping[str, str]) -> HttpAnswer:
    """The answer to GET or HEAD for a resource that exists. ``headers``: of the request, names in lower case."""
    wanted = headers.get("range") if method == "GET" else None
    made = {"Content-Type": kind.media_type, "Cache-Control": kind.cache, "Accept-Ranges": "bytes"}
    body, tag = data, _etag(data)
    if kind.compressible:
        made["Vary"] = "Accept-Encoding"
        # A range of a compressed stream is of no use to anybody: with a range asked for, the bundle stays as it is.
        if wanted is None and len(data) >= _LEAST_GZIP and accepts_gzip(headers.get("accept-encoding", "")):
            body, tag = gzip.compress(data, _GZIP_LEVEL, mtime=0), f'{tag[:-1]}-gzip"'
            made["Content-Encoding"] = "gzip"
    made["ETag"] = tag
    if _matches(headers.get("if-none-match", ""), tag):
        return HttpAnswer(status=304, headers={k: v for k, v in made.items() if k != "Content-Encoding"}, body=b"")
    if wanted is not None and headers.get("if-range", tag) == tag:
        part = _range(wanted, len(body))
        if part == (0, 0):
            made["Content-Range"] = f"bytes */{len(body)}"
            return HttpAnswer(status=416, headers=made, body=b"")
        if part is not None:
            made["Content-Range"] = f"bytes {part[0]}-{part[1] - 1}/{len(body)}"
            return HttpAnswer(status=206, headers=made, body=body[part[0] : part[1]])
    return HttpAnswer(status=200, headers=made, body=body)


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip (RFC 9110 section 12.5.3)."""
    allowed: dict[str, bool] = {}
    for item in header.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        allowed.setdefault(coding, not any(_ZERO_Q.match(parameter) for parameter in parameters))
    return allowed.get("gzip", allowed.get("x-gzip", allowed.get("*", False)))


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _matches(header: str, tag: str) -> bool:
    """If-None-Match compares weakly (RFC 9110 section 13.1.2)."""
    tags = [item.strip().removeprefix("W/") for item in header.split(",")]
    return tag in tags or tags == ["*"]


def _range(header: str, length: int) -> tuple[int, int] | None:
    """``[from, to)`` of a single byte range; (0, 0) when nothing of it is there; None for what is to be ignored: other
    units, several ranges, wrong syntax (RFC 9110 section 14.2)."""
    match = _RANGE.match(header.strip())
    if match is None:
        return None
    if match["suffix"] is not None:
        count = min(int(match["suffix"]), length)
        return (length - count, length) if count else (0, 0)
    first = int(match["first"])
    last = length - 1 if match["last"] is None else min(int(match["last"]), length - 1)
    if match["last"] is not None and int(match["last"]) < first:
        return None
    return (first, last + 1) if first < length else (0, 0)
