from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetCityRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CityMember(_message.Message):
    __slots__ = ("member", "reachable", "log_size", "anchored_size", "anchored_time")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    LOG_SIZE_FIELD_NUMBER: _ClassVar[int]
    ANCHORED_SIZE_FIELD_NUMBER: _ClassVar[int]
    ANCHORED_TIME_FIELD_NUMBER: _ClassVar[int]
    member: _types_pb2.Member
    reachable: bool
    log_size: int
    anchored_size: int
    anchored_time: int
    def __init__(self, member: _Optional[_Union[_types_pb2.Member, _Mapping]] = ..., reachable: _Optional[bool] = ..., log_size: _Optional[int] = ..., anchored_size: _Optional[int] = ..., anchored_time: _Optional[int] = ...) -> None: ...

class CityBlock(_message.Message):
    __slots__ = ("height", "hash", "time", "transactions")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    height: int
    hash: bytes
    time: int
    transactions: int
    def __init__(self, height: _Optional[int] = ..., hash: _Optional[bytes] = ..., time: _Optional[int] = ..., transactions: _Optional[int] = ...) -> None: ...

class City(_message.Message):
    __slots__ = ("chain", "engine", "height", "view_age_ms", "members", "blocks")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VIEW_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    chain: bytes
    engine: str
    height: int
    view_age_ms: int
    members: _containers.RepeatedCompositeFieldContainer[CityMember]
    blocks: _containers.RepeatedCompositeFieldContainer[CityBlock]
    def __init__(self, chain: _Optional[bytes] = ..., engine: _Optional[str] = ..., height: _Optional[int] = ..., view_age_ms: _Optional[int] = ..., members: _Optional[_Iterable[_Union[CityMember, _Mapping]]] = ..., blocks: _Optional[_Iterable[_Union[CityBlock, _Mapping]]] = ...) -> None: ...

