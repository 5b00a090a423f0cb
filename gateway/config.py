"""Settings of a gateway: ``<folder>/gateway.toml`` and the files it names."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.identifiers import parse_uscc
from ledger.openid.link import check_url

FILE_NAME = "gateway.toml"
_T = TypeVar("_T")


class _Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: int
    host: str = "127.0.0.1"


class _Home(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    member: str
    jsonrpc: str


class _Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    genesis: str = "genesis.json"
    peers: str = "peers.json"
    policy: str = "policy.json"
    certificate: str = "tls.crt"
    key: str = "tls.pem"
    passphrase: str = "passphrase"  # noqa: S105 (a file's name)


class _Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    requests_per_second: float = 100.0
    burst: int = 300
    verifications_per_second: float = 2.0
    verification_burst: int = 20
    licences_per_second: float = 50.0
    licence_burst: int = 1_000
    hospital_calls_per_second: float = 1_000.0
    hospital_call_burst: int = 20_000


class _Licences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_view_age: int = 180


class _Citizens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    issuer: str
    client_id: str
    public_url: str
    claim: str = "sub"
    scopes: str = "openid"
    secret_file: str = ""
    secret_env: str = ""
    ca_file: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    grpc: _Listen
    https: _Listen
    home: _Home
    files: _Files = _Files()
    limits: _Limits = _Limits()
    licences: _Licences = _Licences()
    citizens: _Citizens | None = None
    names: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests one client address may make, of calls of hospitals one member. Rates per second; bursts are the most at
    once."""

    requests_per_second: float = 100.0
    burst: int = 300
    verifications_per_second: float = 2.0
    verification_burst: int = 20
    licences_per_second: float = 50.0
    licence_burst: int = 1_000
    hospital_calls_per_second: float = 1_000.0
    hospital_call_burst: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How citizens sign in. ``issuer``: of the OpenID provider; ``client_id``, ``secret``: the gateway's there ("": a
    public client); ``claim``: of the ID token, the citizen's number; ``public_url``: of the gateway as browsers reach
    it, ``https://host``; ``ca_file``: authorities that the provider's certificate is trusted by, None for the system's.
    """

    issuer: str
    client_id: str
    secret: str = field(default="", repr=False)
    claim: str
    scopes: str
    public_url: str
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """A gateway's settings, its files as whole paths. ``names``: display names of members by USCC; ports may be 0;
    ``max_view_age_s``: how old the view of the chain may be that licences are judged by, seconds; ``citizens``: None
    where nobody signs in."""

    folder: Path
    grpc_host: str
    grpc_port: int
    https_host: str
    https_port: int
    home: str
    jsonrpc: str
    genesis: Path
    peers: Path
    policy: Path
    certificate: Path
    key: Path
    passphrase: Path
    limits: Limits = field(default_factory=Limits)
    max_view_age_s: int = 180
    citizens: SignIn | None = None
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Where a member's node is read: ``https`` is ``host:port``; ``certificate`` is the PEM it must present."""

    uscc: str
    https: str
    certificate: str


class _PeerRow(msgspec.Struct, frozen=True, kw_only=True):
    uscc: str
    https: str
    certificate: str


class _PeersFile(msgspec.Struct, frozen=True, kw_only=True):
    v: int
    peers: list[_PeerRow]


