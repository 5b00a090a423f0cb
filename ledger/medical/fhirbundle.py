"""The resources of a Bundle, or of one resource with what it contains, and the references between them.

Source: HL7 FHIR R4, Bundle (resolving references, invariants bdl-7 and bdl-8), Reference, DomainResource.contained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.medical.fhirproblems import Problem, problem

MAX_ENTRIES: Final = 4_000
_TYPES: Final = frozenset({"collection", "document", "message", "transaction", "batch"})
_METHODS: Final = frozenset({"POST", "PUT"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A resource, where it stands (FHIRPath), the address of its entry, and what contains it."""

    resource: Mapping[str, Any]
    path: str
    url: str = ""
    container: Found | None = None

    @property
    def type(self) -> str:
        """Its resourceType."""
        return str(self.resource.get("resourceType", ""))

    def texts(self, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(path, value) of every object in a list element, or of the one object of a single one."""
        value = self.resource.get(name)
        for place, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, Mapping):
                suffix = f"[{place}]" if isinstance(value, list) else ""
                yield f"{self.path}.{name}{suffix}", item


class Resources:
    """Everything one input holds. ``problems`` says what is wrong with its frame."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self.all: list[Found] = []
        self._by_url: dict[str, Found] = {}
        self._by_name: dict[str, Found] = {}
        if root.get("resourceType") == "Bundle":
            self._open_bundle(root)
        else:
            self._take(Found(resource=root, path=str(root.get("resourceType"))))

    def of_type(self, type_: str) -> list[Found]:
        """Every resource of a type, contained ones included."""
        return [found for found in self.all if found.type == type_]

    def resolve(self, reference: str, source: Found) -> Found | None:
        """What a literal reference in ``source`` points to; None when it is not here."""
        if reference.startswith("#"):
            owner = source.container or source
            return owner if reference == "#" else self._by_name.get(f"{owner.path}#{reference[1:]}")
        plain = reference.partition("/_history/")[0]
        found = self._by_url.get(plain)
        if found is not None or ":" in plain:
            return found
        # Relative: first beside the entry that refers, then, where senders leave out or mix addresses, by type and id.
        base = _base((source.container or source).url)
        return (self._by_url.get(base + plain) if base else None) or self._by_name.get(plain)

    # --- inside -------------------------------------------------------------------------------------------------------
    def _open_bundle(self, root: Mapping[str, Any]) -> None:
        if root.get("type") not in _TYPES:
            self._remark("fhir.bundle-type", "Bundle.type", type=_word(root.get("type")))
        entries = root.get("entry") or []
        if len(entries) > MAX_ENTRIES:
            self._remark("fhir.too-many", "Bundle.entry", limit=str(MAX_ENTRIES), what="entries")
            return
        for place, entry in enumerate(entries):
            path = f"Bundle.entry[{place}]"
            method = (entry.get("request") or {}).get("method", "POST")
            if method not in _METHODS:
                self._remark("fhir.bundle-request", f"{path}.request.method", method=_word(method))
            elif not isinstance(entry.get("resource"), Mapping):
                self._remark("fhir.entry-empty", path)
            else:
                url = entry.get("fullUrl")
                self._take(
                    Found(resource=entry["resource"], path=f"{path}.resource", url=url if isinstance(url, str) else "")
                )

    def _take(self, found: Found) -> None:
        self.all.append(found)
        identity = found.resource.get("id")
        name = f"{found.type}/{identity}" if isinstance(identity, str) else ""
        # The same id under two addresses is two resources; without addresses it is one that stands there twice.
        clash = found.url in self._by_url if found.url else bool(name) and name in self._by_name
        if clash:
            self._remark("fhir.entry-twice", found.path)
        if found.url:
            self._by_url.setdefault(found.url, found)
        if name:
            self._by_name.setdefault(name, found)
        for path, resource in found.texts("contained"):
            inner = Found(resource=resource, path=path, container=found)
            self.all.append(inner)
            key = f"{found.path}#{resource.get('id')}"
            if key in self._by_name:
                self._remark("fhir.entry-twice", path)
            self._by_name[key] = inner

    def _remark(self, finding: str, path: str, /, **values: str) -> None:
        self.problems.append(problem(finding, path, **values))


def _base(url: str) -> str:
    """The server part of an entry's address (``https://host/base/`` of ``https://host/base/Type/id``)."""
    parts = url.rsplit("/", 2)
    return f"{parts[0]}/" if len(parts) == 3 and url.startswith(("http://", "https://")) else ""


def _word(value: object) -> str:
    return ascii(value)[:40]
