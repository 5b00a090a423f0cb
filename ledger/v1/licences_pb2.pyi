from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Licence(_message.Message):
    __slots__ = ("id", "type", "version", "state", "list", "index", "issued_ms", "not_before_ms", "expires_ms", "changed_ms", "reason", "replaces", "replaced_by", "log_index", "commitment")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ISSUED_MS_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    type: str
    version: int
    state: str
    list: int
    index: int
    issued_ms: int
    not_before_ms: int
    expires_ms: int
    changed_ms: int
    reason: str
    replaces: bytes
    replaced_by: bytes
    log_index: int
    commitment: bytes
    def __init__(self, id: _Optional[bytes] = ..., type: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[str] = ..., list: _Optional[int] = ..., index: _Optional[int] = ..., issued_ms: _Optional[int] = ..., not_before_ms: _Optional[int] = ..., expires_ms: _Optional[int] = ..., changed_ms: _Optional[int] = ..., reason: _Optional[str] = ..., replaces: _Optional[bytes] = ..., replaced_by: _Optional[bytes] = ..., log_index: _Optional[int] = ..., commitment: _Optional[bytes] = ...) -> None: ...

class IssueLicenceRequest(_message.Message):
    __slots__ = ("request", "type", "template", "fields", "holder_key", "serial")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_KEY_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    request: str
    type: str
    template: str
    fields: _containers.ScalarMap[str, str]
    holder_key: bytes
    serial: str
    def __init__(self, request: _Optional[str] = ..., type: _Optional[str] = ..., template: _Optional[str] = ..., fields: _Optional[_Mapping[str, str]] = ..., holder_key: _Optional[bytes] = ..., serial: _Optional[str] = ...) -> None: ...

class IssuedLicence(_message.Message):
    __slots__ = ("licence", "sd_jwt", "identifier", "salt")
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    SD_JWT_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    licence: Licence
    sd_jwt: str
    identifier: str
    salt: bytes
    def __init__(self, licence: _Optional[_Union[Licence, _Mapping]] = ..., sd_jwt: _Optional[str] = ..., identifier: _Optional[str] = ..., salt: _Optional[bytes] = ...) -> None: ...

class IssueBulkRequest(_message.Message):
    __slots__ = ("batch", "row", "licence")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    batch: str
    row: int
    licence: IssueLicenceRequest
    def __init__(self, batch: _Optional[str] = ..., row: _Optional[int] = ..., licence: _Optional[_Union[IssueLicenceRequest, _Mapping]] = ...) -> None: ...

