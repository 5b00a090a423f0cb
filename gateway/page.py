"""The start page: one template, rendered whole for the browser and in parts for the live refresh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.texts import SCRIPT_KEYS, TEXTS, ago
from gateway.views import CityView
from ledger.errors import LedgerError
from ledger.model import MemberStatus, Roles

_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
#: Datasets on the page; the rest is one request away.
SHOWN_DATASETS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file of the page. ``version``: of its content, so that it may be kept for ever."""

    data: bytes
    media_type: str
    version: str


def load_static() -> dict[str, StaticFile]:
    """Every static file by name."""
    files: dict[str, StaticFile] = {}
    for path in sorted((_FOLDER / "static").iterdir()):
        data = path.read_bytes()
        version = hashlib.sha256(data).hexdigest()[:12]
        files[path.name] = StaticFile(data=data, media_type=_TYPES[path.suffix], version=version)
    return files


def addresses(static: Mapping[str, StaticFile]) -> dict[str, str]:
    """Where a page finds each static file: the address changes with the content."""
    return {name: f"/static/{name}?v={file.version}" for name, file in static.items()}


def environment() -> Environment:
    """Templates as every page uses them: escaped, and an unknown name is an error."""
    return Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Page:
    """Renders the city. ``clock``-free: the time comes with each call."""

    def __init__(self, static: Mapping[str, StaticFile], *, citizens: bool = False) -> None:
        """``citizens``: whether they can sign in here."""
        self._citizens = citizens
        self._environment = environment()
        self._environment.filters["number"] = lambda value: f"{value:,}"
        self._environment.filters["short"] = lambda value: f"{value.hex()[:8]}…{value.hex()[-6:]}"
        self._static = addresses(static)

    def render(self, view: CityView | None, problem: LedgerError | None, language: str, now_ms: int) -> str:
        """The whole page."""
        return self._environment.get_template("page.html").render(self._context(view, problem, language, now_ms))

    def fragment(self, view: CityView | None, problem: LedgerError | None, language: str, now_ms: int) -> str:
        """The parts that change, for the refresh."""
        return self._environment.get_template("live.html").render(self._context(view, problem, language, now_ms))

    def _context(
        self, view: CityView | None, problem: LedgerError | None, language: str, now_ms: int
    ) -> dict[str, Any]:
        texts = TEXTS[language]
        now = now_ms // 1000
        context: dict[str, Any] = {
            "t": texts,
            "citizens": self._citizens,
            "language": language,
            "other": "en" if language == "zh" else "zh",
            "static": self._static,
            "script_texts": json.dumps({key: texts[key] for key in SCRIPT_KEYS}, ensure_ascii=False),
            "view": view,
            "problem": problem,
            "ago": lambda time: ago(now - time, texts),
            "hospitals": view is not None and any(Roles.HOSPITAL in member.chain.info.roles for member in view.members),
        }
        if view is not None:
            context |= {
                "signed_at": None if view.view_age_ms is None else (view.made_at_ms - view.view_age_ms) // 1000,
                "total": sum(member.log.size for member in view.members),
                "active": sum(member.chain.info.status is MemberStatus.ACTIVE for member in view.members),
                "datasets": view.chain.datasets[::-1][:SHOWN_DATASETS],
                "hidden": max(0, len(view.chain.datasets) - SHOWN_DATASETS),
            }
        return context
