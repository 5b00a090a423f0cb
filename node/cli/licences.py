"""``civicledger licence``, whole: importing it loads every file with a command of the group."""

from __future__ import annotations

from node.cli import (
    licencebundle,
    licencefetch,
    licenceissue,
    licenceslip,
    licencestatus,
    licencetypes,
    licenceverify,
    licencewallet,
)
from node.cli.licencegroup import app

__all__ = [
    "app",
    "licencebundle",
    "licencefetch",
    "licenceissue",
    "licenceslip",
    "licencestatus",
    "licencetypes",
    "licenceverify",
    "licencewallet",
]
