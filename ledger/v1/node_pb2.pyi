from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetCheckpointRequest(_message.Message):
    __slots__ = ("fresh",)
    FRESH_FIELD_NUMBER: _ClassVar[int]
    fresh: bool
    def __init__(self, fresh: _Optional[bool] = ...) -> None: ...

class GetCheckpointResponse(_message.Message):
    __slots__ = ("note", "cosignatures", "quorum")
    NOTE_FIELD_NUMBER: _ClassVar[int]
    COSIGNATURES_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    note: str
    cosignatures: int
    quorum: int
    def __init__(self, note: _Optional[str] = ..., cosignatures: _Optional[int] = ..., quorum: _Optional[int] = ...) -> None: ...

class ProveInclusionRequest(_message.Message):
    __slots__ = ("index", "size")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    index: int
    size: int
    def __init__(self, index: _Optional[int] = ..., size: _Optional[int] = ...) -> None: ...

class ProveInclusionResponse(_message.Message):
    __slots__ = ("index", "size", "hashes", "tlog_proof")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    HASHES_FIELD_NUMBER: _ClassVar[int]
    TLOG_PROOF_FIELD_NUMBER: _ClassVar[int]
    index: int
    size: int
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    tlog_proof: str
    def __init__(self, index: _Optional[int] = ..., size: _Optional[int] = ..., hashes: _Optional[_Iterable[bytes]] = ..., tlog_proof: _Optional[str] = ...) -> None: ...

class ProveConsistencyRequest(_message.Message):
    __slots__ = ("size1", "size2")
    SIZE1_FIELD_NUMBER: _ClassVar[int]
    SIZE2_FIELD_NUMBER: _ClassVar[int]
    size1: int
    size2: int
    def __init__(self, size1: _Optional[int] = ..., size2: _Optional[int] = ...) -> None: ...

