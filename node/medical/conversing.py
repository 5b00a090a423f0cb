"""The asking hospital's steps at the other's node, by whatever road, and what is finished after a stop."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ledger.errors import LedgerError, UnavailableError
from ledger.storage.steps import StepEntry
from node.loops import Loop
from node.medical.dialogue import Dialogue
from node.medical.outcome import log_done, log_requested
from node.medical.receiving import Asking
from node.rpc.errors import refusal

logger = structlog.get_logger("node.medical")

#: How often what is owed is looked at, seconds.
INTERVAL_S = 2.0


def carry_out(dialogue: Dialogue, entry: StepEntry) -> Asking:
    """The dialogue of one step, up to the receipt both signed; the step and, of an opening, the report's data.

    Raises: the other hospital's refusal; UnavailableError(peer.* | exchange.interrupted): the same nonce goes on.
    """
    with dialogue.active.only(b"c" + entry.id):
        entry = dialogue.steps.get(entry.id, "consumer") or entry
        if entry.state == "refused":
            # While this call waited for another one of the same step.
            raise refusal(entry.code, "the other hospital refused this step", "what was refused stands on record")
        asking = Asking(dialogue, entry)
        # A stop may have come between the request and its record.
        asking.entry = log_requested(dialogue.context, dialogue.steps, asking.entry, asking.request.purpose)
        dialogue.road.step(dialogue.context, asking)
        if asking.entry.state != "complete" or (asking.entry.kind == "open" and not asking.data):
            raise UnavailableError(
                "exchange.interrupted",
                "the other hospital's node ended the dialogue before the receipt",
                hint="repeat with the same nonce",
            )
        return asking


class Finishing:
    """What a stop or a broken line left open, finished in the background: steps asked for are carried out or refused,
    receipts reach the other hospital, records that are owed are written."""

    def __init__(
        self, dialogue: Dialogue, is_open: Callable[[], bool], on_fatal: Callable[[LedgerError], None]
    ) -> None:
        self._dialogue = dialogue
        self._is_open = is_open
        metrics = dialogue.context.metrics
        self.loop = Loop("medical-steps", self._step, metrics=metrics, on_fatal=on_fatal, longest_delay_s=INTERVAL_S)

    def _step(self) -> float:
        if not self._is_open():
            return 0.5
        problem: LedgerError | None = None
        away: set[str] = set()
        for entry in self._dialogue.steps.work():
            if entry.state == "complete" and entry.log_index < 0:
                entry = log_done(self._dialogue.context, self._dialogue.steps, entry)
            if entry.role == "provider" or not entry.open_work or entry.counterpart in away:
                continue
            if b"c" + entry.id in self._dialogue.active:
                continue
            try:
                self._finish(entry)
            except UnavailableError as error:
                # One node that is away is one failure, and keeps no other hospital's waiting.
                away.add(entry.counterpart)
                problem = error
            except LedgerError as error:
                logger.warning("medical.not-finished", step=entry.id.hex(), code=error.code)
        if problem is not None:
            raise problem
        return INTERVAL_S

    def _finish(self, entry: StepEntry) -> None:
        if entry.state == "begun":
            carry_out(self._dialogue, entry)
        else:
            confirm(self._dialogue, entry)


def confirm(dialogue: Dialogue, entry: StepEntry) -> None:
    """Give the other hospital the receipt both signed. Raises: UnavailableError(peer.*), its refusal."""
    with dialogue.active.only(b"c" + entry.id):
        now = dialogue.steps.get(entry.id, "consumer") or entry
        if now.confirmed:
            return
        dialogue.road.confirm(dialogue.context, entry.counterpart, entry.id, now.receipt)
        Asking(dialogue, now).confirmed()
