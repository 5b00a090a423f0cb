"""Branch coverage of the contracts, measured on the committed byte code: ``contracts/test.sh --branches``.

Every call and transaction of the tests is traced; each JUMPI is mapped by the compiler's source map to the ``if``,
loop, ``? :``, ``&&`` or ``||`` it comes from. A branch is covered when both its outcomes were seen, in any copy the
optimiser made.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import solcx
from contract_city import ADDRESSES
from contract_targets import RpcError, Target

import contracts
from contracts import build

TRACER = """{seen: {}, at: null, next: 0,
 step: function(log) {
  if (this.at !== null) { this.seen[this.at + (log.getPC() == this.next ? ":0" : ":1")] = 1; this.at = null; }
  if (log.op.toNumber() == 0x57) {
   this.at = toHex(log.contract.getAddress()) + ":" + log.getPC(); this.next = log.getPC() + 1; } },
 fault: function() {},
 result: function() { return Object.keys(this.seen); }}"""
#: File, line, column of a node that branches.
Place = tuple[str, int, int]
KINDS = {"IfStatement", "ForStatement", "WhileStatement", "Conditional", "BinaryOperation"}


class Branches:
    """Collects outcomes while the tests run, then tells which were never seen."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._names = {address.lower(): name for name, address in ADDRESSES.items()}
        consortium = bytes.fromhex(ADDRESSES["Consortium"][2:])
        self._runtimes = {contracts.artifact(name).runtime(consortium): name for name in contracts.NAMES}
        self._seen: set[str] = set()
        target.watch = self.watch

    def watch(self, call: dict[str, Any]) -> None:
        """Trace what is about to be called."""
        created = None
        if "to" not in call:
            code = bytes.fromhex(call["data"][2:])
            created = next(
                (name for name in contracts.NAMES if code.startswith(contracts.artifact(name).bytecode)), None
            )
            if created is None:
                return
        try:
            seen = self._target.rpc("debug_traceCall", call, "latest", {"tracer": TRACER})
        except RpcError:
            return
        for entry in seen:
            address, pc, outcome = entry.split(":")
            name = self._name(address, created)
            self._seen.add(f"{name}:{pc}:{outcome}")

    def _name(self, address: str, created: str | None) -> str:
        """Which code runs at an address: one of genesis, a second instance, or the creation code at hand."""
        if address not in self._names:
            code = bytes.fromhex(self._target.rpc("eth_getCode", address, "latest")[2:])
            if not code:
                return f"{created}-creation"
            self._names[address] = self._runtimes.get(code, "")
        return self._names[address]

    def report(self) -> list[str]:
        """One line per branch with an outcome that was never seen, then the count."""
        outcomes: dict[Place, set[str]] = defaultdict(set)
        for name, (code, places) in _sources().items():
            for pc, place in _jumps(code, places):
                outcomes[place] |= {entry[-1] for entry in (f"{name}:{pc}:0", f"{name}:{pc}:1") if entry in self._seen}
        lines = [
            f"{file}:{line}:{column} {'one outcome only' if seen else 'never reached'}"
            for (file, line, column), seen in sorted(outcomes.items())
            if len(seen) < 2
        ]
        covered = sum(len(seen) for seen in outcomes.values())
        return [*lines, f"{covered} of {2 * len(outcomes)} branch outcomes seen"]


def _sources() -> dict[str, tuple[bytes, list[Place | None]]]:
    """Per code its bytes and, per instruction, the place of the branching node it comes from."""
    texts = {path.name: path.read_text("utf-8") for path in sorted(build.SOURCES.glob("*.sol"))}
    wanted = {"": ["ast"], "*": ["evm.bytecode", "evm.deployedBytecode"]}
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": build.SETTINGS | {"outputSelection": {"*": wanted}},
    }
    answer = solcx.compile_standard(request, solc_binary=str(build.COMPILER))
    nodes: dict[tuple[int, int, int], Place] = {}
    conditions: dict[tuple[int, int, int], Place] = {}
    for name, source in answer["sources"].items():
        text = texts[name].encode()
        for node in _walk(source["ast"]):
            start, length, index = map(int, node["src"].split(":"))
            if node["nodeType"] == "BinaryOperation" and node["operator"] not in ("&&", "||"):
                continue
            place = (name, text[:start].count(b"\n") + 1, start - text.rfind(b"\n", 0, start))
            nodes[index, start, length] = place
            condition = node.get("condition")
            if condition:
                start, length, index = map(int, condition["src"].split(":"))
                conditions[index, start, length] = place
    nodes = conditions | nodes
    made: dict[str, tuple[bytes, list[Place | None]]] = {}
    for name in contracts.NAMES:
        evm = answer["contracts"][f"{name}.sol"][name]["evm"]
        for suffix, part in (("", evm["deployedBytecode"]), ("-creation", evm["bytecode"])):
            made[name + suffix] = (bytes.fromhex(part["object"]), _places(part["sourceMap"], nodes))
    return made


def _places(source_map: str, nodes: dict[tuple[int, int, int], Place]) -> list[Place | None]:
    current = ["0", "0", "0"]
    places: list[Place | None] = []
    for entry in source_map.split(";"):
        for position, value in enumerate(entry.split(":")[:3]):
            if value:
                current[position] = value
        start, length, index = map(int, current)
        places.append(nodes.get((index, start, length)))
    return places


def _jumps(code: bytes, places: list[Place | None]) -> list[tuple[int, Place]]:
    """(program counter, place) of each JUMPI that comes from a branching node."""
    found = []
    pc = 0
    for place in places:
        if pc >= len(code):
            break
        if code[pc] == 0x57 and place is not None:
            found.append((pc, place))
        pc += 1 + (code[pc] - 0x5F if 0x60 <= code[pc] <= 0x7F else 0)
    return found


def _walk(node: Any) -> list[dict[str, Any]]:
    found = []
    if isinstance(node, dict):
        if node.get("nodeType") in KINDS:
            found.append(node)
        for value in node.values():
            found += _walk(value)
    elif isinstance(node, list):
        for value in node:
            found += _walk(value)
    return found
