"""The settings of one node: ``<folder>/node.toml`` and the fixed layout of its folder."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ledger.errors import FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.identifiers import parse_handle, parse_purpose, parse_region, parse_uscc
from ledger.openid.link import check_url

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]


class MemberSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who this node speaks for."""

    uscc: str
    handle: str
    region: str
    name: str = ""


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A listening address."""

    port: Port
    host: str = "127.0.0.1"


class ChainSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the chain is ordered and how old a view may be."""

    block_interval_ms: Milliseconds = 50
    heartbeat_interval: Seconds = 60
    max_view_age: Seconds = 180
    head_interval_ms: Milliseconds = 100
    admission_timeout: Seconds = 30


class CometSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CometBFT, on a network that it orders: where its peers reach it, how much it logs."""

    p2p_host: str = "127.0.0.1"
    p2p_port: Port = 26_656
    #: The program; empty: looked for where ``scripts/comet`` and Go install it.
    binary: str = ""
    log_level: Annotated[str, msgspec.Meta(pattern="^(debug|info|error|none)$")] = "error"
    #: A snapshot for nodes that join late every so many consensus heights; 0: none is made or taken.
    snapshot_every: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1_000
    #: A node that has no record of what it signed votes only when its key signed none of so many last blocks.
    double_sign_check: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 5


class ExternalSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The network that somebody else runs, on the engine ``external``: the JSON-RPC of the node of it that this member
    trusts (loopback or https), a file with its bearer token and one with its certificate authorities (PEM), both in the
    node's folder; how many blocks must stand on a block before it counts (0 where blocks are final at once)."""

    rpc: str = ""
    token_file: str = ""
    ca_file: str = ""
    confirmations: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    poll_ms: Annotated[int, msgspec.Meta(ge=50, le=60_000)] = 500


class LogSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the log publishes and anchors, and how patient witnessing is."""

    checkpoint_interval_ms: Milliseconds = 250
    anchor_interval_ms: Milliseconds = 2_000
    witness_timeout: Seconds = 5
    #: A tlog-policy file in the node's folder that witnessed checkpoints must satisfy as well; empty for none.
    witness_policy: str = ""


class ExchangeSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of data exchanges."""

    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 34)] = 64 << 20
    max_half_receipts: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 3
    request_lifetime: Annotated[int, msgspec.Meta(ge=1, le=300)] = 300


class DeadlineSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Working days (Decree 809: form check and answer to conditional requests)."""

    form_check: Annotated[int, msgspec.Meta(ge=1, le=60)] = 2
    answer: Annotated[int, msgspec.Meta(ge=1, le=60)] = 10


class MirrorSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which other members' logs are followed (their USCCs, or ``all``), how often, and whether entries are kept where
    this member may read them (the supervisor, auditors). ``recheck``: tiles and bundles a second, of all followed logs
    together, that are compared again with what is here; ``all``: every log whole at every look. ``sample``: tiles a
    look, at least."""

    members: tuple[str, ...] = ()
    interval: Seconds = 10
    entries: bool = True
    recheck: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | Literal["all"] = 200
    sample: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 8


class LicenceSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the licences of this node say that their status is read (``https://…`` of this node as the public reaches
    it; empty: its address in ``peers.json``; a status list keeps the address it began with), how often a changed list
    is published, and for how long one speaks."""

    public_url: Annotated[str, msgspec.Meta(pattern="^(https://[^/?# ]+)?$", max_length=256)] = ""
    publish_interval: Seconds = 60
    status_ttl: Annotated[int, msgspec.Meta(ge=60, le=604_800)] = 3_600


class MedicalSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Results shared among hospitals: how long a search waits for the other hospitals' nodes, and how many results of
    this hospital another may have opened without having signed for them."""

    search_deadline_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 3_000
    max_half_receipts: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    #: Processes at most that read reports which come together; -1: one a core, 8 at most; 0: the node reads by itself.
    readers: Annotated[int, msgspec.Meta(ge=-1, le=64)] = -1
    #: A gateway that carries this node's calls to other hospitals (``https://host:port``; empty: none does), and a file
    #: in the node's folder with the certificate or authorities (PEM) it is trusted by (empty: those of the system).
    gateway: Annotated[str, msgspec.Meta(pattern="^(https://[^/?# ]+)?$", max_length=256)] = ""
    gateway_ca: str = ""
    #: Where the key store of patients' data is backed up: a folder, relative to the node's; empty for none.
    key_backup: Annotated[str, msgspec.Meta(max_length=4_096)] = ""
    #: How patients are told of what was done with their results; empty: not at all.
    notices: Literal["", "file", "webhook"] = ""
    #: For ``webhook``: the address, and a file in the node's folder with its bearer token (empty for none).
    notice_url: Annotated[str, msgspec.Meta(max_length=1_024)] = ""
    notice_token_file: str = ""
    #: Nobody is told between these times of China; equal: always.
    quiet_from: Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "22:00"
    quiet_until: Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "08:00"
    #: A file in the node's folder with the token of the hospital's order systems; empty: they are not answered.
    order_token_file: str = ""
    #: For how long an order system waits at most.
    order_deadline_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 1_000
    #: The public figures have the steps of whole intervals of so many seconds, counted from midnight in China.
    figures_interval: Annotated[int, msgspec.Meta(ge=1, le=2_678_400)] = 86_400


class CitizenSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose word this node takes for who a citizen is, so that a citizen may ask who fetched a licence (ADR 28).

    ``issuer``: of the OpenID provider, to the letter; empty: nobody is answered. ``audience``: the gateway's client id
    there. ``claim``: of the ID token, a citizen's number (GB 11643). ``ca_file``: authorities (PEM) in the node's
    folder that the provider's certificate is trusted by; empty: those of the system. ``withheld``: purposes of which
    nobody is told while they stand here (an investigation's)."""

    issuer: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    audience: Annotated[str, msgspec.Meta(max_length=256)] = ""
    claim: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "sub"
    ca_file: str = ""
    withheld: tuple[str, ...] = ()

    def tells(self, purpose: str) -> bool:
        """Whether anybody is told of an access for a purpose; one that nobody knows any more ("") might be withheld."""
        return not self.withheld or (purpose != "" and purpose not in self.withheld)


class LoggingSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the node's own JSON log lines go: a file inside the folder, or standard error when empty."""

    level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = "info"
    file: str = ""


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything ``node.toml`` says, with defaults filled in. ``folder`` is where it was read."""

    member: MemberSection
    grpc: Listen
    https: Listen
    local: Listen
    chain: ChainSection = ChainSection()
    comet: CometSection = CometSection()
    external: ExternalSection = ExternalSection()
    log: LogSection = LogSection()
    exchange: ExchangeSection = ExchangeSection()
    deadlines: DeadlineSection = DeadlineSection()
    mirror: MirrorSection = MirrorSection()
    licences: LicenceSection = LicenceSection()
    medical: MedicalSection = MedicalSection()
    citizens: CitizenSection = CitizenSection()
    logging: LoggingSection = LoggingSection()
    workers: Annotated[int, msgspec.Meta(ge=8, le=512)] = 64
    #: How long calls under way may take to end when the node stops, seconds.
    drain_grace: Seconds = 10
    passphrase_file: str = ""
    folder: Path = Path()

    @property
    def genesis_file(self) -> Path:
        """The genesis file the chain starts from."""
        return self.folder / "genesis.json"

    @property
    def peers_file(self) -> Path:
        """The addresses and certificates of the other members' nodes."""
        return self.folder / "peers.json"

    @property
    def keys_folder(self) -> Path:
        """One encrypted PKCS#8 file per role."""
        return self.folder / "keys"

    @property
    def certificate_file(self) -> Path:
        """The self-signed certificate over the ``tls`` key."""
        return self.folder / "keys" / "tls.crt"

    @property
    def witness_policy_file(self) -> Path | None:
        """The operator's own tlog-policy."""
        return self.folder / self.log.witness_policy if self.log.witness_policy else None

    @property
    def log_folder(self) -> Path:
        """The department log: of the newest generation that is here."""
        return self.log_folder_of(max(self.log_generations, default=1))

    @property
    def log_generations(self) -> tuple[int, ...]:
        """Generations of the log that have a folder here, ascending; all but the last are retired."""
        found = [1] if (self.folder / "log").is_dir() else []
        for path in self.folder.glob("log.*"):
            number = path.name[4:]
            if number.isascii() and number.isdecimal() and number == str(int(number)) and int(number) > 1:
                found.append(int(number))
        return tuple(sorted(found))

    def log_folder_of(self, generation: int) -> Path:
        """The folder of one generation: ``log``, after a retirement ``log.2`` beside it."""
        return self.folder / ("log" if generation == 1 else f"log.{generation}")

    @property
    def comet_folder(self) -> Path:
        """The home of CometBFT."""
        return self.folder / "comet"

    @property
    def mirror_folder(self) -> Path:
        """The other members' logs that this node follows."""
        return self.folder / "mirror"

    @property
    def store_folder(self) -> Path:
        """The LevelDB store."""
        return self.folder / "store"

    @property
    def index_folder(self) -> Path:
        """The record index, made again from the log whenever it is missing."""
        return self.store_folder / "index"

    @property
    def medical_folder(self) -> Path:
        """What is kept of patients, and its keys."""
        return self.folder / "medical"

    @property
    def payloads_folder(self) -> Path:
        """Dataset contents."""
        return self.folder / "payloads"


def load_config(folder: str | os.PathLike[str]) -> NodeConfig:
    """Read and check ``<folder>/node.toml``.

    Raises: NotFoundError(config.missing), InvalidInputError(config.invalid), FatalError(config.unreadable).
    """
    base = Path(folder).absolute()
    path = base / "node.toml"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            "config.missing",
            f"there is no node.toml in {base}",
            hint="give the folder of a node, or make one with `civicledger node init` or `civicledger city init`",
        ) from error
    except OSError as error:
        raise FatalError("config.unreadable", f"{path} cannot be read: {error.strerror}") from error
    return decode_config(data, base)


