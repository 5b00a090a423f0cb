"""The import rule of the native core, as a contract type of import-linter: it is compiled, so its graph has no such
module, and an import of it would go unseen. Here the sources are read instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

PACKAGES = ("ledger", "node", "gateway", "contracts")
NATIVE = "_native"


class NativeDoorContract(Contract):
    """Only the modules listed as ``doors`` import ``ledger._native``; each of them does."""

    type_name = "native_door"

    doors = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - the linter's signature
        """Compare what the sources import with what is listed."""
        found = {module for package in PACKAGES for module in importers(package)}
        doors = {str(door) for door in self.doors}  # type: ignore[attr-defined]
        problems = [f"{module} imports ledger._native" for module in sorted(found - doors)]
        problems += [f"{door} is listed and does not import ledger._native" for door in sorted(doors - found)]
        return ContractCheck(kept=not problems, metadata={"problems": problems})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for each."""
        for problem in check.metadata["problems"]:
            output.print_error(problem)


def importers(package: str) -> Iterator[str]:
    """The modules of a package that import the native core."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no package {package} on the path")
    folder = Path(spec.origin).parent
    for path in folder.rglob("*.py"):
        if any(_names_native(node) for node in ast.walk(ast.parse(path.read_bytes()))):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _names_native(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(NATIVE in alias.name.split(".") for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return NATIVE in (node.module or "").split(".") or any(alias.name == NATIVE for alias in node.names)
    return False
