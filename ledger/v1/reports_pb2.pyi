from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IngestReportRequest(_message.Message):
    __slots__ = ("fhir",)
    FHIR_FIELD_NUMBER: _ClassVar[int]
    fhir: bytes
    def __init__(self, fhir: _Optional[bytes] = ...) -> None: ...

class IngestReportResponse(_message.Message):
    __slots__ = ("state", "report", "version", "outcome", "codes")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    state: str
    report: bytes
    version: int
    outcome: bytes
    codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, state: _Optional[str] = ..., report: _Optional[bytes] = ..., version: _Optional[int] = ..., outcome: _Optional[bytes] = ..., codes: _Optional[_Iterable[str]] = ...) -> None: ...

class ListReportsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReportsResponse(_message.Message):
    __slots__ = ("reports", "next_page_token")
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[MedicalReport]
    next_page_token: str
    def __init__(self, reports: _Optional[_Iterable[_Union[MedicalReport, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class MedicalReport(_message.Message):
    __slots__ = ("report", "version", "category", "status", "withdrawn", "held", "items", "unmapped", "received_ms", "taken_s", "log_index", "via", "reason")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    UNMAPPED_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MS_FIELD_NUMBER: _ClassVar[int]
    TAKEN_S_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    report: bytes
    version: int
    category: str
    status: str
    withdrawn: bool
    held: bool
    items: int
    unmapped: int
    received_ms: int
    taken_s: int
    log_index: int
    via: str
    reason: str
    def __init__(self, report: _Optional[bytes] = ..., version: _Optional[int] = ..., category: _Optional[str] = ..., status: _Optional[str] = ..., withdrawn: _Optional[bool] = ..., held: _Optional[bool] = ..., items: _Optional[int] = ..., unmapped: _Optional[int] = ..., received_ms: _Optional[int] = ..., taken_s: _Optional[int] = ..., log_index: _Optional[int] = ..., via: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetReportRequest(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: bytes
    def __init__(self, report: _Optional[bytes] = ...) -> None: ...

class GetReportResponse(_message.Message):
    __slots__ = ("report", "fhir")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    FHIR_FIELD_NUMBER: _ClassVar[int]
    report: MedicalReport
    fhir: bytes
    def __init__(self, report: _Optional[_Union[MedicalReport, _Mapping]] = ..., fhir: _Optional[bytes] = ...) -> None: ...

class WithdrawReportRequest(_message.Message):
    __slots__ = ("report", "reason")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    report: bytes
    reason: str
    def __init__(self, report: _Optional[bytes] = ..., reason: _Optional[str] = ...) -> None: ...

class ReportOutcomesRequest(_message.Message):
    __slots__ = ("page_size",)
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    def __init__(self, page_size: _Optional[int] = ...) -> None: ...

class ReportOutcomesResponse(_message.Message):
    __slots__ = ("refused",)
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    refused: _containers.RepeatedCompositeFieldContainer[RefusedReport]
    def __init__(self, refused: _Optional[_Iterable[_Union[RefusedReport, _Mapping]]] = ...) -> None: ...

class RefusedReport(_message.Message):
    __slots__ = ("time_ms", "via", "codes", "byte_count")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    via: str
    codes: _containers.RepeatedScalarFieldContainer[str]
    byte_count: int
    def __init__(self, time_ms: _Optional[int] = ..., via: _Optional[str] = ..., codes: _Optional[_Iterable[str]] = ..., byte_count: _Optional[int] = ...) -> None: ...