class IssueBulkResponse(_message.Message):
    __slots__ = ("row", "issued", "code", "message", "hint")
    ROW_FIELD_NUMBER: _ClassVar[int]
    ISSUED_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    row: int
    issued: IssuedLicence
    code: str
    message: str
    hint: str
    def __init__(self, row: _Optional[int] = ..., issued: _Optional[_Union[IssuedLicence, _Mapping]] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class ChangeLicenceRequest(_message.Message):
    __slots__ = ("id", "identifier", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    identifier: str
    reason: str
    def __init__(self, id: _Optional[bytes] = ..., identifier: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReplaceLicenceRequest(_message.Message):
    __slots__ = ("id", "identifier", "request", "fields", "holder_key")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_KEY_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    identifier: str
    request: str
    fields: _containers.ScalarMap[str, str]
    holder_key: bytes
    def __init__(self, id: _Optional[bytes] = ..., identifier: _Optional[str] = ..., request: _Optional[str] = ..., fields: _Optional[_Mapping[str, str]] = ..., holder_key: _Optional[bytes] = ...) -> None: ...

class GetLicenceRequest(_message.Message):
    __slots__ = ("id", "identifier")
    ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    identifier: str
    def __init__(self, id: _Optional[bytes] = ..., identifier: _Optional[str] = ...) -> None: ...

class MakeSlipRequest(_message.Message):
    __slots__ = ("id", "identifier", "seconds", "recipient", "matter")
    ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    MATTER_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    identifier: str
    seconds: int
    recipient: str
    matter: str
    def __init__(self, id: _Optional[bytes] = ..., identifier: _Optional[str] = ..., seconds: _Optional[int] = ..., recipient: _Optional[str] = ..., matter: _Optional[str] = ...) -> None: ...

class MakeSlipResponse(_message.Message):
    __slots__ = ("slip", "ends_ms", "log_index")
    SLIP_FIELD_NUMBER: _ClassVar[int]
    ENDS_MS_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    slip: str
    ends_ms: int
    log_index: int
    def __init__(self, slip: _Optional[str] = ..., ends_ms: _Optional[int] = ..., log_index: _Optional[int] = ...) -> None: ...

class MakeLicenceBundleRequest(_message.Message):
    __slots__ = ("id", "identifier", "show", "wait_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    SHOW_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    identifier: str
    show: _containers.RepeatedScalarFieldContainer[str]
    wait_ms: int
    def __init__(self, id: _Optional[bytes] = ..., identifier: _Optional[str] = ..., show: _Optional[_Iterable[str]] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class MakeLicenceBundleResponse(_message.Message):
    __slots__ = ("bundle",)
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    bundle: bytes
    def __init__(self, bundle: _Optional[bytes] = ...) -> None: ...

class ListLicencesRequest(_message.Message):
    __slots__ = ("type", "state", "page_size", "page_token")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    type: str
    state: str
    page_size: int
    page_token: str
    def __init__(self, type: _Optional[str] = ..., state: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLicencesResponse(_message.Message):
    __slots__ = ("licences", "next_page_token")
    LICENCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    licences: _containers.RepeatedCompositeFieldContainer[Licence]
    next_page_token: str
    def __init__(self, licences: _Optional[_Iterable[_Union[Licence, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PublishStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusListVersion(_message.Message):
    __slots__ = ("list", "version", "uri", "height", "made_ms", "list_digest")
    LIST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MADE_MS_FIELD_NUMBER: _ClassVar[int]
    LIST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    list: int
    version: int
    uri: str
    height: int
    made_ms: int
    list_digest: bytes
    def __init__(self, list: _Optional[int] = ..., version: _Optional[int] = ..., uri: _Optional[str] = ..., height: _Optional[int] = ..., made_ms: _Optional[int] = ..., list_digest: _Optional[bytes] = ...) -> None: ...

class PublishStatusResponse(_message.Message):
    __slots__ = ("lists",)
    LISTS_FIELD_NUMBER: _ClassVar[int]
    lists: _containers.RepeatedCompositeFieldContainer[StatusListVersion]
    def __init__(self, lists: _Optional[_Iterable[_Union[StatusListVersion, _Mapping]]] = ...) -> None: ...

class RestoreStatusRequest(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tokens: _Optional[_Iterable[str]] = ...) -> None: ...

class RestoredList(_message.Message):
    __slots__ = ("list", "version", "changed", "unknown")
    LIST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    list: int
    version: int
    changed: int
    unknown: int
    def __init__(self, list: _Optional[int] = ..., version: _Optional[int] = ..., changed: _Optional[int] = ..., unknown: _Optional[int] = ...) -> None: ...

class RestoreStatusResponse(_message.Message):
    __slots__ = ("lists",)
    LISTS_FIELD_NUMBER: _ClassVar[int]
    lists: _containers.RepeatedCompositeFieldContainer[RestoredList]
    def __init__(self, lists: _Optional[_Iterable[_Union[RestoredList, _Mapping]]] = ...) -> None: ...

class EraseLicencesRequest(_message.Message):
    __slots__ = ("ids", "basis")
    IDS_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    basis: str
    def __init__(self, ids: _Optional[_Iterable[bytes]] = ..., basis: _Optional[str] = ...) -> None: ...

class EraseLicencesResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class VerifyLicenceRequest(_message.Message):
    __slots__ = ("presentation", "audience", "nonce", "require_binding", "proof")
    PRESENTATION_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_BINDING_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    presentation: str
    audience: str
    nonce: str
    require_binding: bool
    proof: bytes
    def __init__(self, presentation: _Optional[str] = ..., audience: _Optional[str] = ..., nonce: _Optional[str] = ..., require_binding: _Optional[bool] = ..., proof: _Optional[bytes] = ...) -> None: ...

class VerifyLicenceResponse(_message.Message):
    __slots__ = ("verdict", "log_index", "salt")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    verdict: bytes
    log_index: int
    salt: bytes
    def __init__(self, verdict: _Optional[bytes] = ..., log_index: _Optional[int] = ..., salt: _Optional[bytes] = ...) -> None: ...

class CertifyRequest(_message.Message):
    __slots__ = ("grant", "holder", "use_cause", "type", "template", "fields", "holder_key", "serial", "operator_pseudonym", "nonce")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GRANT_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    USE_CAUSE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_KEY_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    grant: bytes
    holder: str
    use_cause: str
    type: str
    template: str
    fields: _containers.ScalarMap[str, str]
    holder_key: bytes
    serial: str
    operator_pseudonym: str
    nonce: bytes
    def __init__(self, grant: _Optional[bytes] = ..., holder: _Optional[str] = ..., use_cause: _Optional[str] = ..., type: _Optional[str] = ..., template: _Optional[str] = ..., fields: _Optional[_Mapping[str, str]] = ..., holder_key: _Optional[bytes] = ..., serial: _Optional[str] = ..., operator_pseudonym: _Optional[str] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class CertifyResponse(_message.Message):
    __slots__ = ("issued", "receipt", "log_index", "examination")
    ISSUED_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    EXAMINATION_FIELD_NUMBER: _ClassVar[int]
    issued: IssuedLicence
    receipt: _types_pb2.Receipt
    log_index: int
    examination: CertifiedExamination
    def __init__(self, issued: _Optional[_Union[IssuedLicence, _Mapping]] = ..., receipt: _Optional[_Union[_types_pb2.Receipt, _Mapping]] = ..., log_index: _Optional[int] = ..., examination: _Optional[_Union[CertifiedExamination, _Mapping]] = ...) -> None: ...

class CertifiedExamination(_message.Message):
    __slots__ = ("report", "version", "institution", "exchange", "change", "change_version", "change_ms", "licence")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTITUTION_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGE_MS_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    report: bytes
    version: int
    institution: str
    exchange: bytes
    change: str
    change_version: int
    change_ms: int
    licence: Licence
    def __init__(self, report: _Optional[bytes] = ..., version: _Optional[int] = ..., institution: _Optional[str] = ..., exchange: _Optional[bytes] = ..., change: _Optional[str] = ..., change_version: _Optional[int] = ..., change_ms: _Optional[int] = ..., licence: _Optional[_Union[Licence, _Mapping]] = ...) -> None: ...

class ListExaminationsRequest(_message.Message):
    __slots__ = ("changed", "page_size", "page_token")
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changed: bool
    page_size: int
    page_token: str
    def __init__(self, changed: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExaminationsResponse(_message.Message):
    __slots__ = ("examinations", "next_page_token")
    EXAMINATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    examinations: _containers.RepeatedCompositeFieldContainer[CertifiedExamination]
    next_page_token: str
    def __init__(self, examinations: _Optional[_Iterable[_Union[CertifiedExamination, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class FetchLicenceRequest(_message.Message):
    __slots__ = ("grant", "holder", "use_cause", "fields", "operator_pseudonym", "nonce")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    USE_CAUSE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    grant: bytes
    holder: str
    use_cause: str
    fields: _containers.RepeatedScalarFieldContainer[str]
    operator_pseudonym: str
    nonce: bytes
    def __init__(self, grant: _Optional[bytes] = ..., holder: _Optional[str] = ..., use_cause: _Optional[str] = ..., fields: _Optional[_Iterable[str]] = ..., operator_pseudonym: _Optional[str] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class FetchLicenceResponse(_message.Message):
    __slots__ = ("presentation", "receipt", "verdict", "log_index")
    PRESENTATION_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    presentation: str
    receipt: _types_pb2.Receipt
    verdict: bytes
    log_index: int
    def __init__(self, presentation: _Optional[str] = ..., receipt: _Optional[_Union[_types_pb2.Receipt, _Mapping]] = ..., verdict: _Optional[bytes] = ..., log_index: _Optional[int] = ...) -> None: ...
