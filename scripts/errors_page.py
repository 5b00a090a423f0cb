"""docs/errors.md: every error code in the sources, with who must act, what it says and the next step.

`python -m scripts.errors_page` writes the page; `--check` exits 1 when the committed one is stale. The codes are read
from the sources: from calls of the error classes, of functions that take a code, from the table of the contracts'
refusals, and from the native core.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/errors.md"
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z0-9]+(-[a-z0-9]+)*\Z")
_PACKAGES = ("contracts", "gateway", "ledger", "node")
_FINDINGS = ("node/doctor.py", "node/doctor_consensus.py", "node/doctor_medical.py", "node/doctor_network.py")
_REFUSALS = ("ledger/chain/refusals.py", "ledger/chain/refusals_medical.py")
_REFUSAL_KINDS = {
    "_invalid": "InvalidInputError",
    "_denied": "NotAllowedError",
    "_unknown": "NotFoundError",
    "_conflict": "ConflictError",
}
_RUST_CLASS = re.compile(
    r'(?:Class::|fail::|\b)(\w+)(?:,|\()\s*"([a-z][a-z0-9.-]+)"\s*,\s*(?:format!\(\s*)?"((?:[^"\\]|\\.)*)"'
    # The hint of the same expression.
    r'(?:[^;"]*?\.hint\(\s*(?:format!\(\s*)?"((?:[^"\\]|\\.)*)")?',
    re.S,
)
_RUST_CODE = re.compile(r'"([a-z][a-z0-9]*\.[a-z][a-z0-9-]*)"')
_RUST_WORDS = {
    "InvalidInput": "InvalidInputError",
    "invalid": "InvalidInputError",
    "Untrusted": "UntrustedError",
    "untrusted": "UntrustedError",
    "NotAllowed": "NotAllowedError",
    "not_allowed": "NotAllowedError",
    "NotFound": "NotFoundError",
    "not_found": "NotFoundError",
    "Conflict": "ConflictError",
    "conflict": "ConflictError",
    "Unavailable": "UnavailableError",
    "unavailable": "UnavailableError",
    "Fatal": "FatalError",
    "fatal": "FatalError",
    "protocol": "FatalError",
    "stored": "FatalError",
}
#: Class of a native code whose call the patterns above do not read: by its area.
_RUST_AREAS = {
    "abci": "FatalError",
    "block": "UntrustedError",
    "chain": "FatalError",
    "evm": "InvalidInputError",
    "finality": "UntrustedError",
    "genesis": "InvalidInputError",
    "json": "InvalidInputError",
    "licence": "UntrustedError",
    "log": "FatalError",
    "merkle": "UntrustedError",
    "proof": "NotFoundError",
    "record": "InvalidInputError",
    "state": "UntrustedError",
    "tx": "InvalidInputError",
}
_NOT_CODES = re.compile(r".*\.(dat|idx|rs|json|new|tmp|sock|txt|errors)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One place where a code is used."""

    code: str
    kind: str = ""
    message: str = ""
    hint: str = ""
    finding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A function with a parameter ``code`` at ``place`` among the arguments of a call, and perhaps a ``message``;
    ``kind`` is what it makes."""

    place: int
    message: int | None
    kind: str


def entries(root: Path) -> list[Entry]:
    """Every use of a code in the sources below ``root``."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(_python(root))}
    takers: dict[str, Taker] = {}
    for tree in trees.values():
        takers |= dict(_takers(tree))
    found: list[Entry] = []
    for path, tree in trees.items():
        name = path.relative_to(root).as_posix()
        found += _refusals(tree) if name in _REFUSALS else _uses(tree, takers, finding=name in _FINDINGS)
    sources = (path for path in (root / "native" / "src").rglob("*.rs") if "tests" not in path.parts)
    for path in sorted(sources):
        found += _rust(path.read_text("utf-8"))
    return found


