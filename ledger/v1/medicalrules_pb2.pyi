from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RuleVersion(_message.Message):
    __slots__ = ("region", "version", "digest", "in_force_from", "adopted_at", "withdrawn_at", "by", "state", "file")
    REGION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FROM_FIELD_NUMBER: _ClassVar[int]
    ADOPTED_AT_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_AT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    region: str
    version: int
    digest: bytes
    in_force_from: int
    adopted_at: int
    withdrawn_at: int
    by: str
    state: str
    file: bytes
    def __init__(self, region: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[bytes] = ..., in_force_from: _Optional[int] = ..., adopted_at: _Optional[int] = ..., withdrawn_at: _Optional[int] = ..., by: _Optional[str] = ..., state: _Optional[str] = ..., file: _Optional[bytes] = ...) -> None: ...

class ListRulesRequest(_message.Message):
    __slots__ = ("region",)
    REGION_FIELD_NUMBER: _ClassVar[int]
    region: str
    def __init__(self, region: _Optional[str] = ...) -> None: ...

class ListRulesResponse(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[RuleVersion]
    def __init__(self, rules: _Optional[_Iterable[_Union[RuleVersion, _Mapping]]] = ...) -> None: ...

class GetRulesRequest(_message.Message):
    __slots__ = ("region", "version")
    REGION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    region: str
    version: int
    def __init__(self, region: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class AdoptRulesRequest(_message.Message):
    __slots__ = ("file", "in_force_from")
    FILE_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FROM_FIELD_NUMBER: _ClassVar[int]
    file: bytes
    in_force_from: int
    def __init__(self, file: _Optional[bytes] = ..., in_force_from: _Optional[int] = ...) -> None: ...

class WithdrawRulesRequest(_message.Message):
    __slots__ = ("version", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: int
    reason: str
    def __init__(self, version: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class RulesResponse(_message.Message):
    __slots__ = ("rules", "transaction", "items_added")
    RULES_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_ADDED_FIELD_NUMBER: _ClassVar[int]
    rules: RuleVersion
    transaction: _types_pb2.TransactionResult
    items_added: int
    def __init__(self, rules: _Optional[_Union[RuleVersion, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ..., items_added: _Optional[int] = ...) -> None: ...

class Institution(_message.Message):
    __slots__ = ("member", "region", "level", "changed_at", "by", "active")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    member: str
    region: str
    level: int
    changed_at: int
    by: str
    active: bool
    def __init__(self, member: _Optional[str] = ..., region: _Optional[str] = ..., level: _Optional[int] = ..., changed_at: _Optional[int] = ..., by: _Optional[str] = ..., active: _Optional[bool] = ...) -> None: ...

class ListInstitutionsRequest(_message.Message):
    __slots__ = ("region",)
    REGION_FIELD_NUMBER: _ClassVar[int]
    region: str
    def __init__(self, region: _Optional[str] = ...) -> None: ...

class ListInstitutionsResponse(_message.Message):
    __slots__ = ("institutions",)
    INSTITUTIONS_FIELD_NUMBER: _ClassVar[int]
    institutions: _containers.RepeatedCompositeFieldContainer[Institution]
    def __init__(self, institutions: _Optional[_Iterable[_Union[Institution, _Mapping]]] = ...) -> None: ...

class SetInstitutionRequest(_message.Message):
    __slots__ = ("member", "level")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    member: str
    level: int
    def __init__(self, member: _Optional[str] = ..., level: _Optional[int] = ...) -> None: ...

class InstitutionResponse(_message.Message):
    __slots__ = ("institution", "transaction")
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    institution: Institution
    transaction: _types_pb2.TransactionResult
    def __init__(self, institution: _Optional[_Union[Institution, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class LabelRange(_message.Message):
    __slots__ = ("code", "label", "quality", "region", "valid_from", "valid_until", "opened_at", "by", "state")
    CODE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    code: str
    label: str
    quality: str
    region: str
    valid_from: int
    valid_until: int
    opened_at: int
    by: str
    state: str
    def __init__(self, code: _Optional[str] = ..., label: _Optional[str] = ..., quality: _Optional[str] = ..., region: _Optional[str] = ..., valid_from: _Optional[int] = ..., valid_until: _Optional[int] = ..., opened_at: _Optional[int] = ..., by: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class ListRangesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRangesResponse(_message.Message):
    __slots__ = ("ranges",)
    RANGES_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[LabelRange]
    def __init__(self, ranges: _Optional[_Iterable[_Union[LabelRange, _Mapping]]] = ...) -> None: ...

class OpenRangeRequest(_message.Message):
    __slots__ = ("code", "label", "quality", "valid_from")
    CODE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    code: str
    label: str
    quality: str
    valid_from: int
    def __init__(self, code: _Optional[str] = ..., label: _Optional[str] = ..., quality: _Optional[str] = ..., valid_from: _Optional[int] = ...) -> None: ...

class EndRangeRequest(_message.Message):
    __slots__ = ("code", "valid_until", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: str
    valid_until: int
    reason: str
    def __init__(self, code: _Optional[str] = ..., valid_until: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class RangeResponse(_message.Message):
    __slots__ = ("range", "transaction")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    range: LabelRange
    transaction: _types_pb2.TransactionResult
    def __init__(self, range: _Optional[_Union[LabelRange, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class Eqa(_message.Message):
    __slots__ = ("id", "range", "item", "institution", "scheme", "round", "passed", "certificate_digest", "valid_from", "valid_until", "recorded_at", "revoked_since", "revoked_at", "by", "revoked_by", "state")
    ID_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    REVOKED_SINCE_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REVOKED_BY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    range: str
    item: str
    institution: str
    scheme: str
    round: int
    passed: bool
    certificate_digest: bytes
    valid_from: int
    valid_until: int
    recorded_at: int
    revoked_since: int
    revoked_at: int
    by: str
    revoked_by: str
    state: str
    def __init__(self, id: _Optional[bytes] = ..., range: _Optional[str] = ..., item: _Optional[str] = ..., institution: _Optional[str] = ..., scheme: _Optional[str] = ..., round: _Optional[int] = ..., passed: _Optional[bool] = ..., certificate_digest: _Optional[bytes] = ..., valid_from: _Optional[int] = ..., valid_until: _Optional[int] = ..., recorded_at: _Optional[int] = ..., revoked_since: _Optional[int] = ..., revoked_at: _Optional[int] = ..., by: _Optional[str] = ..., revoked_by: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class ListEqasRequest(_message.Message):
    __slots__ = ("institution", "page_size", "page_token")
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    institution: str
    page_size: int
    page_token: str
    def __init__(self, institution: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEqasResponse(_message.Message):
    __slots__ = ("eqas", "next_page_token")
    EQAS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    eqas: _containers.RepeatedCompositeFieldContainer[Eqa]
    next_page_token: str
    def __init__(self, eqas: _Optional[_Iterable[_Union[Eqa, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class EqaEntry(_message.Message):
    __slots__ = ("range", "item", "institution", "scheme", "round", "passed", "certificate_digest", "valid_from", "valid_until")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    range: str
    item: str
    institution: str
    scheme: str
    round: int
    passed: bool
    certificate_digest: bytes
    valid_from: int
    valid_until: int
    def __init__(self, range: _Optional[str] = ..., item: _Optional[str] = ..., institution: _Optional[str] = ..., scheme: _Optional[str] = ..., round: _Optional[int] = ..., passed: _Optional[bool] = ..., certificate_digest: _Optional[bytes] = ..., valid_from: _Optional[int] = ..., valid_until: _Optional[int] = ...) -> None: ...

class RecordEqasRequest(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[EqaEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[EqaEntry, _Mapping]]] = ...) -> None: ...

class RecordEqasResponse(_message.Message):
    __slots__ = ("ids", "transactions")
    IDS_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    transactions: _containers.RepeatedCompositeFieldContainer[_types_pb2.TransactionResult]
    def __init__(self, ids: _Optional[_Iterable[bytes]] = ..., transactions: _Optional[_Iterable[_Union[_types_pb2.TransactionResult, _Mapping]]] = ...) -> None: ...

class RevokeEqaRequest(_message.Message):
    __slots__ = ("id", "since", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    since: int
    reason: str
    def __init__(self, id: _Optional[bytes] = ..., since: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class EqaResponse(_message.Message):
    __slots__ = ("eqa", "transaction")
    EQA_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    eqa: Eqa
    transaction: _types_pb2.TransactionResult
    def __init__(self, eqa: _Optional[_Union[Eqa, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...

class Agreement(_message.Message):
    __slots__ = ("number", "range", "region", "other", "items", "proposed_at", "accepted_at", "ended_at", "proposed_by", "accepted_by", "ended_by", "state")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_AT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_BY_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_BY_FIELD_NUMBER: _ClassVar[int]
    ENDED_BY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    number: int
    range: str
    region: str
    other: str
    items: _containers.RepeatedScalarFieldContainer[str]
    proposed_at: int
    accepted_at: int
    ended_at: int
    proposed_by: str
    accepted_by: str
    ended_by: str
    state: str
    def __init__(self, number: _Optional[int] = ..., range: _Optional[str] = ..., region: _Optional[str] = ..., other: _Optional[str] = ..., items: _Optional[_Iterable[str]] = ..., proposed_at: _Optional[int] = ..., accepted_at: _Optional[int] = ..., ended_at: _Optional[int] = ..., proposed_by: _Optional[str] = ..., accepted_by: _Optional[str] = ..., ended_by: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class ListAgreementsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAgreementsResponse(_message.Message):
    __slots__ = ("agreements",)
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    agreements: _containers.RepeatedCompositeFieldContainer[Agreement]
    def __init__(self, agreements: _Optional[_Iterable[_Union[Agreement, _Mapping]]] = ...) -> None: ...

class ProposeAgreementRequest(_message.Message):
    __slots__ = ("range", "other", "items")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    range: str
    other: str
    items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, range: _Optional[str] = ..., other: _Optional[str] = ..., items: _Optional[_Iterable[str]] = ...) -> None: ...

class AcceptAgreementRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class EndAgreementRequest(_message.Message):
    __slots__ = ("number", "reason")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    number: int
    reason: str
    def __init__(self, number: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class AgreementResponse(_message.Message):
    __slots__ = ("agreement", "transaction")
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    agreement: Agreement
    transaction: _types_pb2.TransactionResult
    def __init__(self, agreement: _Optional[_Union[Agreement, _Mapping]] = ..., transaction: _Optional[_Union[_types_pb2.TransactionResult, _Mapping]] = ...) -> None: ...
