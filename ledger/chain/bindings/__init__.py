"""The contracts as typed reads and calldata. Nothing here sends: ``ledger.chain.account`` does."""

from ledger.chain.bindings.anchors import AnchorInfo, Anchors, ForkInfo
from ledger.chain.bindings.base import ContractCall, decode_events
from ledger.chain.bindings.consortium import Consortium, Proposal, ProposalKind, ProposalState, Vote
from ledger.chain.bindings.contracts import Contracts
from ledger.chain.bindings.directory import Directory
from ledger.chain.bindings.grants import Activity, Claim, Grants, Settlement
from ledger.chain.bindings.licences import Licences
from ledger.chain.bindings.recognition import Recognition

__all__ = [
    "Activity",
    "AnchorInfo",
    "Anchors",
    "Claim",
    "Consortium",
    "ContractCall",
    "Contracts",
    "Directory",
    "ForkInfo",
    "Grants",
    "Licences",
    "Proposal",
    "ProposalKind",
    "ProposalState",
    "Recognition",
    "Settlement",
    "Vote",
    "decode_events",
]
