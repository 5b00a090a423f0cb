"""A gateway's public HTTPS as a command asks it: no node, no key, bounded answers."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import typer

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError
from node.cli.texts import t

_TIMEOUT_S = 30.0
_MAX_ANSWER = 16 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

CaOption = typer.Option(
    None,
    "--ca",
    help=t(
        "certificate to trust (PEM): of the gateway's authority, or its very own; default: what this machine trusts",
        "信任的证书（PEM）：网关的签发机构证书或其自身证书；默认采用本机信任的证书",
    ),
)


class PublicHttp:
    """Requests to one gateway. What it says of a licence is its word: the certificate says whose."""

    def __init__(self, url: str, ca: Path | None = None) -> None:
        """Raises: InvalidInputError(source.url | source.ca)."""
        self._parts = _parts(url)
        self._pem = "" if ca is None else _read(ca)
        self._context = _trusting(self._pem)

    def get(self, path: str) -> bytes:
        """The body at a path. Raises: UnavailableError(source.*), NotFoundError, as the gateway refused."""
        return self._ask("GET", path, None)

    def post(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        """The JSON object that answers one. Raises: as :meth:`get`."""
        data = self._ask("POST", path, json.dumps(value).encode())
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise UnavailableError(
                "source.answer",
                t("what answers there is no gateway of civicledger", "该地址不是 civicledger 网关"),
                hint=t("the address of the gateway, without a path", "请使用网关地址，不带路径"),
            )
        return answer

    # --- inside -------------------------------------------------------------------------------------------------------
    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        host = self._parts.hostname or ""
        try:
            status, data = self._exchange(method, path, body)
        except ssl.SSLCertVerificationError as error:
            raise UnavailableError(
                "source.certificate",
                t(
                    f"the certificate of {host} is not one that is trusted here: {error.verify_message}",
                    f"{host} 的证书不受信任：{error.verify_message}",
                ),
                hint=t("--ca FILE names the certificate to trust", "用 --ca FILE 指定信任的证书"),
            ) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise UnavailableError(
                "source.unreachable",
                t(f"{host} does not answer: {error}", f"{host} 没有应答：{error}"),
                hint=t("check the address, and that the gateway runs", "请检查地址及网关是否运行"),
            ) from error
        if status == 200:
            return data
        raise _refused(host, status, data)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        try:
            return self._once(self._context, method, path, body, own=False)
        except ssl.SSLCertVerificationError as error:
            # A certificate that is trusted by itself, like a member's, stands for whatever address it is found at.
            if not self._pem or "mismatch" not in error.verify_message:
                raise
        context = _trusting(self._pem)
        context.check_hostname = False
        return self._once(context, method, path, body, own=True)

    def _once(
        self, context: ssl.SSLContext, method: str, path: str, body: bytes | None, *, own: bool
    ) -> tuple[int, bytes]:
        host, port = self._parts.hostname or "", self._parts.port
        link = (
            http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
            if self._parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        )
        try:
            link.connect()
            if own and isinstance(link.sock, ssl.SSLSocket) and link.sock.getpeercert(True) not in _ders(self._pem):
                raise ssl.SSLCertVerificationError("the certificate is of another address")
            headers = {"Content-Type": "application/json"} if body is not None else {}
            link.request(method, self._parts.path.rstrip("/") + path, body=body, headers=headers)
            answer = link.getresponse()
            data = answer.read(_MAX_ANSWER + 1)
        finally:
            link.close()
        if len(data) > _MAX_ANSWER:
            raise http.client.HTTPException("the answer is too large")
        return answer.status, data


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or plain) or parts.query or parts.fragment or parts.username:
        raise InvalidInputError(
            "source.url",
            t(f"{url!r} is not the address of a gateway", f"{url!r} 不是网关地址"),
            hint="https://host:port",
        )
    return parts


def _read(ca: Path) -> str:
    try:
        text = ca.read_text("ascii")
        _trusting(text)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise InvalidInputError(
            "source.ca",
            t(f"{ca} cannot be used: {error}", f"{ca} 无法使用：{error}"),
            hint=t("a PEM file of certificates", "须为 PEM 格式的证书文件"),
        ) from None
    return text


def _trusting(pem: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pem or None)


def _ders(pem: str) -> list[bytes]:
    return [ssl.PEM_cert_to_DER_cert(block) for block in _PEM.findall(pem)]


def _refused(host: str, status: int, data: bytes) -> LedgerError:
    """What the gateway refused with, in its own words."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = {}
    names = ("code", "message", "hint")
    code, message, hint = (str(said.get(name, "")) if isinstance(said, dict) else "" for name in names)
    if not code:
        code, message = "source.refused", t(f"{host} answers {status}", f"{host} 应答 {status}")
    kind = NotFoundError if status == 404 else InvalidInputError if 400 <= status < 500 else UnavailableError
    return kind(code, message, hint=hint)
