"""How commands name a licence, and how they show one that was issued."""

from __future__ import annotations

from typing import Any

import typer

from ledger.errors import InvalidInputError
from node.cli.texts import t

LicenceArgument = typer.Argument(
    ..., help=t("identifier (1.2.156.3005.2.…) or id in hex", "证照标识（1.2.156.3005.2.…）或十六进制编号")
)
#: Of the page of a copy.
ToNameOption = typer.Option("", "--to-name", help=t("its name on the page", "页面上的接收方名称"))
CheckAtOption = typer.Option("", help=t("address of a page that checks it", "核验页面的地址"))
FontOption = typer.Option(None, help=t("font for the page", "页面所用字体文件"))


def naming(licence: str) -> dict[str, Any]:
    """A licence as messages name it. Raises: InvalidInputError(input.licence)."""
    plain = licence.strip()
    if plain.startswith("1.2."):
        return {"identifier": plain}
    try:
        return {"id": _sixteen(bytes.fromhex(plain))}
    except ValueError:
        raise InvalidInputError(
            "input.licence",
            t("neither an identifier nor an id", "既不是证照标识也不是编号"),
            hint=t("civicledger licence status shows both", "civicledger licence status 可查看"),
        ) from None


def describe(issued: Any, issuer: str) -> dict[str, Any]:
    """An issued licence as plain data."""
    return {
        "id": issued.licence.id,
        "identifier": issued.identifier,
        "type": issued.licence.type,
        "version": issued.licence.version,
        "state": issued.licence.state,
        "licence": issued.sd_jwt,
        "record": record_of(issued, issuer),
    }


def record_of(issued: Any, issuer: str) -> dict[str, Any]:
    """Where the issue is on record, and what opens it."""
    return {"index": issued.licence.log_index, "issuer": issuer, "salt": issued.salt.hex()}


def _sixteen(data: bytes) -> bytes:
    if len(data) != 16:
        raise ValueError(len(data))
    return data