def page(root: Path) -> str:
    """The text of docs/errors.md."""
    found = entries(root)
    errors = _merge([entry for entry in found if not entry.finding])
    findings = _merge([entry for entry in found if entry.finding])
    lines = [
        "# Errors",
        "",
        "Every error has a stable code, a message, and mostly a hint with the next step. The class says who must act:",
        "`InvalidInputError` the caller corrects the request; `UntrustedError` nobody acts on the data;",
        "`NotAllowedError` somebody else may; `NotFoundError` the thing is not here; `ConflictError` the state",
        "differs; `UnavailableError` later; `FatalError` the operator recovers. gRPC and HTTP status follow from the",
        "class (`ledger/errors.py`, `STATUS`); over gRPC code and hint travel as trailing metadata `civicledger-code`",
        "and `civicledger-hint`. A `…` stands for a value of the moment.",
        "",
        "Generated from the sources by `python -m scripts.errors_page`; never edited.",
        "",
    ]
    areas: dict[str, list[Entry]] = {}
    for entry in errors:
        areas.setdefault(entry.code.split(".")[0], []).append(entry)
    for area, items in sorted(areas.items()):
        lines += [f"## {area}", "", "| code | class | says | next step |", "| --- | --- | --- | --- |"]
        lines += [_row(item) for item in items]
        lines.append("")
    lines += [
        "## Findings of the doctor",
        "",
        "`civicledger doctor` prints these; they are no errors of a call.",
        "",
        "| code | | says | next step |",
        "| --- | --- | --- | --- |",
        *[_row(item) for item in findings],
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page, or compare it."""
    text = page(ROOT)
    target = ROOT / PAGE
    if "--check" in sys.argv[1:]:
        if not target.exists() or target.read_text("utf-8") != text:
            print(f"{PAGE} is stale: run python -m scripts.errors_page and commit it", file=sys.stderr)
            return 1
        return 0
    target.write_text(text, "utf-8")
    return 0


def _python(root: Path) -> Iterator[Path]:
    for package in _PACKAGES:
        for path in (root / package).rglob("*.py"):
            relative = path.relative_to(root).as_posix()
            if not relative.startswith("ledger/v1/") and "node_modules" not in relative:
                yield path


def _takers(tree: ast.AST) -> Iterator[tuple[str, Taker]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [item.arg for item in (*node.args.posonlyargs, *node.args.args)]
            if "code" in names:
                own = 1 if names[0] in ("self", "cls") else 0
                message = names.index("message") - own if "message" in names else None
                yield node.name, Taker(place=names.index("code") - own, message=message, kind=_makes(node))


def _makes(function: ast.FunctionDef) -> str:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and (name := _name(node.func)).endswith("Error") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Name) and first.id == "code":
                return name
    return ""


def _uses(tree: ast.AST, takers: dict[str, Taker], *, finding: bool) -> Iterator[Entry]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name.endswith("Error"):
                yield from _use(node, Taker(place=0, message=1, kind=name), finding=False)
            elif name in takers:
                yield from _use(node, takers[name], finding=finding)
        elif (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "code"
            and CODE.match(_text(node.value))
        ):
            # The default code of a refusal by another node.
            yield Entry(code=_text(node.value), kind="UnavailableError")


def _use(call: ast.Call, taker: Taker, *, finding: bool) -> Iterator[Entry]:
    keywords = {item.arg: item.value for item in call.keywords}
    place, said, kind = taker.place, taker.message, taker.kind
    given = call.args[place] if len(call.args) > place else keywords.get("code")
    following = call.args[said] if said is not None and len(call.args) > said else keywords.get("message")
    for code in _constants(given):
        if CODE.match(code):
            last = call.args[place + 2] if finding and len(call.args) > place + 2 else None
            yield Entry(
                code=code,
                kind=kind if kind != "Error" else "",
                message=_text(following),
                hint=_text(keywords.get("hint", last)),
                finding=finding,
            )


def _refusals(tree: ast.AST) -> Iterator[Entry]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(value, ast.Call) and (kind := _REFUSAL_KINDS.get(_name(value.func))):
                    message, hint = (_text(item) for item in value.args[:2])
                    message = re.sub(r"\{\w+\}", "…", message)
                    # Grants__WrongDeadline -> contract.grants-wrong-deadline, as ledger.chain.reverts names them.
                    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", _text(key).replace("__", "-")).lower()
                    yield Entry(
                        code=f"contract.{words}", kind=kind, message=message, hint=re.sub(r"\{\w+\}", "…", hint)
                    )


def _rust(text: str) -> Iterator[Entry]:
    text = text.split("#[cfg(test)]")[0]
    text = re.sub(r"^\s*//.*$", "", text, flags=re.M)
    for word, code, *said in _RUST_CLASS.findall(text):
        if CODE.match(code) and not _NOT_CODES.match(code):
            message, hint = (re.sub(r"\{[^{}]*\}", "…", re.sub(r"\\\n\s*", "", part)) for part in said)
            yield Entry(code=code, kind=_RUST_WORDS.get(word, ""), message=message, hint=hint)
    for code in _RUST_CODE.findall(text):
        if not _NOT_CODES.match(code):
            yield Entry(code=code, kind=_RUST_AREAS.get(code.split(".")[0], ""))


def _merge(found: list[Entry]) -> list[Entry]:
    """One entry per code: the fullest use says it."""
    best: dict[str, Entry] = {}
    for entry in found:
        known = best.get(entry.code)
        if known is None or _fullness(entry) > _fullness(known):
            best[entry.code] = entry
    return [best[code] for code in sorted(best)]


def _fullness(entry: Entry) -> int:
    return 4 * bool(entry.kind) + 2 * bool(entry.message) + bool(entry.hint)


def _row(entry: Entry) -> str:
    cells = (f"`{entry.code}`", entry.kind, entry.message, entry.hint)
    return "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |"


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constants(node: ast.expr | None) -> Iterator[str]:
    """The texts an expression may be: a constant, or either side of a conditional."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)


def _text(node: ast.expr | None) -> str:
    """A text as it is written, values of the moment as …"""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t" and node.args:
        return _text(node.args[0])  # the English of both languages
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (_text(node.left) or "…") + (_text(node.right) or "…")
    return ""


if __name__ == "__main__":
    sys.exit(main())
