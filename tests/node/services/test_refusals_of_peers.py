"""What another member's node says of a refusal stands in records, metrics and on screens: it is a code, or none."""

from __future__ import annotations

import grpc
import pytest

from ledger.errors import ConflictError, LedgerError, NotAllowedError
from ledger.eventkinds import CODE
from node.rpc.errors import CODE_KEY, from_peer, refusal


@pytest.mark.parametrize(
    "code", ["", "Medical.changed", "medical.changed\n", "a b", "x" * 65, "医院", "../etc", "\x1b[2J"]
)
def test_what_is_no_code_is_not_taken_over(code: str) -> None:
    error = refusal(code, "m" * 10_000, "h" * 10_000)
    assert error.code == "exchange.no-code"
    assert isinstance(error, NotAllowedError)
    assert len(error.message) <= 2_000
    assert len(error.hint) <= 2_000


def test_a_code_keeps_its_kind() -> None:
    assert isinstance(refusal("medical.changed", "corrected"), ConflictError)


class Failed(grpc.RpcError, grpc.Call):
    """A call that a peer ended."""

    def __init__(self, code: str) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.INTERNAL

    def details(self) -> str:
        return "d" * 10_000

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((CODE_KEY, self._code),)

    initial_metadata = is_active = time_remaining = cancel = add_callback = None  # type: ignore[assignment]


@pytest.mark.parametrize("code", ["vault.corrupt", "NO CODE", "x" * 1_000])
def test_a_call_that_failed_ends_no_node_and_names_a_code(code: str) -> None:
    error = from_peer(Failed(code), "a node")
    assert type(error).__name__ == "UnavailableError"
    assert isinstance(error, LedgerError)
    assert CODE.accepts(error.code)
    assert len(error.message) < 11_000
