"""The contracts of a chain together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.chain.abi import CONTRACTS
from ledger.chain.bindings.anchors import Anchors
from ledger.chain.bindings.base import NO_ADDRESS, ContractCall
from ledger.chain.bindings.consortium import Consortium
from ledger.chain.bindings.directory import Directory
from ledger.chain.bindings.grants import Grants
from ledger.chain.bindings.licences import Licences
from ledger.chain.bindings.recognition import Recognition
from ledger.identifiers import ascii_bytes32


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """Bindings of the contracts in force."""

    consortium: Consortium
    directory: Directory
    grants: Grants
    anchors: Anchors
    #: In a city founded before there were licences it has no address until a vote brings it into force.
    licences: Licences
    #: In a city founded before results were recognised it has no address.
    recognition: Recognition

    @classmethod
    def at(cls, call: ContractCall, addresses: Mapping[str, bytes]) -> Contracts:
        """Bindings at given addresses, e.g. ``genesis.contracts`` or ``contract_addresses()``."""
        return cls(
            consortium=Consortium(call, addresses["Consortium"]),
            directory=Directory(call, addresses["Directory"]),
            grants=Grants(call, addresses["Grants"]),
            anchors=Anchors(call, addresses["Anchors"]),
            licences=Licences(call, addresses.get("Licences", NO_ADDRESS)),
            recognition=Recognition(call, addresses.get("Recognition", NO_ADDRESS)),
        )

    @classmethod
    def in_force(cls, call: ContractCall, consortium: bytes) -> Contracts:
        """Bindings of what the Consortium names at present: a vote may have replaced the others."""
        asked = Consortium(call, consortium)
        return cls.at(call, {"Consortium": consortium, **_others(asked)})

    def refresh(self) -> tuple[str, ...]:
        """Turn the bindings to what the Consortium names now, so that everybody who holds them follows a vote that
        replaced a contract. Returns the names of those that moved."""
        moved = []
        for name, address in _others(self.consortium).items():
            binding = getattr(self, name.lower())
            if binding.address != address:
                binding.address = address
                moved.append(name)
        return tuple(moved)


def _others(consortium: Consortium) -> dict[str, bytes]:
    return {name: consortium.contract_of(ascii_bytes32(name)) for name in CONTRACTS[1:]}
