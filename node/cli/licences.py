"""``civicledger licence``, whole: importing it loads every file with a command of the group."""

from __future__ import annotations

from node.cli import (
    licencebundle,
    licencecertify,
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
    "licencecertify",
    "licencefetch",
    "licenceissue",
    "licenceslip",
    "licencestatus",
    "licencetypes",
    "licenceverify",
    "licencewallet",
]
