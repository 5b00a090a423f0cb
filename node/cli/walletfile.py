"""A wallet file: one licence as its holder has it, with the holder's key where it is bound to one. Private: 0600."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.errors import ConflictError, InvalidInputError, NotFoundError
from ledger.licences.suites import Signer, es256_signer
from node.cli.inputs import parse_json
from node.cli.texts import t

MAX_BYTES = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """``licence``: the SD-JWT with all disclosures; ``holder_key``: PKCS#8 PEM or empty; ``record``: ``index`` and
    ``issuer`` of the issue record and the ``salt`` that opens it, empty where unknown."""

    licence: str
    holder_key: str = ""
    record: Mapping[str, Any] | None = None

    def signer(self) -> Signer:
        """The holder's key. Raises: NotFoundError(wallet.no-key), InvalidInputError(wallet.key)."""
        if not self.holder_key:
            raise NotFoundError(
                "wallet.no-key",
                t("this wallet file has no holder key", "该卡包文件没有持证人密钥"),
                hint=t(
                    "present without --audience, or use the wallet that has the key",
                    "不带 --audience 出示，或使用带密钥的卡包",
                ),
            )
        try:
            key = serialization.load_pem_private_key(self.holder_key.encode(), None)
        except (ValueError, TypeError):
            raise _bad_key() from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise _bad_key()
        return es256_signer(key)


def new_holder_key() -> tuple[str, Signer]:
    """A fresh P-256 key for a holder: (PKCS#8 PEM, signer)."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    return pem, es256_signer(key)


def read_wallet(path: Path) -> Wallet:
    """A wallet file, or a file with the licence alone.

    Raises: NotFoundError(input.file), InvalidInputError(wallet.format | input.json).
    """
    text = read_text(path)
    if not text.startswith("{"):
        return Wallet(licence=text)
    value = parse_json(text, str(path))
    if value.get("v") != 1 or not isinstance(value.get("licence"), str) or not _is_text(value.get("holder_key", "")):
        raise InvalidInputError(
            "wallet.format",
            t(f"{path} is no wallet file", f"{path} 不是卡包文件"),
            hint=t(
                "civicledger licence issue --wallet FILE makes one", "civicledger licence issue --wallet FILE 可生成"
            ),
        )
    record = value.get("record")
    return Wallet(
        licence=value["licence"],
        holder_key=value.get("holder_key", ""),
        record=record if isinstance(record, dict) else None,
    )


def wallet_text(text: str) -> str:
    """The licence alone of a wallet file's text, whose key must go nowhere; any other text as it is."""
    try:
        value = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        value = None
    licence = value.get("licence") if isinstance(value, dict) else None
    return licence if isinstance(licence, str) else text


def read_text(path: Path) -> str:
    """A small text file. Raises: NotFoundError(input.file), InvalidInputError(input.too-large | input.text)."""
    if not path.is_file():
        raise NotFoundError("input.file", t(f"no such file: {path}", f"没有这个文件：{path}"))
    if path.stat().st_size > MAX_BYTES:
        raise InvalidInputError("input.too-large", t(f"{path} is too large", f"{path} 过大"), expected=MAX_BYTES)
    try:
        return path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise InvalidInputError("input.text", t(f"{path} is no text", f"{path} 不是文本")) from None


def write_wallet(path: Path, wallet: Wallet) -> None:
    """Write a wallet file, 0600, never over an existing one. Raises: ConflictError(wallet.exists)."""
    value: dict[str, Any] = {"v": 1, "licence": wallet.licence}
    if wallet.holder_key:
        value["holder_key"] = wallet.holder_key
    if wallet.record is not None:
        value["record"] = dict(wallet.record)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConflictError(
            "wallet.exists",
            t(f"{path} exists already", f"{path} 已存在"),
            hint=t("choose another name: a wallet may hold the only copy of a key", "请换名：卡包中可能有唯一的密钥"),
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _bad_key() -> InvalidInputError:
    return InvalidInputError(
        "wallet.key", t("the holder key is no P-256 key in PEM", "持证人密钥不是 PEM 格式的 P-256 密钥")
    )