def decode_config(data: bytes, folder: Path) -> NodeConfig:
    """Decode the text of a ``node.toml`` strictly: an unknown or ill-typed field is refused by name.

    Raises: InvalidInputError(config.invalid).
    """
    try:
        table = tomllib.loads(data.decode("utf-8"))
        if "folder" in table:
            raise ValueError("Object contains unknown field `folder`")
        config = msgspec.convert(table, NodeConfig)
        for name, parse in (("uscc", parse_uscc), ("handle", parse_handle), ("region", parse_region)):
            _member_field(f"member.{name}", parse, getattr(config.member, name))
        for uscc in config.mirror.members:
            if uscc != "all":
                _member_field("mirror.members", parse_uscc, uscc)
        for purpose in config.citizens.withheld:
            _member_field("citizens.withheld", parse_purpose, purpose)
        if config.medical.gateway:
            _member_field("medical.gateway", _provider, config.medical.gateway)
        if config.citizens.issuer:
            _member_field("citizens.issuer", _provider, config.citizens.issuer)
            if not config.citizens.audience:
                raise ValueError("citizens.audience: the gateway's client id must stand here")
        if config.local.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("local.host must be a loopback address: it answers without authentication")
    except (ValueError, msgspec.ValidationError) as error:
        # tomllib.TOMLDecodeError and UnicodeDecodeError are ValueErrors.
        raise InvalidInputError(
            "config.invalid", f"node.toml: {error}", hint="docs/operations.md lists every setting with its bounds"
        ) from error
    return msgspec.structs.replace(config, folder=folder)


def encode_config(config: NodeConfig) -> bytes:
    """The text of a ``node.toml`` that ``decode_config`` reads back to the same values."""
    lines = [f"workers = {config.workers}", f"drain_grace = {config.drain_grace}"]
    if config.passphrase_file:
        lines.append(f"passphrase_file = {_toml_text(config.passphrase_file)}")
    for name, section in msgspec.structs.asdict(config).items():
        if not isinstance(section, msgspec.Struct) or section in (CometSection(), ExternalSection(), CitizenSection()):
            continue
        lines += ["", f"[{name}]"]
        for key, value in msgspec.structs.asdict(section).items():
            lines.append(f"{key} = {_toml_value(value)}")
    return ("\n".join(lines) + "\n").encode()


def _member_field(name: str, parse: Callable[[str], str], text: str) -> None:
    try:
        parse(text)
    except LedgerError as error:
        raise ValueError(f"{name}: {error.message}") from error


def _provider(issuer: str) -> str:
    check_url(issuer, "it")
    return issuer


def _toml_value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _toml_text(value) if isinstance(value, str) else str(value)


def _toml_text(value: str) -> str:
    # A TOML basic string has the escapes of JSON, except that DEL must be escaped as well.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
