"""``civicledger medical``: the group its commands hang on, and the group of its rules."""

from __future__ import annotations

import typer

from node.cli.groups import SAYS
from node.cli.texts import t

app = typer.Typer(help=SAYS["medical"], no_args_is_help=True)
rules = typer.Typer(
    help=t("Rule sets of recognition: check, show, digest (互认规则).", "互认规则：检查、查看、摘要。"),
    no_args_is_help=True,
)
app.add_typer(rules, name="rules")
