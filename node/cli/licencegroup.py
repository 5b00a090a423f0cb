"""``civicledger licence``: the group its commands hang on."""

from __future__ import annotations

import typer

from node.cli.groups import SAYS

app = typer.Typer(help=SAYS["licence"], no_args_is_help=True)
