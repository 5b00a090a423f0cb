from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListMembersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMembersResponse(_message.Message):
    __slots__ = ("members", "height")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[_types_pb2.Member]
    height: int
    def __init__(self, members: _Optional[_Iterable[_Union[_types_pb2.Member, _Mapping]]] = ..., height: _Optional[int] = ...) -> None: ...

class ProposeRequest(_message.Message):
    __slots__ = ("kind", "arguments", "expires", "anyway")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ANYWAY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    arguments: bytes
    expires: int
    anyway: bool
    def __init__(self, kind: _Optional[str] = ..., arguments: _Optional[bytes] = ..., expires: _Optional[int] = ..., anyway: _Optional[bool] = ...) -> None: ...

class ProposeResponse(_message.Message):
    __slots__ = ("proposal", "transaction")
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    proposal: int
    transaction: _types_pb2.TransactionResult
    def __init__(self, proposal: _Optional[int] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class VoteRequest(_message.Message):
    __slots__ = ("proposal", "yes")
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    YES_FIELD_NUMBER: _ClassVar[int]
    proposal: int
    yes: bool
    def __init__(self, proposal: _Optional[int] = ..., yes: _Optional[bool] = ...) -> None: ...

class ExecuteRequest(_message.Message):
    __slots__ = ("proposal",)
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    proposal: int
    def __init__(self, proposal: _Optional[int] = ...) -> None: ...

class ListProposalsRequest(_message.Message):
    __slots__ = ("proposal", "open")
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    proposal: int
    open: bool
    def __init__(self, proposal: _Optional[int] = ..., open: _Optional[bool] = ...) -> None: ...

class ListProposalsResponse(_message.Message):
    __slots__ = ("proposals",)
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    proposals: _containers.RepeatedCompositeFieldContainer[_types_pb2.Proposal]
    def __init__(self, proposals: _Optional[_Iterable[_Union[_types_pb2.Proposal, _Mapping]]] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("code",)
    CODE_FIELD_NUMBER: _ClassVar[int]
    code: bytes
    def __init__(self, code: _Optional[bytes] = ...) -> None: ...

class DeployResponse(_message.Message):
    __slots__ = ("address", "code_hash", "transaction")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CODE_HASH_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    address: bytes
    code_hash: bytes
    transaction: _types_pb2.TransactionResult
    def __init__(self, address: _Optional[bytes] = ..., code_hash: _Optional[bytes] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class ListKeysRequest(_message.Message):
    __slots__ = ("member",)
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    member: str
    def __init__(self, member: _Optional[str] = ...) -> None: ...

class ListKeysResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[_types_pb2.Key]
    def __init__(self, keys: _Optional[_Iterable[_Union[_types_pb2.Key, _Mapping]]] = ...) -> None: ...

class EndKeyRequest(_message.Message):
    __slots__ = ("material", "compromised", "since")
    MATERIAL_FIELD_NUMBER: _ClassVar[int]
    COMPROMISED_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    material: bytes
    compromised: bool
    since: int
    def __init__(self, material: _Optional[bytes] = ..., compromised: _Optional[bool] = ..., since: _Optional[int] = ...) -> None: ...

class RotateKeyRequest(_message.Message):
    __slots__ = ("role",)
    ROLE_FIELD_NUMBER: _ClassVar[int]
    role: str
    def __init__(self, role: _Optional[str] = ...) -> None: ...

class RotateKeyResponse(_message.Message):
    __slots__ = ("key", "transaction")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    key: _types_pb2.Key
    transaction: _types_pb2.TransactionResult
    def __init__(self, key: _Optional[_Union[_types_pb2.Key, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class PublishHeader(_message.Message):
    __slots__ = ("metadata", "count")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    metadata: bytes
    count: int
    def __init__(self, metadata: _Optional[bytes] = ..., count: _Optional[int] = ...) -> None: ...

class PublishRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: PublishHeader
    chunk: bytes
    def __init__(self, header: _Optional[_Union[PublishHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("dataset", "transaction", "log_index")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    dataset: _types_pb2.Dataset
    transaction: _types_pb2.TransactionResult
    log_index: int
    def __init__(self, dataset: _Optional[_Union[_types_pb2.Dataset, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ..., log_index: _Optional[int] = ...) -> None: ...

class ListDatasetsRequest(_message.Message):
    __slots__ = ("provider", "page_size", "page_token")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider: str
    page_size: int
    page_token: str
    def __init__(self, provider: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets", "next_page_token")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[_types_pb2.Dataset]
    next_page_token: str
    def __init__(self, datasets: _Optional[_Iterable[_Union[_types_pb2.Dataset, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDatasetRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    def __init__(self, id: _Optional[bytes] = ...) -> None: ...

class WithdrawDatasetRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    def __init__(self, id: _Optional[bytes] = ...) -> None: ...

class RegradeDatasetRequest(_message.Message):
    __slots__ = ("id", "level", "sharing")
    ID_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SHARING_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    level: str
    sharing: str
    def __init__(self, id: _Optional[bytes] = ..., level: _Optional[str] = ..., sharing: _Optional[str] = ...) -> None: ...

class ListEntry(_message.Message):
    __slots__ = ("id", "list", "member", "item", "matter", "target", "due", "basis_digest", "state", "dataset")
    ID_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    MATTER_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    BASIS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    list: str
    member: str
    item: str
    matter: str
    target: str
    due: int
    basis_digest: bytes
    state: str
    dataset: bytes
    def __init__(self, id: _Optional[bytes] = ..., list: _Optional[str] = ..., member: _Optional[str] = ..., item: _Optional[str] = ..., matter: _Optional[str] = ..., target: _Optional[str] = ..., due: _Optional[int] = ..., basis_digest: _Optional[bytes] = ..., state: _Optional[str] = ..., dataset: _Optional[bytes] = ...) -> None: ...

class AddListEntryRequest(_message.Message):
    __slots__ = ("entry",)
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    entry: ListEntry
    def __init__(self, entry: _Optional[_Union[ListEntry, _Mapping]] = ...) -> None: ...

class AddListEntryResponse(_message.Message):
    __slots__ = ("entry", "transaction")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    entry: ListEntry
    transaction: _types_pb2.TransactionResult
    def __init__(self, entry: _Optional[_Union[ListEntry, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class AnswerListEntryRequest(_message.Message):
    __slots__ = ("list", "id", "dataset", "negative")
    LIST_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    list: str
    id: bytes
    dataset: bytes
    negative: bytes
    def __init__(self, list: _Optional[str] = ..., id: _Optional[bytes] = ..., dataset: _Optional[bytes] = ..., negative: _Optional[bytes] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("list", "member", "page_size", "page_token")
    LIST_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    list: str
    member: str
    page_size: int
    page_token: str
    def __init__(self, list: _Optional[str] = ..., member: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ListEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[ListEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RequestGrantRequest(_message.Message):
    __slots__ = ("dataset", "purpose", "matter", "scope", "ceiling", "valid_until")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    MATTER_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CEILING_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    dataset: bytes
    purpose: str
    matter: str
    scope: bytes
    ceiling: int
    valid_until: int
    def __init__(self, dataset: _Optional[bytes] = ..., purpose: _Optional[str] = ..., matter: _Optional[str] = ..., scope: _Optional[bytes] = ..., ceiling: _Optional[int] = ..., valid_until: _Optional[int] = ...) -> None: ...

class ApproveGrantRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    def __init__(self, id: _Optional[bytes] = ...) -> None: ...

class RefuseGrantRequest(_message.Message):
    __slots__ = ("id", "reason", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    reason: int
    text: str
    def __init__(self, id: _Optional[bytes] = ..., reason: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class RevokeGrantRequest(_message.Message):
    __slots__ = ("id", "reason", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    reason: int
    text: str
    def __init__(self, id: _Optional[bytes] = ..., reason: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class GrantResponse(_message.Message):
    __slots__ = ("grant", "transaction")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    grant: _types_pb2.Grant
    transaction: _types_pb2.TransactionResult
    def __init__(self, grant: _Optional[_Union[_types_pb2.Grant, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class GetGrantRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    def __init__(self, id: _Optional[bytes] = ...) -> None: ...

class ListGrantsRequest(_message.Message):
    __slots__ = ("provider", "consumer", "dataset", "state", "page_size", "page_token")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider: str
    consumer: str
    dataset: bytes
    state: str
    page_size: int
    page_token: str
    def __init__(self, provider: _Optional[str] = ..., consumer: _Optional[str] = ..., dataset: _Optional[bytes] = ..., state: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListGrantsResponse(_message.Message):
    __slots__ = ("grants", "next_page_token")
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    grants: _containers.RepeatedCompositeFieldContainer[_types_pb2.Grant]
    next_page_token: str
    def __init__(self, grants: _Optional[_Iterable[_Union[_types_pb2.Grant, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Opening(_message.Message):
    __slots__ = ("index", "salt", "subject")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    index: int
    salt: bytes
    subject: str
    def __init__(self, index: _Optional[int] = ..., salt: _Optional[bytes] = ..., subject: _Optional[str] = ...) -> None: ...

class KeepOpeningsRequest(_message.Message):
    __slots__ = ("openings",)
    OPENINGS_FIELD_NUMBER: _ClassVar[int]
    openings: _containers.RepeatedCompositeFieldContainer[Opening]
    def __init__(self, openings: _Optional[_Iterable[_Union[Opening, _Mapping]]] = ...) -> None: ...

class KeepOpeningsResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class EraseOpeningsRequest(_message.Message):
    __slots__ = ("commitments", "basis")
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    commitments: _containers.RepeatedScalarFieldContainer[bytes]
    basis: str
    def __init__(self, commitments: _Optional[_Iterable[bytes]] = ..., basis: _Optional[str] = ...) -> None: ...

class EraseOpeningsResponse(_message.Message):
    __slots__ = ("count", "first")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    count: int
    first: int
    def __init__(self, count: _Optional[int] = ..., first: _Optional[int] = ...) -> None: ...

class PurgeRequest(_message.Message):
    __slots__ = ("before", "basis", "execute")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    EXECUTE_FIELD_NUMBER: _ClassVar[int]
    before: int
    basis: str
    execute: bool
    def __init__(self, before: _Optional[int] = ..., basis: _Optional[str] = ..., execute: _Optional[bool] = ...) -> None: ...

class PurgeResponse(_message.Message):
    __slots__ = ("openings", "exchanges", "operators", "payloads", "bytes", "records")
    OPENINGS_FIELD_NUMBER: _ClassVar[int]
    EXCHANGES_FIELD_NUMBER: _ClassVar[int]
    OPERATORS_FIELD_NUMBER: _ClassVar[int]
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    openings: int
    exchanges: int
    operators: int
    payloads: int
    bytes: int
    records: int
    def __init__(self, openings: _Optional[int] = ..., exchanges: _Optional[int] = ..., operators: _Optional[int] = ..., payloads: _Optional[int] = ..., bytes: _Optional[int] = ..., records: _Optional[int] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("records", "batch")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedScalarFieldContainer[bytes]
    batch: bytes
    def __init__(self, records: _Optional[_Iterable[bytes]] = ..., batch: _Optional[bytes] = ...) -> None: ...

class AppendResponse(_message.Message):
    __slots__ = ("first", "count")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    first: int
    count: int
    def __init__(self, first: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("dataset", "grant", "counterpart", "type", "to", "with_proofs", "page_size", "page_token", "subject", "newest_first")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    COUNTERPART_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    WITH_PROOFS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    dataset: bytes
    grant: bytes
    counterpart: str
    type: str
    to: int
    with_proofs: bool
    page_size: int
    page_token: str
    subject: str
    newest_first: bool
    def __init__(self, dataset: _Optional[bytes] = ..., grant: _Optional[bytes] = ..., counterpart: _Optional[str] = ..., type: _Optional[str] = ..., to: _Optional[int] = ..., with_proofs: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., subject: _Optional[str] = ..., newest_first: _Optional[bool] = ..., **kwargs) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("rows", "next_page_token", "checkpoint", "indexed_size", "log_size")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    INDEXED_SIZE_FIELD_NUMBER: _ClassVar[int]
    LOG_SIZE_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[_types_pb2.RecordRow]
    next_page_token: str
    checkpoint: str
    indexed_size: int
    log_size: int
    def __init__(self, rows: _Optional[_Iterable[_Union[_types_pb2.RecordRow, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., checkpoint: _Optional[str] = ..., indexed_size: _Optional[int] = ..., log_size: _Optional[int] = ...) -> None: ...

class ReadRequest(_message.Message):
    __slots__ = ("first", "count", "with_proofs")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WITH_PROOFS_FIELD_NUMBER: _ClassVar[int]
    first: int
    count: int
    with_proofs: bool
    def __init__(self, first: _Optional[int] = ..., count: _Optional[int] = ..., with_proofs: _Optional[bool] = ...) -> None: ...

class PullRequest(_message.Message):
    __slots__ = ("grant", "nonce", "query", "operator_pseudonym", "dataset", "purpose")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    grant: bytes
    nonce: bytes
    query: bytes
    operator_pseudonym: str
    dataset: bytes
    purpose: str
    def __init__(self, grant: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., query: _Optional[bytes] = ..., operator_pseudonym: _Optional[str] = ..., dataset: _Optional[bytes] = ..., purpose: _Optional[str] = ...) -> None: ...

class PullResponse(_message.Message):
    __slots__ = ("chunk", "receipt")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    receipt: _types_pb2.Receipt
    def __init__(self, chunk: _Optional[bytes] = ..., receipt: _Optional[_Union[_types_pb2.Receipt, _Mapping]] = ...) -> None: ...

class ListExchangesRequest(_message.Message):
    __slots__ = ("dataset", "grant", "state", "page_size", "page_token")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dataset: bytes
    grant: bytes
    state: str
    page_size: int
    page_token: str
    def __init__(self, dataset: _Optional[bytes] = ..., grant: _Optional[bytes] = ..., state: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExchangesResponse(_message.Message):
    __slots__ = ("receipts", "next_page_token")
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    receipts: _containers.RepeatedCompositeFieldContainer[_types_pb2.Receipt]
    next_page_token: str
    def __init__(self, receipts: _Optional[_Iterable[_Union[_types_pb2.Receipt, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
