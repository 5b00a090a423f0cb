"""``civicledger medical``, whole: importing it loads every file with a command of the group."""

from __future__ import annotations

from node.cli import (
    medicaladopt,
    medicalaudit,
    medicaldesk,
    medicaleqa,
    medicalfigures,
    medicalkeep,
    medicalpatients,
    medicalregions,
    medicalreports,
    medicalrules,
    medicalsteps,
)
from node.cli.medicalgroup import app

__all__ = [
    "app",
    "medicaladopt",
    "medicalaudit",
    "medicaldesk",
    "medicaleqa",
    "medicalfigures",
    "medicalkeep",
    "medicalpatients",
    "medicalregions",
    "medicalreports",
    "medicalrules",
    "medicalsteps",
]
