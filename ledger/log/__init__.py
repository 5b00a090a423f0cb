"""A department's log: written, signed, checked, exported, backed up and restored."""

from __future__ import annotations

from ledger._native import PendingAppend
from ledger.log.check import FsckReport, fsck
from ledger.log.department import Clock, DepartmentLog, open_reader
from ledger.log.export import export_tiles, read_tile

__all__ = ["Clock", "DepartmentLog", "FsckReport", "PendingAppend", "export_tiles", "fsck", "open_reader", "read_tile"]
