from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubmitTransactionsRequest(_message.Message):
    __slots__ = ("transactions",)
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, transactions: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SubmitTransactionsResponse(_message.Message):
    __slots__ = ("results",)
    class Result(_message.Message):
        __slots__ = ("hash", "code", "message")
        HASH_FIELD_NUMBER: _ClassVar[int]
        CODE_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        hash: bytes
        code: str
        message: str
        def __init__(self, hash: _Optional[bytes] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SubmitTransactionsResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[SubmitTransactionsResponse.Result, _Mapping]]] = ...) -> None: ...

class FollowRequest(_message.Message):
    __slots__ = ()
    FROM_FIELD_NUMBER: _ClassVar[int]
    def __init__(self, **kwargs) -> None: ...

class Block(_message.Message):
    __slots__ = ("header", "transactions")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, header: _Optional[bytes] = ..., transactions: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FollowResponse(_message.Message):
    __slots__ = ("block", "head", "finality")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FINALITY_FIELD_NUMBER: _ClassVar[int]
    block: Block
    head: SignedHead
    finality: Finality
    def __init__(self, block: _Optional[_Union[Block, _Mapping]] = ..., head: _Optional[_Union[SignedHead, _Mapping]] = ..., finality: _Optional[_Union[Finality, _Mapping]] = ...) -> None: ...

class SignedHead(_message.Message):
    __slots__ = ("chain", "height", "hash", "time", "public_key", "signature")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    chain: bytes
    height: int
    hash: bytes
    time: int
    public_key: bytes
    signature: bytes
    def __init__(self, chain: _Optional[bytes] = ..., height: _Optional[int] = ..., hash: _Optional[bytes] = ..., time: _Optional[int] = ..., public_key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class CosignRequest(_message.Message):
    __slots__ = ("head",)
    HEAD_FIELD_NUMBER: _ClassVar[int]
    head: SignedHead
    def __init__(self, head: _Optional[_Union[SignedHead, _Mapping]] = ...) -> None: ...

class CosignResponse(_message.Message):
    __slots__ = ("cosignatures",)
    COSIGNATURES_FIELD_NUMBER: _ClassVar[int]
    cosignatures: int
    def __init__(self, cosignatures: _Optional[int] = ...) -> None: ...

class GetFinalityRequest(_message.Message):
    __slots__ = ("height",)
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    height: int
    def __init__(self, height: _Optional[int] = ...) -> None: ...

class Finality(_message.Message):
    __slots__ = ("head", "cosignatures", "bft")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    COSIGNATURES_FIELD_NUMBER: _ClassVar[int]
    BFT_FIELD_NUMBER: _ClassVar[int]
    head: SignedHead
    cosignatures: _containers.RepeatedCompositeFieldContainer[SignedHead]
    bft: bytes
    def __init__(self, head: _Optional[_Union[SignedHead, _Mapping]] = ..., cosignatures: _Optional[_Iterable[_Union[SignedHead, _Mapping]]] = ..., bft: _Optional[bytes] = ...) -> None: ...

class ExchangeMessage(_message.Message):
    __slots__ = ("request", "refusal", "chunk", "end", "acknowledgement", "release", "countersigned", "done", "subject")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    COUNTERSIGNED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    refusal: ExchangeRefusal
    chunk: bytes
    end: ExchangeEnd
    acknowledgement: ExchangeAcknowledgement
    release: ExchangeRelease
    countersigned: bytes
    done: ExchangeDone
    subject: ExchangeSubject
    def __init__(self, request: _Optional[bytes] = ..., refusal: _Optional[_Union[ExchangeRefusal, _Mapping]] = ..., chunk: _Optional[bytes] = ..., end: _Optional[_Union[ExchangeEnd, _Mapping]] = ..., acknowledgement: _Optional[_Union[ExchangeAcknowledgement, _Mapping]] = ..., release: _Optional[_Union[ExchangeRelease, _Mapping]] = ..., countersigned: _Optional[bytes] = ..., done: _Optional[_Union[ExchangeDone, _Mapping]] = ..., subject: _Optional[_Union[ExchangeSubject, _Mapping]] = ...) -> None: ...

class ExchangeSubject(_message.Message):
    __slots__ = ("salt", "holder")
    SALT_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    salt: bytes
    holder: str
    def __init__(self, salt: _Optional[bytes] = ..., holder: _Optional[str] = ...) -> None: ...

class ExchangeRefusal(_message.Message):
    __slots__ = ("code", "message", "hint")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    hint: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class ExchangeEnd(_message.Message):
    __slots__ = ("ciphertext_digest", "byte_count", "commitment")
    CIPHERTEXT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    ciphertext_digest: bytes
    byte_count: int
    commitment: bytes
    def __init__(self, ciphertext_digest: _Optional[bytes] = ..., byte_count: _Optional[int] = ..., commitment: _Optional[bytes] = ...) -> None: ...

class ExchangeAcknowledgement(_message.Message):
    __slots__ = ("signature",)
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    signature: bytes
    def __init__(self, signature: _Optional[bytes] = ...) -> None: ...

class ExchangeRelease(_message.Message):
    __slots__ = ("key", "salt", "receipt")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    salt: bytes
    receipt: bytes
    def __init__(self, key: _Optional[bytes] = ..., salt: _Optional[bytes] = ..., receipt: _Optional[bytes] = ...) -> None: ...

class ExchangeDone(_message.Message):
    __slots__ = ("log_index",)
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    log_index: int
    def __init__(self, log_index: _Optional[int] = ...) -> None: ...
