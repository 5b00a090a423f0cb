"""The version of the installed software."""

from __future__ import annotations

from importlib import metadata

try:
    VERSION = metadata.version("civicledger")
except metadata.PackageNotFoundError:
    # Run from a source tree that is not installed.
    VERSION = "0-source"