class GatewayListDatasetsRequest(_message.Message):
    __slots__ = ("provider", "page_size", "page_token")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider: str
    page_size: int
    page_token: str
    def __init__(self, provider: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GatewayListDatasetsResponse(_message.Message):
    __slots__ = ("datasets", "next_page_token")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[_types_pb2.Dataset]
    next_page_token: str
    def __init__(self, datasets: _Optional[_Iterable[_Union[_types_pb2.Dataset, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GatewayCheckpointRequest(_message.Message):
    __slots__ = ("member",)
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    member: str
    def __init__(self, member: _Optional[str] = ...) -> None: ...

class GatewayCheckpointResponse(_message.Message):
    __slots__ = ("note",)
    NOTE_FIELD_NUMBER: _ClassVar[int]
    note: str
    def __init__(self, note: _Optional[str] = ...) -> None: ...

class GatewayInclusionRequest(_message.Message):
    __slots__ = ("member", "index", "size")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    member: str
    index: int
    size: int
    def __init__(self, member: _Optional[str] = ..., index: _Optional[int] = ..., size: _Optional[int] = ...) -> None: ...

class GatewayInclusionResponse(_message.Message):
    __slots__ = ("hashes", "size", "tlog_proof")
    HASHES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TLOG_PROOF_FIELD_NUMBER: _ClassVar[int]
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    size: int
    tlog_proof: str
    def __init__(self, hashes: _Optional[_Iterable[bytes]] = ..., size: _Optional[int] = ..., tlog_proof: _Optional[str] = ...) -> None: ...

class GatewayConsistencyRequest(_message.Message):
    __slots__ = ("member", "size1", "size2")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SIZE1_FIELD_NUMBER: _ClassVar[int]
    SIZE2_FIELD_NUMBER: _ClassVar[int]
    member: str
    size1: int
    size2: int
    def __init__(self, member: _Optional[str] = ..., size1: _Optional[int] = ..., size2: _Optional[int] = ...) -> None: ...

class GatewayConsistencyResponse(_message.Message):
    __slots__ = ("hashes",)
    HASHES_FIELD_NUMBER: _ClassVar[int]
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, hashes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetTileRequest(_message.Message):
    __slots__ = ("member", "level", "index", "width")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    member: str
    level: int
    index: int
    width: int
    def __init__(self, member: _Optional[str] = ..., level: _Optional[int] = ..., index: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class GetTileResponse(_message.Message):
    __slots__ = ("tile",)
    TILE_FIELD_NUMBER: _ClassVar[int]
    tile: bytes
    def __init__(self, tile: _Optional[bytes] = ...) -> None: ...

class VerifyBundleRequest(_message.Message):
    __slots__ = ("bundle", "policy")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    bundle: bytes
    policy: bytes
    def __init__(self, bundle: _Optional[bytes] = ..., policy: _Optional[bytes] = ...) -> None: ...

class VerifyBundleResponse(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: bytes
    def __init__(self, verdict: _Optional[bytes] = ...) -> None: ...

class GetNonceRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetNonceResponse(_message.Message):
    __slots__ = ("nonce", "expires_ms")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    nonce: str
    expires_ms: int
    def __init__(self, nonce: _Optional[str] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class LicencePresentation(_message.Message):
    __slots__ = ("licence", "nonce", "audience", "recipient", "require_binding", "proof")
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_BINDING_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    licence: str
    nonce: str
    audience: str
    recipient: str
    require_binding: bool
    proof: bytes
    def __init__(self, licence: _Optional[str] = ..., nonce: _Optional[str] = ..., audience: _Optional[str] = ..., recipient: _Optional[str] = ..., require_binding: _Optional[bool] = ..., proof: _Optional[bytes] = ...) -> None: ...

class LicenceVerdict(_message.Message):
    __slots__ = ("code", "verdict", "error_code", "message", "hint")
    CODE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    code: str
    verdict: bytes
    error_code: str
    message: str
    hint: str
    def __init__(self, code: _Optional[str] = ..., verdict: _Optional[bytes] = ..., error_code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class LicencePresentations(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[LicencePresentation]
    def __init__(self, items: _Optional[_Iterable[_Union[LicencePresentation, _Mapping]]] = ...) -> None: ...

class LicenceVerdicts(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[LicenceVerdict]
    def __init__(self, items: _Optional[_Iterable[_Union[LicenceVerdict, _Mapping]]] = ...) -> None: ...

class GetStatusListRequest(_message.Message):
    __slots__ = ("issuer", "number", "time")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    number: int
    time: int
    def __init__(self, issuer: _Optional[str] = ..., number: _Optional[int] = ..., time: _Optional[int] = ...) -> None: ...

class GetStatusListResponse(_message.Message):
    __slots__ = ("token", "version", "chain_version")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    token: str
    version: int
    chain_version: int
    def __init__(self, token: _Optional[str] = ..., version: _Optional[int] = ..., chain_version: _Optional[int] = ...) -> None: ...

class GetLicenceIssuerRequest(_message.Message):
    __slots__ = ("issuer", "type")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    type: str
    def __init__(self, issuer: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class LicenceIssuerKey(_message.Message):
    __slots__ = ("kid", "alg", "spki", "status", "from_ms", "ended_ms")
    KID_FIELD_NUMBER: _ClassVar[int]
    ALG_FIELD_NUMBER: _ClassVar[int]
    SPKI_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    kid: str
    alg: str
    spki: bytes
    status: str
    from_ms: int
    ended_ms: int
    def __init__(self, kid: _Optional[str] = ..., alg: _Optional[str] = ..., spki: _Optional[bytes] = ..., status: _Optional[str] = ..., from_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ...) -> None: ...

class LicenceAccreditation(_message.Message):
    __slots__ = ("from_ms", "until_ms", "by")
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    from_ms: int
    until_ms: int
    by: str
    def __init__(self, from_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...

class GetLicenceIssuerResponse(_message.Message):
    __slots__ = ("issuer", "keys", "accreditations", "view_height", "view_time_ms")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    ACCREDITATIONS_FIELD_NUMBER: _ClassVar[int]
    VIEW_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VIEW_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    keys: _containers.RepeatedCompositeFieldContainer[LicenceIssuerKey]
    accreditations: _containers.RepeatedCompositeFieldContainer[LicenceAccreditation]
    view_height: int
    view_time_ms: int
    def __init__(self, issuer: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[LicenceIssuerKey, _Mapping]]] = ..., accreditations: _Optional[_Iterable[_Union[LicenceAccreditation, _Mapping]]] = ..., view_height: _Optional[int] = ..., view_time_ms: _Optional[int] = ...) -> None: ...
