from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Member(_message.Message):
    __slots__ = ("uscc", "handle", "region", "name", "status", "roles", "origin", "validator", "since", "generation", "account")
    USCC_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    uscc: str
    handle: str
    region: str
    name: str
    status: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    origin: str
    validator: bool
    since: int
    generation: int
    account: bytes
    def __init__(self, uscc: _Optional[str] = ..., handle: _Optional[str] = ..., region: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., origin: _Optional[str] = ..., validator: _Optional[bool] = ..., since: _Optional[int] = ..., generation: _Optional[int] = ..., account: _Optional[bytes] = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("role", "material", "status", "valid_from", "valid_to", "ended_at")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MATERIAL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    role: str
    material: bytes
    status: str
    valid_from: int
    valid_to: int
    ended_at: int
    def __init__(self, role: _Optional[str] = ..., material: _Optional[bytes] = ..., status: _Optional[str] = ..., valid_from: _Optional[int] = ..., valid_to: _Optional[int] = ..., ended_at: _Optional[int] = ...) -> None: ...

class ProposalVote(_message.Message):
    __slots__ = ("member", "yes")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    YES_FIELD_NUMBER: _ClassVar[int]
    member: str
    yes: bool
    def __init__(self, member: _Optional[str] = ..., yes: _Optional[bool] = ...) -> None: ...

class Proposal(_message.Message):
    __slots__ = ("id", "kind", "proposer", "expires", "yes", "no", "active", "state", "data", "target", "created", "needed", "votes", "waiting")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROPOSER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    YES_FIELD_NUMBER: _ClassVar[int]
    NO_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    id: int
    kind: str
    proposer: str
    expires: int
    yes: int
    no: int
    active: int
    state: str
    data: bytes
    target: str
    created: int
    needed: int
    votes: _containers.RepeatedCompositeFieldContainer[ProposalVote]
    waiting: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., kind: _Optional[str] = ..., proposer: _Optional[str] = ..., expires: _Optional[int] = ..., yes: _Optional[int] = ..., no: _Optional[int] = ..., active: _Optional[int] = ..., state: _Optional[str] = ..., data: _Optional[bytes] = ..., target: _Optional[str] = ..., created: _Optional[int] = ..., needed: _Optional[int] = ..., votes: _Optional[_Iterable[_Union[ProposalVote, _Mapping]]] = ..., waiting: _Optional[_Iterable[str]] = ...) -> None: ...

class DatasetVersion(_message.Message):
    __slots__ = ("number", "content_digest", "count", "time")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    number: int
    content_digest: bytes
    count: int
    time: int
    def __init__(self, number: _Optional[int] = ..., content_digest: _Optional[bytes] = ..., count: _Optional[int] = ..., time: _Optional[int] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("id", "provider", "resource_code", "title", "sharing", "level", "metadata_digest", "withdrawn", "versions", "metadata")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_CODE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SHARING_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    METADATA_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    provider: str
    resource_code: str
    title: str
    sharing: str
    level: str
    metadata_digest: bytes
    withdrawn: bool
    versions: _containers.RepeatedCompositeFieldContainer[DatasetVersion]
    metadata: bytes
    def __init__(self, id: _Optional[bytes] = ..., provider: _Optional[str] = ..., resource_code: _Optional[str] = ..., title: _Optional[str] = ..., sharing: _Optional[str] = ..., level: _Optional[str] = ..., metadata_digest: _Optional[bytes] = ..., withdrawn: _Optional[bool] = ..., versions: _Optional[_Iterable[_Union[DatasetVersion, _Mapping]]] = ..., metadata: _Optional[bytes] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("id", "dataset", "provider", "consumer", "purpose", "matter", "state", "scope_digest", "odrl_digest", "ceiling", "used", "valid_until", "deadline", "missing_approvals", "refusal_reason", "overdue", "scope", "agreement")
    ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    MATTER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ODRL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CEILING_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    MISSING_APPROVALS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_REASON_FIELD_NUMBER: _ClassVar[int]
    OVERDUE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    dataset: bytes
    provider: str
    consumer: str
    purpose: str
    matter: str
    state: str
    scope_digest: bytes
    odrl_digest: bytes
    ceiling: int
    used: int
    valid_until: int
    deadline: int
    missing_approvals: _containers.RepeatedScalarFieldContainer[str]
    refusal_reason: int
    overdue: bool
    scope: bytes
    agreement: bytes
    def __init__(self, id: _Optional[bytes] = ..., dataset: _Optional[bytes] = ..., provider: _Optional[str] = ..., consumer: _Optional[str] = ..., purpose: _Optional[str] = ..., matter: _Optional[str] = ..., state: _Optional[str] = ..., scope_digest: _Optional[bytes] = ..., odrl_digest: _Optional[bytes] = ..., ceiling: _Optional[int] = ..., used: _Optional[int] = ..., valid_until: _Optional[int] = ..., deadline: _Optional[int] = ..., missing_approvals: _Optional[_Iterable[str]] = ..., refusal_reason: _Optional[int] = ..., overdue: _Optional[bool] = ..., scope: _Optional[bytes] = ..., agreement: _Optional[bytes] = ...) -> None: ...

class RecordRow(_message.Message):
    __slots__ = ("origin", "index", "record", "proof")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    origin: str
    index: int
    record: bytes
    proof: str
    def __init__(self, origin: _Optional[str] = ..., index: _Optional[int] = ..., record: _Optional[bytes] = ..., proof: _Optional[str] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("exchange", "receipt", "state", "log_index")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    exchange: bytes
    receipt: bytes
    state: str
    log_index: int
    def __init__(self, exchange: _Optional[bytes] = ..., receipt: _Optional[bytes] = ..., state: _Optional[str] = ..., log_index: _Optional[int] = ...) -> None: ...

class TransactionResult(_message.Message):
    __slots__ = ("hash", "height")
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    height: int
    def __init__(self, hash: _Optional[bytes] = ..., height: _Optional[int] = ...) -> None: ...
