from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LicenceType(_message.Message):
    __slots__ = ("code", "body", "by", "title_zh", "title_en", "metadata_digest", "defined_at", "changed_at", "withdrawn_at", "description")
    CODE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TITLE_ZH_FIELD_NUMBER: _ClassVar[int]
    TITLE_EN_FIELD_NUMBER: _ClassVar[int]
    METADATA_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEFINED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_AT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    code: str
    body: str
    by: str
    title_zh: str
    title_en: str
    metadata_digest: bytes
    defined_at: int
    changed_at: int
    withdrawn_at: int
    description: bytes
    def __init__(self, code: _Optional[str] = ..., body: _Optional[str] = ..., by: _Optional[str] = ..., title_zh: _Optional[str] = ..., title_en: _Optional[str] = ..., metadata_digest: _Optional[bytes] = ..., defined_at: _Optional[int] = ..., changed_at: _Optional[int] = ..., withdrawn_at: _Optional[int] = ..., description: _Optional[bytes] = ...) -> None: ...

class ListLicenceTypesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLicenceTypesResponse(_message.Message):
    __slots__ = ("types", "next_page_token")
    TYPES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedCompositeFieldContainer[LicenceType]
    next_page_token: str
    def __init__(self, types: _Optional[_Iterable[_Union[LicenceType, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetLicenceTypeRequest(_message.Message):
    __slots__ = ("code",)
    CODE_FIELD_NUMBER: _ClassVar[int]
    code: str
    def __init__(self, code: _Optional[str] = ...) -> None: ...

class DefineLicenceTypeRequest(_message.Message):
    __slots__ = ("description",)
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    description: bytes
    def __init__(self, description: _Optional[bytes] = ...) -> None: ...

class WithdrawLicenceTypeRequest(_message.Message):
    __slots__ = ("code", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class LicenceTypeResponse(_message.Message):
    __slots__ = ("type", "transaction")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    type: LicenceType
    transaction: _types_pb2.TransactionResult
    def __init__(self, type: _Optional[_Union[LicenceType, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class Accreditation(_message.Message):
    __slots__ = ("type", "member", "number", "valid_from", "valid_until", "made_at", "ended_at", "by", "ended_by", "basis_digest", "basis", "state")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    ENDED_BY_FIELD_NUMBER: _ClassVar[int]
    BASIS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    type: str
    member: str
    number: int
    valid_from: int
    valid_until: int
    made_at: int
    ended_at: int
    by: str
    ended_by: str
    basis_digest: bytes
    basis: str
    state: str
    def __init__(self, type: _Optional[str] = ..., member: _Optional[str] = ..., number: _Optional[int] = ..., valid_from: _Optional[int] = ..., valid_until: _Optional[int] = ..., made_at: _Optional[int] = ..., ended_at: _Optional[int] = ..., by: _Optional[str] = ..., ended_by: _Optional[str] = ..., basis_digest: _Optional[bytes] = ..., basis: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class AccreditRequest(_message.Message):
    __slots__ = ("type", "member", "valid_from", "valid_until", "basis")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    type: str
    member: str
    valid_from: int
    valid_until: int
    basis: str
    def __init__(self, type: _Optional[str] = ..., member: _Optional[str] = ..., valid_from: _Optional[int] = ..., valid_until: _Optional[int] = ..., basis: _Optional[str] = ...) -> None: ...

class EndAccreditationRequest(_message.Message):
    __slots__ = ("type", "member", "number", "valid_until", "reason")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    type: str
    member: str
    number: int
    valid_until: int
    reason: str
    def __init__(self, type: _Optional[str] = ..., member: _Optional[str] = ..., number: _Optional[int] = ..., valid_until: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class AccreditationResponse(_message.Message):
    __slots__ = ("accreditation", "transaction")
    ACCREDITATION_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    accreditation: Accreditation
    transaction: _types_pb2.TransactionResult
    def __init__(self, accreditation: _Optional[_Union[Accreditation, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class ListAccreditationsRequest(_message.Message):
    __slots__ = ("type", "member")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    type: str
    member: str
    def __init__(self, type: _Optional[str] = ..., member: _Optional[str] = ...) -> None: ...

class ListAccreditationsResponse(_message.Message):
    __slots__ = ("accreditations",)
    ACCREDITATIONS_FIELD_NUMBER: _ClassVar[int]
    accreditations: _containers.RepeatedCompositeFieldContainer[Accreditation]
    def __init__(self, accreditations: _Optional[_Iterable[_Union[Accreditation, _Mapping]]] = ...) -> None: ...