def load_config(folder: Path) -> GatewayConfig:
    """Read ``gateway.toml``.

    Raises:
        NotFoundError: ``gateway.config-missing``.
        InvalidInputError: ``gateway.config``, naming the setting.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(
            "gateway.config-missing",
            f"there is no {FILE_NAME} in {folder}",
            hint="give the gateway's folder; civicledger city init makes one",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(str(error)) from error
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
        home = parse_uscc(file.home.member)
        for uscc in file.names:
            parse_uscc(uscc)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _bad(str(error)) from error
    except LedgerError as error:
        raise _bad(error.message) from error
    for name, listen in (("grpc", file.grpc), ("https", file.https)):
        if not 0 <= listen.port < 65_536:
            raise _bad(f"{name}.port: {listen.port} is no port")
    # The JSON-RPC surface can send transactions: it is on loopback, and so is the gateway's way to it.
    home_url = urlsplit(file.home.jsonrpc)
    if home_url.scheme != "http" or home_url.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise _bad("home.jsonrpc: an http address on this machine's loopback, e.g. http://127.0.0.1:8545/")
    limits = file.limits
    rates = (limits.requests_per_second, limits.verifications_per_second, limits.licences_per_second)
    if min(*rates, limits.hospital_calls_per_second) <= 0:
        raise _bad("limits: rates are above 0")
    if min(limits.burst, limits.verification_burst, limits.licence_burst, limits.hospital_call_burst) < 1:
        raise _bad("limits: bursts are at least 1")
    if not 10 <= file.licences.max_view_age <= 86_400:
        raise _bad("licences.max_view_age: 10 to 86400 seconds")
    return GatewayConfig(
        folder=folder,
        grpc_host=file.grpc.host,
        grpc_port=file.grpc.port,
        https_host=file.https.host,
        https_port=file.https.port,
        home=home,
        jsonrpc=file.home.jsonrpc,
        genesis=folder / file.files.genesis,
        peers=folder / file.files.peers,
        policy=folder / file.files.policy,
        certificate=folder / file.files.certificate,
        key=folder / file.files.key,
        passphrase=folder / file.files.passphrase,
        limits=Limits(**msgspec.structs.asdict(file.limits)),
        max_view_age_s=file.licences.max_view_age,
        citizens=None if file.citizens is None else _sign_in(folder, file.citizens),
        names=file.names,
    )


def _sign_in(folder: Path, file: _Citizens) -> SignIn:
    try:
        check_url(file.issuer, "citizens.issuer")
        url = check_url(file.public_url, "citizens.public_url")
    except InvalidInputError as error:
        raise _bad(error.message) from error
    if url.scheme != "https" or url.path not in ("", "/") or url.query:
        raise _bad("citizens.public_url: this gateway as browsers reach it, https://host and nothing behind")
    if not 1 <= len(file.client_id) <= 256 or not 1 <= len(file.claim) <= 64:
        raise _bad("citizens: client_id has 1 to 256 characters, claim 1 to 64")
    if "openid" not in file.scopes.split():
        raise _bad("citizens.scopes: openid is one of them")
    if file.secret_file and file.secret_env:
        raise _bad("citizens: secret_file or secret_env, not both")
    return SignIn(
        issuer=file.issuer,
        client_id=file.client_id,
        secret=_secret(folder, file),
        claim=file.claim,
        scopes=" ".join(file.scopes.split()),
        public_url=file.public_url.rstrip("/"),
        ca_file=folder / file.ca_file if file.ca_file else None,
    )


def _secret(folder: Path, file: _Citizens) -> str:
    """The client's secret, from where the settings say: it never stands in them."""
    if file.secret_env:
        secret = os.environ.get(file.secret_env, "").strip()
        if not secret:
            raise _bad(f"citizens.secret_env: the environment has no {file.secret_env}")
        return secret
    if not file.secret_file:
        return ""
    try:
        secret = (folder / file.secret_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(f"citizens.secret_file: {file.secret_file} cannot be read") from error
    if not secret:
        raise _bad(f"citizens.secret_file: {file.secret_file} is empty")
    return secret


def load_peers(path: Path) -> dict[str, Peer]:
    """The members' nodes by USCC. The file carries addresses, no trust: a certificate counts while its key is on chain.

    Raises:
        NotFoundError: ``gateway.peers-missing``; InvalidInputError: ``gateway.peers``.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_PeersFile)
        if file.v != 1:
            raise ValueError(f"version {file.v} is unknown")
        peers = {
            parse_uscc(row.uscc): Peer(uscc=row.uscc, https=row.https, certificate=row.certificate)
            for row in file.peers
        }
        for peer in peers.values():
            host, _, port = peer.https.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
                raise ValueError(f"{peer.https!r} is not host:port")
        return peers
    except FileNotFoundError as error:
        raise NotFoundError(
            "gateway.peers-missing",
            f"there is no {path.name} in {path.parent}",
            hint="copy it from any node of the city",
        ) from error
    except (OSError, ValueError, LedgerError) as error:
        text = error.message if isinstance(error, LedgerError) else str(error)
        raise InvalidInputError(
            "gateway.peers", f"{path.name}: {text}", hint="copy it again from any node of the city"
        ) from error


def _bad(what: str) -> InvalidInputError:
    return InvalidInputError("gateway.config", f"{FILE_NAME}: {what}", hint="see docs/operations.md, gateway")