class ProveConsistencyResponse(_message.Message):
    __slots__ = ("hashes",)
    HASHES_FIELD_NUMBER: _ClassVar[int]
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, hashes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class MakeBundleRequest(_message.Message):
    __slots__ = ("index", "wait_ms", "generation")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    index: int
    wait_ms: int
    generation: int
    def __init__(self, index: _Optional[int] = ..., wait_ms: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class MakeBundleResponse(_message.Message):
    __slots__ = ("bundle",)
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    bundle: bytes
    def __init__(self, bundle: _Optional[bytes] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: bytes
    def __init__(self, policy: _Optional[bytes] = ...) -> None: ...

class GetWitnessPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetWitnessPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: str
    def __init__(self, policy: _Optional[str] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Status(_message.Message):
    __slots__ = ("member", "origin", "engine", "height", "head", "final_height", "view_age_ms", "log_size", "published_size", "witnessed_size", "anchored_size", "indexed_size", "peers", "version", "role", "witnesses", "open_alarms", "closed", "consensus")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FINAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VIEW_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    LOG_SIZE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_SIZE_FIELD_NUMBER: _ClassVar[int]
    WITNESSED_SIZE_FIELD_NUMBER: _ClassVar[int]
    ANCHORED_SIZE_FIELD_NUMBER: _ClassVar[int]
    INDEXED_SIZE_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    WITNESSES_FIELD_NUMBER: _ClassVar[int]
    OPEN_ALARMS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    CONSENSUS_FIELD_NUMBER: _ClassVar[int]
    member: str
    origin: str
    engine: str
    height: int
    head: bytes
    final_height: int
    view_age_ms: int
    log_size: int
    published_size: int
    witnessed_size: int
    anchored_size: int
    indexed_size: int
    peers: _containers.RepeatedCompositeFieldContainer[PeerStatus]
    version: str
    role: str
    witnesses: _containers.RepeatedCompositeFieldContainer[WitnessStatus]
    open_alarms: int
    closed: str
    consensus: Consensus
    def __init__(self, member: _Optional[str] = ..., origin: _Optional[str] = ..., engine: _Optional[str] = ..., height: _Optional[int] = ..., head: _Optional[bytes] = ..., final_height: _Optional[int] = ..., view_age_ms: _Optional[int] = ..., log_size: _Optional[int] = ..., published_size: _Optional[int] = ..., witnessed_size: _Optional[int] = ..., anchored_size: _Optional[int] = ..., indexed_size: _Optional[int] = ..., peers: _Optional[_Iterable[_Union[PeerStatus, _Mapping]]] = ..., version: _Optional[str] = ..., role: _Optional[str] = ..., witnesses: _Optional[_Iterable[_Union[WitnessStatus, _Mapping]]] = ..., open_alarms: _Optional[int] = ..., closed: _Optional[str] = ..., consensus: _Optional[_Union[Consensus, _Mapping]] = ...) -> None: ...

class Consensus(_message.Message):
    __slots__ = ("height", "time_ms", "round", "step", "catching_up", "quorum", "peers", "mempool_transactions", "mempool_bytes", "validators", "running", "restarts", "last_error")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CATCHING_UP_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    MEMPOOL_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    MEMPOOL_BYTES_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    height: int
    time_ms: int
    round: int
    step: str
    catching_up: bool
    quorum: bool
    peers: int
    mempool_transactions: int
    mempool_bytes: int
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorStatus]
    running: bool
    restarts: int
    last_error: str
    def __init__(self, height: _Optional[int] = ..., time_ms: _Optional[int] = ..., round: _Optional[int] = ..., step: _Optional[str] = ..., catching_up: _Optional[bool] = ..., quorum: _Optional[bool] = ..., peers: _Optional[int] = ..., mempool_transactions: _Optional[int] = ..., mempool_bytes: _Optional[int] = ..., validators: _Optional[_Iterable[_Union[ValidatorStatus, _Mapping]]] = ..., running: _Optional[bool] = ..., restarts: _Optional[int] = ..., last_error: _Optional[str] = ...) -> None: ...

class ValidatorStatus(_message.Message):
    __slots__ = ("member", "key", "power", "signed_last", "missing_since_ms")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    SIGNED_LAST_FIELD_NUMBER: _ClassVar[int]
    MISSING_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    member: str
    key: bytes
    power: int
    signed_last: bool
    missing_since_ms: int
    def __init__(self, member: _Optional[str] = ..., key: _Optional[bytes] = ..., power: _Optional[int] = ..., signed_last: _Optional[bool] = ..., missing_since_ms: _Optional[int] = ...) -> None: ...

class WitnessStatus(_message.Message):
    __slots__ = ("member", "name", "cosigned_size", "cosigned_ms", "missing_since_ms", "last_code", "last_error")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COSIGNED_SIZE_FIELD_NUMBER: _ClassVar[int]
    COSIGNED_MS_FIELD_NUMBER: _ClassVar[int]
    MISSING_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_CODE_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    member: str
    name: str
    cosigned_size: int
    cosigned_ms: int
    missing_since_ms: int
    last_code: str
    last_error: str
    def __init__(self, member: _Optional[str] = ..., name: _Optional[str] = ..., cosigned_size: _Optional[int] = ..., cosigned_ms: _Optional[int] = ..., missing_since_ms: _Optional[int] = ..., last_code: _Optional[str] = ..., last_error: _Optional[str] = ...) -> None: ...

class ListAlarmsRequest(_message.Message):
    __slots__ = ("settled",)
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    settled: bool
    def __init__(self, settled: _Optional[bool] = ...) -> None: ...

class ListAlarmsResponse(_message.Message):
    __slots__ = ("alarms",)
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    alarms: _containers.RepeatedCompositeFieldContainer[Alarm]
    def __init__(self, alarms: _Optional[_Iterable[_Union[Alarm, _Mapping]]] = ...) -> None: ...

class Alarm(_message.Message):
    __slots__ = ("id", "kind", "member", "detail", "first_ms", "last_ms", "settled", "evidence", "count")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIRST_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_MS_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    member: str
    detail: str
    first_ms: int
    last_ms: int
    settled: bool
    evidence: bytes
    count: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., member: _Optional[str] = ..., detail: _Optional[str] = ..., first_ms: _Optional[int] = ..., last_ms: _Optional[int] = ..., settled: _Optional[bool] = ..., evidence: _Optional[bytes] = ..., count: _Optional[int] = ...) -> None: ...

class SettleAlarmRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class PeerStatus(_message.Message):
    __slots__ = ("member", "reachable", "height", "last_seen_ms", "last_error")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    member: str
    reachable: bool
    height: int
    last_seen_ms: int
    last_error: str
    def __init__(self, member: _Optional[str] = ..., reachable: _Optional[bool] = ..., height: _Optional[int] = ..., last_seen_ms: _Optional[int] = ..., last_error: _Optional[str] = ...) -> None: ...

class DiagnoseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Finding(_message.Message):
    __slots__ = ("severity", "code", "message", "hint", "message_zh", "hint_zh")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ZH_FIELD_NUMBER: _ClassVar[int]
    HINT_ZH_FIELD_NUMBER: _ClassVar[int]
    severity: str
    code: str
    message: str
    hint: str
    message_zh: str
    hint_zh: str
    def __init__(self, severity: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ..., message_zh: _Optional[str] = ..., hint_zh: _Optional[str] = ...) -> None: ...

class DiagnoseResponse(_message.Message):
    __slots__ = ("findings",)
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    def __init__(self, findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("chain", "caller", "target", "method", "body", "nonce", "expires", "signature")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    chain: bytes
    caller: str
    target: str
    method: str
    body: bytes
    nonce: bytes
    expires: int
    signature: bytes
    def __init__(self, chain: _Optional[bytes] = ..., caller: _Optional[str] = ..., target: _Optional[str] = ..., method: _Optional[str] = ..., body: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., expires: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ForwardResponse(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    def __init__(self, body: _Optional[bytes] = ...) -> None: ...
