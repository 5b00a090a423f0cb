from ledger.v1 import peer_pb2 as _peer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchResultsRequest(_message.Message):
    __slots__ = ("identity", "purpose", "course", "deadline_ms")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    COURSE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    identity: str
    purpose: str
    course: str
    deadline_ms: int
    def __init__(self, identity: _Optional[str] = ..., purpose: _Optional[str] = ..., course: _Optional[str] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class SearchResultsResponse(_message.Message):
    __slots__ = ("reports", "absent", "rules_version", "judged_s", "asked", "items", "retest_reasons")
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    RULES_VERSION_FIELD_NUMBER: _ClassVar[int]
    JUDGED_S_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RETEST_REASONS_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[FoundReport]
    absent: _containers.RepeatedCompositeFieldContainer[AbsentHospital]
    rules_version: int
    judged_s: int
    asked: int
    items: _containers.RepeatedCompositeFieldContainer[MedicalWord]
    retest_reasons: _containers.RepeatedCompositeFieldContainer[MedicalWord]
    def __init__(self, reports: _Optional[_Iterable[_Union[FoundReport, _Mapping]]] = ..., absent: _Optional[_Iterable[_Union[AbsentHospital, _Mapping]]] = ..., rules_version: _Optional[int] = ..., judged_s: _Optional[int] = ..., asked: _Optional[int] = ..., items: _Optional[_Iterable[_Union[MedicalWord, _Mapping]]] = ..., retest_reasons: _Optional[_Iterable[_Union[MedicalWord, _Mapping]]] = ...) -> None: ...

class MedicalWord(_message.Message):
    __slots__ = ("code", "zh", "en")
    CODE_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    code: str
    zh: str
    en: str
    def __init__(self, code: _Optional[str] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ...) -> None: ...

class FoundReport(_message.Message):
    __slots__ = ("report", "institution", "category", "status", "issued_s", "version", "concluded", "own", "items")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ISSUED_S_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONCLUDED_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    report: bytes
    institution: str
    category: str
    status: str
    issued_s: int
    version: int
    concluded: bool
    own: bool
    items: _containers.RepeatedCompositeFieldContainer[JudgedItem]
    def __init__(self, report: _Optional[bytes] = ..., institution: _Optional[str] = ..., category: _Optional[str] = ..., status: _Optional[str] = ..., issued_s: _Optional[int] = ..., version: _Optional[int] = ..., concluded: _Optional[bool] = ..., own: _Optional[bool] = ..., items: _Optional[_Iterable[_Union[JudgedItem, _Mapping]]] = ...) -> None: ...

class JudgedItem(_message.Message):
    __slots__ = ("place", "item", "state", "status", "taken_s", "recognisable", "reasons", "label", "age_s")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TAKEN_S_FIELD_NUMBER: _ClassVar[int]
    RECOGNISABLE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    place: int
    item: str
    state: str
    status: str
    taken_s: int
    recognisable: bool
    reasons: _containers.RepeatedCompositeFieldContainer[MedicalReason]
    label: str
    age_s: int
    def __init__(self, place: _Optional[int] = ..., item: _Optional[str] = ..., state: _Optional[str] = ..., status: _Optional[str] = ..., taken_s: _Optional[int] = ..., recognisable: _Optional[bool] = ..., reasons: _Optional[_Iterable[_Union[MedicalReason, _Mapping]]] = ..., label: _Optional[str] = ..., age_s: _Optional[int] = ...) -> None: ...

class MedicalReason(_message.Message):
    __slots__ = ("code", "zh", "en")
    CODE_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    code: str
    zh: str
    en: str
    def __init__(self, code: _Optional[str] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ...) -> None: ...

class AbsentHospital(_message.Message):
    __slots__ = ("member", "code", "message")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    member: str
    code: str
    message: str
    def __init__(self, member: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class OpenReportRequest(_message.Message):
    __slots__ = ("institution", "report", "version", "purpose", "course", "operator_pseudonym", "nonce")
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    COURSE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    institution: str
    report: bytes
    version: int
    purpose: str
    course: str
    operator_pseudonym: str
    nonce: bytes
    def __init__(self, institution: _Optional[str] = ..., report: _Optional[bytes] = ..., version: _Optional[int] = ..., purpose: _Optional[str] = ..., course: _Optional[str] = ..., operator_pseudonym: _Optional[str] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class OpenedReport(_message.Message):
    __slots__ = ("step", "data")
    STEP_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    step: MedicalStep
    data: bytes
    def __init__(self, step: _Optional[_Union[MedicalStep, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("opening", "kind", "places", "reason", "operator_pseudonym", "nonce")
    OPENING_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    opening: bytes
    kind: str
    places: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    operator_pseudonym: str
    nonce: bytes
    def __init__(self, opening: _Optional[bytes] = ..., kind: _Optional[str] = ..., places: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ..., operator_pseudonym: _Optional[str] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class MedicalStep(_message.Message):
    __slots__ = ("step", "role", "kind", "report", "version", "counterpart", "state", "time_ms", "places", "items", "opening", "reason", "code", "receipt", "receipt_digest", "log_index", "nonce", "differing")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COUNTERPART_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    OPENING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    DIFFERING_FIELD_NUMBER: _ClassVar[int]
    step: bytes
    role: str
    kind: str
    report: bytes
    version: int
    counterpart: str
    state: str
    time_ms: int
    places: _containers.RepeatedScalarFieldContainer[int]
    items: _containers.RepeatedScalarFieldContainer[str]
    opening: bytes
    reason: str
    code: str
    receipt: bytes
    receipt_digest: bytes
    log_index: int
    nonce: bytes
    differing: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, step: _Optional[bytes] = ..., role: _Optional[str] = ..., kind: _Optional[str] = ..., report: _Optional[bytes] = ..., version: _Optional[int] = ..., counterpart: _Optional[str] = ..., state: _Optional[str] = ..., time_ms: _Optional[int] = ..., places: _Optional[_Iterable[int]] = ..., items: _Optional[_Iterable[str]] = ..., opening: _Optional[bytes] = ..., reason: _Optional[str] = ..., code: _Optional[str] = ..., receipt: _Optional[bytes] = ..., receipt_digest: _Optional[bytes] = ..., log_index: _Optional[int] = ..., nonce: _Optional[bytes] = ..., differing: _Optional[_Iterable[int]] = ...) -> None: ...

class ListStepsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "report")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    report: bytes
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., report: _Optional[bytes] = ...) -> None: ...

class ListStepsResponse(_message.Message):
    __slots__ = ("steps", "next_page_token")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[MedicalStep]
    next_page_token: str
    def __init__(self, steps: _Optional[_Iterable[_Union[MedicalStep, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListChangesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListChangesResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[ReportChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[ReportChange, _Mapping]]] = ...) -> None: ...

class ReportChange(_message.Message):
    __slots__ = ("institution", "report", "version", "change", "time_ms", "notice")
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    institution: str
    report: bytes
    version: int
    change: str
    time_ms: int
    notice: bytes
    def __init__(self, institution: _Optional[str] = ..., report: _Optional[bytes] = ..., version: _Optional[int] = ..., change: _Optional[str] = ..., time_ms: _Optional[int] = ..., notice: _Optional[bytes] = ...) -> None: ...

class MedicalStatisticsRequest(_message.Message):
    __slots__ = ("from_s", "until_s", "check_records")
    FROM_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_S_FIELD_NUMBER: _ClassVar[int]
    CHECK_RECORDS_FIELD_NUMBER: _ClassVar[int]
    from_s: int
    until_s: int
    check_records: bool
    def __init__(self, from_s: _Optional[int] = ..., until_s: _Optional[int] = ..., check_records: _Optional[bool] = ...) -> None: ...

class MedicalStatisticsResponse(_message.Message):
    __slots__ = ("counts", "records", "figures")
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedCompositeFieldContainer[MedicalCount]
    records: str
    figures: _containers.RepeatedCompositeFieldContainer[MedicalFigure]
    def __init__(self, counts: _Optional[_Iterable[_Union[MedicalCount, _Mapping]]] = ..., records: _Optional[str] = ..., figures: _Optional[_Iterable[_Union[MedicalFigure, _Mapping]]] = ...) -> None: ...

class MedicalFigure(_message.Message):
    __slots__ = ("by", "key", "name_zh", "name_en", "reason", "offered", "opened", "recognised", "retested", "opened_not_recognised", "saved_cents")
    BY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_ZH_FIELD_NUMBER: _ClassVar[int]
    NAME_EN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RECOGNISED_FIELD_NUMBER: _ClassVar[int]
    RETESTED_FIELD_NUMBER: _ClassVar[int]
    OPENED_NOT_RECOGNISED_FIELD_NUMBER: _ClassVar[int]
    SAVED_CENTS_FIELD_NUMBER: _ClassVar[int]
    by: str
    key: str
    name_zh: str
    name_en: str
    reason: str
    offered: int
    opened: int
    recognised: int
    retested: int
    opened_not_recognised: int
    saved_cents: int
    def __init__(self, by: _Optional[str] = ..., key: _Optional[str] = ..., name_zh: _Optional[str] = ..., name_en: _Optional[str] = ..., reason: _Optional[str] = ..., offered: _Optional[int] = ..., opened: _Optional[int] = ..., recognised: _Optional[int] = ..., retested: _Optional[int] = ..., opened_not_recognised: _Optional[int] = ..., saved_cents: _Optional[int] = ...) -> None: ...

class MedicalCount(_message.Message):
    __slots__ = ("role", "counterpart", "opened", "recognised", "retested", "recognised_items", "retested_items", "opened_unrecognised", "reasons")
    class ReasonsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ROLE_FIELD_NUMBER: _ClassVar[int]
    COUNTERPART_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RECOGNISED_FIELD_NUMBER: _ClassVar[int]
    RETESTED_FIELD_NUMBER: _ClassVar[int]
    RECOGNISED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    RETESTED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    OPENED_UNRECOGNISED_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    role: str
    counterpart: str
    opened: int
    recognised: int
    retested: int
    recognised_items: int
    retested_items: int
    opened_unrecognised: int
    reasons: _containers.ScalarMap[str, int]
    def __init__(self, role: _Optional[str] = ..., counterpart: _Optional[str] = ..., opened: _Optional[int] = ..., recognised: _Optional[int] = ..., retested: _Optional[int] = ..., recognised_items: _Optional[int] = ..., retested_items: _Optional[int] = ..., opened_unrecognised: _Optional[int] = ..., reasons: _Optional[_Mapping[str, int]] = ...) -> None: ...

class AuditEventsRequest(_message.Message):
    __slots__ = ("from_s", "until_s", "patient", "page_size", "page_token")
    FROM_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_S_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    from_s: int
    until_s: int
    patient: str
    page_size: int
    page_token: str
    def __init__(self, from_s: _Optional[int] = ..., until_s: _Optional[int] = ..., patient: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class AuditEvent(_message.Message):
    __slots__ = ("event", "next_page_token")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event: bytes
    next_page_token: str
    def __init__(self, event: _Optional[bytes] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PeerSearchRequest(_message.Message):
    __slots__ = ("pseudonyms", "purpose")
    PSEUDONYMS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    pseudonyms: _containers.RepeatedScalarFieldContainer[bytes]
    purpose: str
    def __init__(self, pseudonyms: _Optional[_Iterable[bytes]] = ..., purpose: _Optional[str] = ...) -> None: ...

class PeerSearchResponse(_message.Message):
    __slots__ = ("offers",)
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    offers: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, offers: _Optional[_Iterable[bytes]] = ...) -> None: ...

class MedicalMessage(_message.Message):
    __slots__ = ("request", "refusal", "chunk", "end", "acknowledgement", "release", "countersigned", "done")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    COUNTERSIGNED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    refusal: _peer_pb2.ExchangeRefusal
    chunk: bytes
    end: MedicalEnd
    acknowledgement: _peer_pb2.ExchangeAcknowledgement
    release: _peer_pb2.ExchangeRelease
    countersigned: bytes
    done: _peer_pb2.ExchangeDone
    def __init__(self, request: _Optional[bytes] = ..., refusal: _Optional[_Union[_peer_pb2.ExchangeRefusal, _Mapping]] = ..., chunk: _Optional[bytes] = ..., end: _Optional[_Union[MedicalEnd, _Mapping]] = ..., acknowledgement: _Optional[_Union[_peer_pb2.ExchangeAcknowledgement, _Mapping]] = ..., release: _Optional[_Union[_peer_pb2.ExchangeRelease, _Mapping]] = ..., countersigned: _Optional[bytes] = ..., done: _Optional[_Union[_peer_pb2.ExchangeDone, _Mapping]] = ...) -> None: ...

class StepTurn(_message.Message):
    __slots__ = ("request", "ciphertext_digest", "acknowledgement")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    ciphertext_digest: bytes
    acknowledgement: bytes
    def __init__(self, request: _Optional[bytes] = ..., ciphertext_digest: _Optional[bytes] = ..., acknowledgement: _Optional[bytes] = ...) -> None: ...

class StepTurnAnswer(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[MedicalMessage]
    def __init__(self, parts: _Optional[_Iterable[_Union[MedicalMessage, _Mapping]]] = ...) -> None: ...

class PeerChangesRequest(_message.Message):
    __slots__ = ("received", "wait_ms")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    received: _containers.RepeatedScalarFieldContainer[bytes]
    wait_ms: int
    def __init__(self, received: _Optional[_Iterable[bytes]] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class PeerChangesResponse(_message.Message):
    __slots__ = ("notices",)
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    notices: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, notices: _Optional[_Iterable[bytes]] = ...) -> None: ...

class MedicalEnd(_message.Message):
    __slots__ = ("ciphertext_digest", "byte_count", "commitment", "offer")
    CIPHERTEXT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    ciphertext_digest: bytes
    byte_count: int
    commitment: bytes
    offer: bytes
    def __init__(self, ciphertext_digest: _Optional[bytes] = ..., byte_count: _Optional[int] = ..., commitment: _Optional[bytes] = ..., offer: _Optional[bytes] = ...) -> None: ...

class ConfirmStepRequest(_message.Message):
    __slots__ = ("step", "countersigned", "signature")
    STEP_FIELD_NUMBER: _ClassVar[int]
    COUNTERSIGNED_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    step: bytes
    countersigned: bytes
    signature: bytes
    def __init__(self, step: _Optional[bytes] = ..., countersigned: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ConfirmStepResponse(_message.Message):
    __slots__ = ("log_index",)
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    log_index: int
    def __init__(self, log_index: _Optional[int] = ...) -> None: ...

class TellChangeRequest(_message.Message):
    __slots__ = ("notice",)
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    notice: bytes
    def __init__(self, notice: _Optional[bytes] = ...) -> None: ...

class TellChangeResponse(_message.Message):
    __slots__ = ("log_index",)
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    log_index: int
    def __init__(self, log_index: _Optional[int] = ...) -> None: ...
