import datetime

from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_ERROR: _ClassVar[Severity]
    SEVERITY_WARNING: _ClassVar[Severity]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_CREATED: _ClassVar[Outcome]
    OUTCOME_CONFIGURED: _ClassVar[Outcome]
    OUTCOME_UNCHANGED: _ClassVar[Outcome]
    OUTCOME_DELETED: _ClassVar[Outcome]

class SyncState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SYNC_STATE_UNSPECIFIED: _ClassVar[SyncState]
    SYNC_STATE_NOT_SENT: _ClassVar[SyncState]
    SYNC_STATE_SYNCED: _ClassVar[SyncState]
    SYNC_STATE_STALE: _ClassVar[SyncState]
    SYNC_STATE_NACKED: _ClassVar[SyncState]
SEVERITY_UNSPECIFIED: Severity
SEVERITY_ERROR: Severity
SEVERITY_WARNING: Severity
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_CREATED: Outcome
OUTCOME_CONFIGURED: Outcome
OUTCOME_UNCHANGED: Outcome
OUTCOME_DELETED: Outcome
SYNC_STATE_UNSPECIFIED: SyncState
SYNC_STATE_NOT_SENT: SyncState
SYNC_STATE_SYNCED: SyncState
SYNC_STATE_STALE: SyncState
SYNC_STATE_NACKED: SyncState

class ObjectRef(_message.Message):
    __slots__ = ("kind", "namespace", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("reason", "message", "object", "path", "file", "line", "severity")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    object: ObjectRef
    path: str
    file: str
    line: int
    severity: Severity
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., object: _Optional[_Union[ObjectRef, _Mapping]] = ..., path: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., severity: _Optional[_Union[Severity, str]] = ...) -> None: ...

class Object(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    def __init__(self, json: _Optional[bytes] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("objects", "dry_run")
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    objects: _containers.RepeatedCompositeFieldContainer[Object]
    dry_run: bool
    def __init__(self, objects: _Optional[_Iterable[_Union[Object, _Mapping]]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ObjectResult(_message.Message):
    __slots__ = ("ref", "outcome", "object")
    REF_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    ref: ObjectRef
    outcome: Outcome
    object: Object
    def __init__(self, ref: _Optional[_Union[ObjectRef, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., object: _Optional[_Union[Object, _Mapping]] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("accepted", "results", "problems", "revision")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    results: _containers.RepeatedCompositeFieldContainer[ObjectResult]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    revision: int
    def __init__(self, accepted: _Optional[bool] = ..., results: _Optional[_Iterable[_Union[ObjectResult, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("ref",)
    REF_FIELD_NUMBER: _ClassVar[int]
    ref: ObjectRef
    def __init__(self, ref: _Optional[_Union[ObjectRef, _Mapping]] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("object",)
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    object: Object
    def __init__(self, object: _Optional[_Union[Object, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("kind", "namespace", "label_selector")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    label_selector: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., label_selector: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("objects", "revision")
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    objects: _containers.RepeatedCompositeFieldContainer[Object]
    revision: int
    def __init__(self, objects: _Optional[_Iterable[_Union[Object, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("refs", "dry_run", "ignore_missing")
    REFS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    IGNORE_MISSING_FIELD_NUMBER: _ClassVar[int]
    refs: _containers.RepeatedCompositeFieldContainer[ObjectRef]
    dry_run: bool
    ignore_missing: bool
    def __init__(self, refs: _Optional[_Iterable[_Union[ObjectRef, _Mapping]]] = ..., dry_run: _Optional[bool] = ..., ignore_missing: _Optional[bool] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("accepted", "results", "problems", "revision", "missing")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    results: _containers.RepeatedCompositeFieldContainer[ObjectResult]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    revision: int
    missing: _containers.RepeatedCompositeFieldContainer[ObjectRef]
    def __init__(self, accepted: _Optional[bool] = ..., results: _Optional[_Iterable[_Union[ObjectResult, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., revision: _Optional[int] = ..., missing: _Optional[_Iterable[_Union[ObjectRef, _Mapping]]] = ...) -> None: ...

class ListHistoryRequest(_message.Message):
    __slots__ = ("kind", "namespace", "name", "limit", "since_revision", "before_revision", "since_time", "before_time", "page_token")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SINCE_REVISION_FIELD_NUMBER: _ClassVar[int]
    BEFORE_REVISION_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_TIME_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    limit: int
    since_revision: int
    before_revision: int
    since_time: _timestamp_pb2.Timestamp
    before_time: _timestamp_pb2.Timestamp
    page_token: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., limit: _Optional[int] = ..., since_revision: _Optional[int] = ..., before_revision: _Optional[int] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., before_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_token: _Optional[str] = ...) -> None: ...

class HistoryRecord(_message.Message):
    __slots__ = ("revision", "time", "who", "origin", "outcome", "ref", "before", "after", "rolled_back_to")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_TO_FIELD_NUMBER: _ClassVar[int]
    revision: int
    time: _timestamp_pb2.Timestamp
    who: str
    origin: str
    outcome: Outcome
    ref: ObjectRef
    before: Object
    after: Object
    rolled_back_to: int
    def __init__(self, revision: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., who: _Optional[str] = ..., origin: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., ref: _Optional[_Union[ObjectRef, _Mapping]] = ..., before: _Optional[_Union[Object, _Mapping]] = ..., after: _Optional[_Union[Object, _Mapping]] = ..., rolled_back_to: _Optional[int] = ...) -> None: ...

class ListHistoryResponse(_message.Message):
    __slots__ = ("records", "more", "kept_since_revision", "next_page_token")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    KEPT_SINCE_REVISION_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[HistoryRecord]
    more: bool
    kept_since_revision: int
    next_page_token: str
    def __init__(self, records: _Optional[_Iterable[_Union[HistoryRecord, _Mapping]]] = ..., more: _Optional[bool] = ..., kept_since_revision: _Optional[int] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("ref", "revision", "dry_run")
    REF_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    ref: ObjectRef
    revision: int
    dry_run: bool
    def __init__(self, ref: _Optional[_Union[ObjectRef, _Mapping]] = ..., revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class DiffRevisionsRequest(_message.Message):
    __slots__ = ("from_revision", "to_revision", "kind", "namespace", "name")
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    from_revision: int
    to_revision: int
    kind: str
    namespace: str
    name: str
    def __init__(self, from_revision: _Optional[int] = ..., to_revision: _Optional[int] = ..., kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Binding(_message.Message):
    __slots__ = ("role", "namespaces")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    role: str
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, role: _Optional[str] = ..., namespaces: _Optional[_Iterable[str]] = ...) -> None: ...

class TokenInfo(_message.Message):
    __slots__ = ("id", "created", "expires", "description")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    description: str
    def __init__(self, id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., description: _Optional[str] = ...) -> None: ...

class User(_message.Message):
    __slots__ = ("name", "bindings", "tokens", "has_password", "certificates", "uids", "disabled")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    HAS_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    UIDS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    name: str
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    tokens: _containers.RepeatedCompositeFieldContainer[TokenInfo]
    has_password: bool
    certificates: _containers.RepeatedScalarFieldContainer[str]
    uids: _containers.RepeatedScalarFieldContainer[int]
    disabled: bool
    def __init__(self, name: _Optional[str] = ..., bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., tokens: _Optional[_Iterable[_Union[TokenInfo, _Mapping]]] = ..., has_password: _Optional[bool] = ..., certificates: _Optional[_Iterable[str]] = ..., uids: _Optional[_Iterable[int]] = ..., disabled: _Optional[bool] = ...) -> None: ...

class WhoAmIRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WhoAmIResponse(_message.Message):
    __slots__ = ("name", "method", "origin", "bindings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    method: str
    origin: str
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    def __init__(self, name: _Optional[str] = ..., method: _Optional[str] = ..., origin: _Optional[str] = ..., bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ...) -> None: ...

class ListUsersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListUsersResponse(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...

class AddUserRequest(_message.Message):
    __slots__ = ("name", "bindings", "certificates", "uids", "password", "dry_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    UIDS_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    certificates: _containers.RepeatedScalarFieldContainer[str]
    uids: _containers.RepeatedScalarFieldContainer[int]
    password: str
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., certificates: _Optional[_Iterable[str]] = ..., uids: _Optional[_Iterable[int]] = ..., password: _Optional[str] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class DeleteUserRequest(_message.Message):
    __slots__ = ("name", "dry_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class DeleteUserResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UpdateUserRequest(_message.Message):
    __slots__ = ("name", "set_certificates", "certificates", "set_uids", "uids", "set_password", "password", "set_disabled", "disabled", "dry_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SET_CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    SET_UIDS_FIELD_NUMBER: _ClassVar[int]
    UIDS_FIELD_NUMBER: _ClassVar[int]
    SET_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    SET_DISABLED_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    set_certificates: bool
    certificates: _containers.RepeatedScalarFieldContainer[str]
    set_uids: bool
    uids: _containers.RepeatedScalarFieldContainer[int]
    set_password: bool
    password: str
    set_disabled: bool
    disabled: bool
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., set_certificates: _Optional[bool] = ..., certificates: _Optional[_Iterable[str]] = ..., set_uids: _Optional[bool] = ..., uids: _Optional[_Iterable[int]] = ..., set_password: _Optional[bool] = ..., password: _Optional[str] = ..., set_disabled: _Optional[bool] = ..., disabled: _Optional[bool] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class IssueTokenRequest(_message.Message):
    __slots__ = ("name", "ttl_seconds", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    ttl_seconds: int
    description: str
    def __init__(self, name: _Optional[str] = ..., ttl_seconds: _Optional[int] = ..., description: _Optional[str] = ...) -> None: ...

class IssueTokenResponse(_message.Message):
    __slots__ = ("token", "info")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    token: str
    info: TokenInfo
    def __init__(self, token: _Optional[str] = ..., info: _Optional[_Union[TokenInfo, _Mapping]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("name", "id", "dry_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class GrantRequest(_message.Message):
    __slots__ = ("name", "binding", "dry_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    binding: Binding
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., binding: _Optional[_Union[Binding, _Mapping]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ListRolesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Role(_message.Message):
    __slots__ = ("name", "description", "may")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MAY_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    may: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., may: _Optional[_Iterable[str]] = ...) -> None: ...

class ListRolesResponse(_message.Message):
    __slots__ = ("roles",)
    ROLES_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedCompositeFieldContainer[Role]
    def __init__(self, roles: _Optional[_Iterable[_Union[Role, _Mapping]]] = ...) -> None: ...

class DiffRequest(_message.Message):
    __slots__ = ("objects",)
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    objects: _containers.RepeatedCompositeFieldContainer[Object]
    def __init__(self, objects: _Optional[_Iterable[_Union[Object, _Mapping]]] = ...) -> None: ...

class ObjectDiff(_message.Message):
    __slots__ = ("ref", "live", "proposed")
    REF_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_FIELD_NUMBER: _ClassVar[int]
    ref: ObjectRef
    live: Object
    proposed: Object
    def __init__(self, ref: _Optional[_Union[ObjectRef, _Mapping]] = ..., live: _Optional[_Union[Object, _Mapping]] = ..., proposed: _Optional[_Union[Object, _Mapping]] = ...) -> None: ...

class DiffResponse(_message.Message):
    __slots__ = ("accepted", "diffs", "problems")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DIFFS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    diffs: _containers.RepeatedCompositeFieldContainer[ObjectDiff]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    def __init__(self, accepted: _Optional[bool] = ..., diffs: _Optional[_Iterable[_Union[ObjectDiff, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("kind", "namespace", "name", "label_selector")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    label_selector: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., label_selector: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("type", "object", "revision")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[WatchResponse.Type]
        TYPE_ADDED: _ClassVar[WatchResponse.Type]
        TYPE_MODIFIED: _ClassVar[WatchResponse.Type]
        TYPE_DELETED: _ClassVar[WatchResponse.Type]
        TYPE_BOOKMARK: _ClassVar[WatchResponse.Type]
    TYPE_UNSPECIFIED: WatchResponse.Type
    TYPE_ADDED: WatchResponse.Type
    TYPE_MODIFIED: WatchResponse.Type
    TYPE_DELETED: WatchResponse.Type
    TYPE_BOOKMARK: WatchResponse.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    type: WatchResponse.Type
    object: Object
    revision: int
    def __init__(self, type: _Optional[_Union[WatchResponse.Type, str]] = ..., object: _Optional[_Union[Object, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class TypeStatus(_message.Message):
    __slots__ = ("type_url", "state", "error", "resources")
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    type_url: str
    state: SyncState
    error: str
    resources: int
    def __init__(self, type_url: _Optional[str] = ..., state: _Optional[_Union[SyncState, str]] = ..., error: _Optional[str] = ..., resources: _Optional[int] = ...) -> None: ...

class ProxyStatus(_message.Message):
    __slots__ = ("node_id", "role", "name", "namespace", "address", "peer", "connected", "types", "version", "identity")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    role: str
    name: str
    namespace: str
    address: str
    peer: str
    connected: _timestamp_pb2.Timestamp
    types: _containers.RepeatedCompositeFieldContainer[TypeStatus]
    version: str
    identity: str
    def __init__(self, node_id: _Optional[str] = ..., role: _Optional[str] = ..., name: _Optional[str] = ..., namespace: _Optional[str] = ..., address: _Optional[str] = ..., peer: _Optional[str] = ..., connected: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., types: _Optional[_Iterable[_Union[TypeStatus, _Mapping]]] = ..., version: _Optional[str] = ..., identity: _Optional[str] = ...) -> None: ...

class CertificateInfo(_message.Message):
    __slots__ = ("subject", "issuer", "names", "serial", "fingerprint", "begins", "ends", "key")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    subject: str
    issuer: str
    names: _containers.RepeatedScalarFieldContainer[str]
    serial: str
    fingerprint: str
    begins: _timestamp_pb2.Timestamp
    ends: _timestamp_pb2.Timestamp
    key: str
    def __init__(self, subject: _Optional[str] = ..., issuer: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., serial: _Optional[str] = ..., fingerprint: _Optional[str] = ..., begins: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., key: _Optional[str] = ...) -> None: ...

class Credential(_message.Message):
    __slots__ = ("namespace", "name", "kind", "certificates", "authorities", "revoked", "lists", "stapled", "service_accounts", "created", "changed", "author")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    LISTS_FIELD_NUMBER: _ClassVar[int]
    STAPLED_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    kind: str
    certificates: _containers.RepeatedCompositeFieldContainer[CertificateInfo]
    authorities: _containers.RepeatedCompositeFieldContainer[CertificateInfo]
    revoked: int
    lists: bool
    stapled: bool
    service_accounts: _containers.RepeatedScalarFieldContainer[str]
    created: _timestamp_pb2.Timestamp
    changed: _timestamp_pb2.Timestamp
    author: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[str] = ..., certificates: _Optional[_Iterable[_Union[CertificateInfo, _Mapping]]] = ..., authorities: _Optional[_Iterable[_Union[CertificateInfo, _Mapping]]] = ..., revoked: _Optional[int] = ..., lists: _Optional[bool] = ..., stapled: _Optional[bool] = ..., service_accounts: _Optional[_Iterable[str]] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., author: _Optional[str] = ...) -> None: ...

class PutCredentialRequest(_message.Message):
    __slots__ = ("namespace", "name", "kind", "files", "service_accounts", "replace", "dry_run", "any_service_account")
    class FilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    ANY_SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    kind: str
    files: _containers.ScalarMap[str, bytes]
    service_accounts: _containers.RepeatedScalarFieldContainer[str]
    replace: bool
    dry_run: bool
    any_service_account: bool
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[str] = ..., files: _Optional[_Mapping[str, bytes]] = ..., service_accounts: _Optional[_Iterable[str]] = ..., replace: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., any_service_account: _Optional[bool] = ...) -> None: ...

class PutCredentialResponse(_message.Message):
    __slots__ = ("credential", "warnings", "replaced")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    credential: Credential
    warnings: _containers.RepeatedScalarFieldContainer[str]
    replaced: bool
    def __init__(self, credential: _Optional[_Union[Credential, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., replaced: _Optional[bool] = ...) -> None: ...

class ListCredentialsRequest(_message.Message):
    __slots__ = ("namespace", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ListCredentialsResponse(_message.Message):
    __slots__ = ("credentials",)
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    credentials: _containers.RepeatedCompositeFieldContainer[Credential]
    def __init__(self, credentials: _Optional[_Iterable[_Union[Credential, _Mapping]]] = ...) -> None: ...

class DeleteCredentialRequest(_message.Message):
    __slots__ = ("namespace", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class JoinToken(_message.Message):
    __slots__ = ("id", "namespace", "service_account", "created", "expires", "single_use", "networks", "description", "author", "used")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    SINGLE_USE_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    id: str
    namespace: str
    service_account: str
    created: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    single_use: bool
    networks: _containers.RepeatedScalarFieldContainer[str]
    description: str
    author: str
    used: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., namespace: _Optional[str] = ..., service_account: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., single_use: _Optional[bool] = ..., networks: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., author: _Optional[str] = ..., used: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateJoinTokenRequest(_message.Message):
    __slots__ = ("namespace", "service_account", "ttl_seconds", "single_use", "networks", "description")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SINGLE_USE_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    service_account: str
    ttl_seconds: int
    single_use: bool
    networks: _containers.RepeatedScalarFieldContainer[str]
    description: str
    def __init__(self, namespace: _Optional[str] = ..., service_account: _Optional[str] = ..., ttl_seconds: _Optional[int] = ..., single_use: _Optional[bool] = ..., networks: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ...) -> None: ...

class CreateJoinTokenResponse(_message.Message):
    __slots__ = ("token", "info", "warnings")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    token: str
    info: JoinToken
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, token: _Optional[str] = ..., info: _Optional[_Union[JoinToken, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ListJoinTokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListJoinTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[JoinToken]
    def __init__(self, tokens: _Optional[_Iterable[_Union[JoinToken, _Mapping]]] = ...) -> None: ...

class RevokeJoinTokenRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetTrustRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Trust(_message.Message):
    __slots__ = ("trust_domain", "bundle", "server_identity", "tls_address", "mtls_address", "issuers", "mesh_domain")
    TRUST_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    SERVER_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    TLS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MTLS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ISSUERS_FIELD_NUMBER: _ClassVar[int]
    MESH_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    trust_domain: str
    bundle: bytes
    server_identity: str
    tls_address: str
    mtls_address: str
    issuers: bytes
    mesh_domain: str
    def __init__(self, trust_domain: _Optional[str] = ..., bundle: _Optional[bytes] = ..., server_identity: _Optional[str] = ..., tls_address: _Optional[str] = ..., mtls_address: _Optional[str] = ..., issuers: _Optional[bytes] = ..., mesh_domain: _Optional[str] = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("identity", "serial", "ttl_seconds", "reason", "keep_connections", "everywhere")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KEEP_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    EVERYWHERE_FIELD_NUMBER: _ClassVar[int]
    identity: str
    serial: str
    ttl_seconds: int
    reason: str
    keep_connections: bool
    everywhere: bool
    def __init__(self, identity: _Optional[str] = ..., serial: _Optional[str] = ..., ttl_seconds: _Optional[int] = ..., reason: _Optional[str] = ..., keep_connections: _Optional[bool] = ..., everywhere: _Optional[bool] = ...) -> None: ...

class Revocation(_message.Message):
    __slots__ = ("identity", "serial", "since", "until", "reason", "author", "warnings")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    identity: str
    serial: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    reason: str
    author: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, identity: _Optional[str] = ..., serial: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., author: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ListIssuedRequest(_message.Message):
    __slots__ = ("identity",)
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    identity: str
    def __init__(self, identity: _Optional[str] = ...) -> None: ...

class IssuedCertificate(_message.Message):
    __slots__ = ("serial", "expires", "revoked")
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    serial: str
    expires: _timestamp_pb2.Timestamp
    revoked: bool
    def __init__(self, serial: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoked: _Optional[bool] = ...) -> None: ...

class ListIssuedResponse(_message.Message):
    __slots__ = ("certificates",)
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    certificates: _containers.RepeatedCompositeFieldContainer[IssuedCertificate]
    def __init__(self, certificates: _Optional[_Iterable[_Union[IssuedCertificate, _Mapping]]] = ...) -> None: ...

class ListRevocationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRevocationsResponse(_message.Message):
    __slots__ = ("revocations",)
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    revocations: _containers.RepeatedCompositeFieldContainer[Revocation]
    def __init__(self, revocations: _Optional[_Iterable[_Union[Revocation, _Mapping]]] = ...) -> None: ...

class RestoreRequest(_message.Message):
    __slots__ = ("identity", "serial")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    identity: str
    serial: str
    def __init__(self, identity: _Optional[str] = ..., serial: _Optional[str] = ...) -> None: ...

class ListProxiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProxiesResponse(_message.Message):
    __slots__ = ("proxies",)
    PROXIES_FIELD_NUMBER: _ClassVar[int]
    proxies: _containers.RepeatedCompositeFieldContainer[ProxyStatus]
    def __init__(self, proxies: _Optional[_Iterable[_Union[ProxyStatus, _Mapping]]] = ...) -> None: ...

class ListSecretsRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class SecretStatus(_message.Message):
    __slots__ = ("name", "subject", "serial", "fingerprint", "begins", "ends", "renewal", "trust_domain")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    TRUST_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    subject: str
    serial: str
    fingerprint: str
    begins: _timestamp_pb2.Timestamp
    ends: _timestamp_pb2.Timestamp
    renewal: _timestamp_pb2.Timestamp
    trust_domain: str
    def __init__(self, name: _Optional[str] = ..., subject: _Optional[str] = ..., serial: _Optional[str] = ..., fingerprint: _Optional[str] = ..., begins: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., renewal: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trust_domain: _Optional[str] = ...) -> None: ...

class ListSecretsResponse(_message.Message):
    __slots__ = ("node_id", "secrets")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    secrets: _containers.RepeatedCompositeFieldContainer[SecretStatus]
    def __init__(self, node_id: _Optional[str] = ..., secrets: _Optional[_Iterable[_Union[SecretStatus, _Mapping]]] = ...) -> None: ...

class DumpConfigRequest(_message.Message):
    __slots__ = ("node", "type_url")
    NODE_FIELD_NUMBER: _ClassVar[int]
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    node: str
    type_url: str
    def __init__(self, node: _Optional[str] = ..., type_url: _Optional[str] = ...) -> None: ...

class ConfigResource(_message.Message):
    __slots__ = ("name", "version", "resource")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    resource: _any_pb2.Any
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., resource: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class DumpConfigResponse(_message.Message):
    __slots__ = ("node_id", "generation", "resources")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    generation: int
    resources: _containers.RepeatedCompositeFieldContainer[ConfigResource]
    def __init__(self, node_id: _Optional[str] = ..., generation: _Optional[int] = ..., resources: _Optional[_Iterable[_Union[ConfigResource, _Mapping]]] = ...) -> None: ...

class ListRegistriesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RegistryStatus(_message.Message):
    __slots__ = ("name", "synced", "stale", "services", "workloads", "kind", "state", "since", "last_sync", "last_change", "endpoints", "problems", "outages", "last_error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SYNC_FIELD_NUMBER: _ClassVar[int]
    LAST_CHANGE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    OUTAGES_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    synced: bool
    stale: str
    services: int
    workloads: int
    kind: str
    state: str
    since: _timestamp_pb2.Timestamp
    last_sync: _timestamp_pb2.Timestamp
    last_change: _timestamp_pb2.Timestamp
    endpoints: int
    problems: int
    outages: int
    last_error: str
    def __init__(self, name: _Optional[str] = ..., synced: _Optional[bool] = ..., stale: _Optional[str] = ..., services: _Optional[int] = ..., workloads: _Optional[int] = ..., kind: _Optional[str] = ..., state: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_sync: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_change: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., endpoints: _Optional[int] = ..., problems: _Optional[int] = ..., outages: _Optional[int] = ..., last_error: _Optional[str] = ...) -> None: ...

class ListRegistriesResponse(_message.Message):
    __slots__ = ("registries",)
    REGISTRIES_FIELD_NUMBER: _ClassVar[int]
    registries: _containers.RepeatedCompositeFieldContainer[RegistryStatus]
    def __init__(self, registries: _Optional[_Iterable[_Union[RegistryStatus, _Mapping]]] = ...) -> None: ...

class ListCatalogRequest(_message.Message):
    __slots__ = ("namespace", "name", "label_selector")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    label_selector: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., label_selector: _Optional[str] = ...) -> None: ...

class CatalogPort(_message.Message):
    __slots__ = ("number", "name", "protocol", "basis", "target", "sources")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    protocol: str
    basis: str
    target: int
    sources: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ..., protocol: _Optional[str] = ..., basis: _Optional[str] = ..., target: _Optional[int] = ..., sources: _Optional[_Iterable[str]] = ...) -> None: ...

class CatalogAddress(_message.Message):
    __slots__ = ("address", "sources")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    address: str
    sources: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, address: _Optional[str] = ..., sources: _Optional[_Iterable[str]] = ...) -> None: ...

class CatalogService(_message.Message):
    __slots__ = ("namespace", "host", "ports", "addresses", "resolution", "location", "export_to", "selector", "created", "sources", "endpoints", "healthy", "subject_alt_names", "spread")
    class SelectorEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    EXPORT_TO_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ALT_NAMES_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    host: str
    ports: _containers.RepeatedCompositeFieldContainer[CatalogPort]
    addresses: _containers.RepeatedCompositeFieldContainer[CatalogAddress]
    resolution: str
    location: str
    export_to: _containers.RepeatedScalarFieldContainer[str]
    selector: _containers.ScalarMap[str, str]
    created: str
    sources: _containers.RepeatedScalarFieldContainer[str]
    endpoints: int
    healthy: int
    subject_alt_names: _containers.RepeatedScalarFieldContainer[str]
    spread: str
    def __init__(self, namespace: _Optional[str] = ..., host: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[CatalogPort, _Mapping]]] = ..., addresses: _Optional[_Iterable[_Union[CatalogAddress, _Mapping]]] = ..., resolution: _Optional[str] = ..., location: _Optional[str] = ..., export_to: _Optional[_Iterable[str]] = ..., selector: _Optional[_Mapping[str, str]] = ..., created: _Optional[str] = ..., sources: _Optional[_Iterable[str]] = ..., endpoints: _Optional[int] = ..., healthy: _Optional[int] = ..., subject_alt_names: _Optional[_Iterable[str]] = ..., spread: _Optional[str] = ...) -> None: ...

class ListServicesResponse(_message.Message):
    __slots__ = ("services",)
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[CatalogService]
    def __init__(self, services: _Optional[_Iterable[_Union[CatalogService, _Mapping]]] = ...) -> None: ...

class ListGlobalRequest(_message.Message):
    __slots__ = ("namespace", "name", "locality", "client_namespace")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOCALITY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    locality: str
    client_namespace: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., locality: _Optional[str] = ..., client_namespace: _Optional[str] = ...) -> None: ...

class ListGlobalResponse(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedCompositeFieldContainer[GlobalName]
    def __init__(self, names: _Optional[_Iterable[_Union[GlobalName, _Mapping]]] = ...) -> None: ...

class GlobalName(_message.Message):
    __slots__ = ("namespace", "host", "places")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    host: str
    places: _containers.RepeatedCompositeFieldContainer[GlobalPlace]
    def __init__(self, namespace: _Optional[str] = ..., host: _Optional[str] = ..., places: _Optional[_Iterable[_Union[GlobalPlace, _Mapping]]] = ...) -> None: ...

class GlobalPlace(_message.Message):
    __slots__ = ("peer", "locality", "healthy", "total", "weight", "priority", "percent")
    PEER_FIELD_NUMBER: _ClassVar[int]
    LOCALITY_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    peer: str
    locality: str
    healthy: int
    total: int
    weight: int
    priority: int
    percent: float
    def __init__(self, peer: _Optional[str] = ..., locality: _Optional[str] = ..., healthy: _Optional[int] = ..., total: _Optional[int] = ..., weight: _Optional[int] = ..., priority: _Optional[int] = ..., percent: _Optional[float] = ...) -> None: ...

class CatalogEndpoint(_message.Message):
    __slots__ = ("namespace", "host", "address", "ports", "labels", "locality", "weight", "network", "service_account", "health", "workload", "sources", "health_sources", "node")
    class PortsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LOCALITY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    HEALTH_SOURCES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    host: str
    address: str
    ports: _containers.ScalarMap[str, int]
    labels: _containers.ScalarMap[str, str]
    locality: str
    weight: int
    network: str
    service_account: str
    health: str
    workload: str
    sources: _containers.RepeatedScalarFieldContainer[str]
    health_sources: _containers.RepeatedScalarFieldContainer[str]
    node: str
    def __init__(self, namespace: _Optional[str] = ..., host: _Optional[str] = ..., address: _Optional[str] = ..., ports: _Optional[_Mapping[str, int]] = ..., labels: _Optional[_Mapping[str, str]] = ..., locality: _Optional[str] = ..., weight: _Optional[int] = ..., network: _Optional[str] = ..., service_account: _Optional[str] = ..., health: _Optional[str] = ..., workload: _Optional[str] = ..., sources: _Optional[_Iterable[str]] = ..., health_sources: _Optional[_Iterable[str]] = ..., node: _Optional[str] = ...) -> None: ...

class ListEndpointsResponse(_message.Message):
    __slots__ = ("endpoints",)
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    endpoints: _containers.RepeatedCompositeFieldContainer[CatalogEndpoint]
    def __init__(self, endpoints: _Optional[_Iterable[_Union[CatalogEndpoint, _Mapping]]] = ...) -> None: ...

class CatalogWorkload(_message.Message):
    __slots__ = ("namespace", "name", "source", "address", "ports", "labels", "locality", "weight", "network", "service_account", "health", "services", "node")
    class PortsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LOCALITY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    source: str
    address: str
    ports: _containers.ScalarMap[str, int]
    labels: _containers.ScalarMap[str, str]
    locality: str
    weight: int
    network: str
    service_account: str
    health: str
    services: _containers.RepeatedScalarFieldContainer[str]
    node: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., source: _Optional[str] = ..., address: _Optional[str] = ..., ports: _Optional[_Mapping[str, int]] = ..., labels: _Optional[_Mapping[str, str]] = ..., locality: _Optional[str] = ..., weight: _Optional[int] = ..., network: _Optional[str] = ..., service_account: _Optional[str] = ..., health: _Optional[str] = ..., services: _Optional[_Iterable[str]] = ..., node: _Optional[str] = ...) -> None: ...

class ListWorkloadsResponse(_message.Message):
    __slots__ = ("workloads",)
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    workloads: _containers.RepeatedCompositeFieldContainer[CatalogWorkload]
    def __init__(self, workloads: _Optional[_Iterable[_Union[CatalogWorkload, _Mapping]]] = ...) -> None: ...

class DescribeServiceRequest(_message.Message):
    __slots__ = ("namespace", "host")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    host: str
    def __init__(self, namespace: _Optional[str] = ..., host: _Optional[str] = ...) -> None: ...

class Concerning(_message.Message):
    __slots__ = ("ref", "how")
    REF_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    ref: ObjectRef
    how: str
    def __init__(self, ref: _Optional[_Union[ObjectRef, _Mapping]] = ..., how: _Optional[str] = ...) -> None: ...

class DescribeServiceResponse(_message.Message):
    __slots__ = ("service", "endpoints", "objects", "problems", "visible_to", "identities")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_TO_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    service: CatalogService
    endpoints: _containers.RepeatedCompositeFieldContainer[CatalogEndpoint]
    objects: _containers.RepeatedCompositeFieldContainer[Concerning]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    visible_to: _containers.RepeatedScalarFieldContainer[str]
    identities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service: _Optional[_Union[CatalogService, _Mapping]] = ..., endpoints: _Optional[_Iterable[_Union[CatalogEndpoint, _Mapping]]] = ..., objects: _Optional[_Iterable[_Union[Concerning, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., visible_to: _Optional[_Iterable[str]] = ..., identities: _Optional[_Iterable[str]] = ...) -> None: ...

class ListProblemsRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class ListProblemsResponse(_message.Message):
    __slots__ = ("problems",)
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    def __init__(self, problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ...) -> None: ...

class VersionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VersionResponse(_message.Message):
    __slots__ = ("version", "python", "platform")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    version: str
    python: str
    platform: str
    def __init__(self, version: _Optional[str] = ..., python: _Optional[str] = ..., platform: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Check(_message.Message):
    __slots__ = ("name", "ok", "detail", "state")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    ok: bool
    detail: str
    state: str
    def __init__(self, name: _Optional[str] = ..., ok: _Optional[bool] = ..., detail: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("version", "ready", "started", "generation", "proxies", "problems", "checks", "name", "store", "compiled_revision", "singletons")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PROXIES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    COMPILED_REVISION_FIELD_NUMBER: _ClassVar[int]
    SINGLETONS_FIELD_NUMBER: _ClassVar[int]
    version: str
    ready: bool
    started: _timestamp_pb2.Timestamp
    generation: int
    proxies: int
    problems: int
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    name: str
    store: StoreState
    compiled_revision: int
    singletons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., ready: _Optional[bool] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., generation: _Optional[int] = ..., proxies: _Optional[int] = ..., problems: _Optional[int] = ..., checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., name: _Optional[str] = ..., store: _Optional[_Union[StoreState, _Mapping]] = ..., compiled_revision: _Optional[int] = ..., singletons: _Optional[_Iterable[str]] = ...) -> None: ...

class StoreState(_message.Message):
    __slots__ = ("kind", "version", "revision", "compacted_revision", "size_bytes", "used_bytes", "leader", "members", "unavailable")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMPACTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    version: str
    revision: int
    compacted_revision: int
    size_bytes: int
    used_bytes: int
    leader: str
    members: _containers.RepeatedScalarFieldContainer[str]
    unavailable: str
    def __init__(self, kind: _Optional[str] = ..., version: _Optional[str] = ..., revision: _Optional[int] = ..., compacted_revision: _Optional[int] = ..., size_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., leader: _Optional[str] = ..., members: _Optional[_Iterable[str]] = ..., unavailable: _Optional[str] = ...) -> None: ...

class CanRequest(_message.Message):
    __slots__ = ("source", "target", "namespace", "port", "method", "path", "headers", "claims")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    namespace: str
    port: int
    method: str
    path: str
    headers: _containers.RepeatedCompositeFieldContainer[Header]
    claims: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., namespace: _Optional[str] = ..., port: _Optional[int] = ..., method: _Optional[str] = ..., path: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[Header, _Mapping]]] = ..., claims: _Optional[str] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class CanResponse(_message.Message):
    __slots__ = ("verdicts",)
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[AuthorizationVerdict]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[AuthorizationVerdict, _Mapping]]] = ...) -> None: ...

class AuthorizationVerdict(_message.Message):
    __slots__ = ("source", "target", "port", "http", "allowed", "why", "by", "asked", "audited", "tried", "nearest", "failures", "identity_lost")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    HTTP_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    TRIED_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_LOST_FIELD_NUMBER: _ClassVar[int]
    source: AuthorizationParty
    target: AuthorizationParty
    port: int
    http: bool
    allowed: bool
    why: str
    by: AuthorizationRule
    asked: _containers.RepeatedCompositeFieldContainer[AuthorizationRule]
    audited: _containers.RepeatedCompositeFieldContainer[AuthorizationRule]
    tried: _containers.RepeatedCompositeFieldContainer[AuthorizationRule]
    nearest: AuthorizationRule
    failures: _containers.RepeatedCompositeFieldContainer[AuthorizationFailure]
    identity_lost: str
    def __init__(self, source: _Optional[_Union[AuthorizationParty, _Mapping]] = ..., target: _Optional[_Union[AuthorizationParty, _Mapping]] = ..., port: _Optional[int] = ..., http: _Optional[bool] = ..., allowed: _Optional[bool] = ..., why: _Optional[str] = ..., by: _Optional[_Union[AuthorizationRule, _Mapping]] = ..., asked: _Optional[_Iterable[_Union[AuthorizationRule, _Mapping]]] = ..., audited: _Optional[_Iterable[_Union[AuthorizationRule, _Mapping]]] = ..., tried: _Optional[_Iterable[_Union[AuthorizationRule, _Mapping]]] = ..., nearest: _Optional[_Union[AuthorizationRule, _Mapping]] = ..., failures: _Optional[_Iterable[_Union[AuthorizationFailure, _Mapping]]] = ..., identity_lost: _Optional[str] = ...) -> None: ...

class AuthorizationParty(_message.Message):
    __slots__ = ("name", "identity", "address", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    identity: str
    address: str
    labels: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., identity: _Optional[str] = ..., address: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class AuthorizationRule(_message.Message):
    __slots__ = ("policy", "rule", "action", "provider")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    policy: ObjectRef
    rule: int
    action: str
    provider: str
    def __init__(self, policy: _Optional[_Union[ObjectRef, _Mapping]] = ..., rule: _Optional[int] = ..., action: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class AuthorizationFailure(_message.Message):
    __slots__ = ("path", "wants", "negated", "has")
    PATH_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    NEGATED_FIELD_NUMBER: _ClassVar[int]
    HAS_FIELD_NUMBER: _ClassVar[int]
    path: str
    wants: _containers.RepeatedScalarFieldContainer[str]
    negated: bool
    has: str
    def __init__(self, path: _Optional[str] = ..., wants: _Optional[_Iterable[str]] = ..., negated: _Optional[bool] = ..., has: _Optional[str] = ...) -> None: ...

class MatrixRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class MatrixResponse(_message.Message):
    __slots__ = ("cells",)
    CELLS_FIELD_NUMBER: _ClassVar[int]
    cells: _containers.RepeatedCompositeFieldContainer[MatrixCell]
    def __init__(self, cells: _Optional[_Iterable[_Union[MatrixCell, _Mapping]]] = ...) -> None: ...

class MatrixCell(_message.Message):
    __slots__ = ("source", "target", "port", "outlook")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    OUTLOOK_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    port: int
    outlook: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., port: _Optional[int] = ..., outlook: _Optional[str] = ...) -> None: ...

class GetRotationRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RotateRequest(_message.Message):
    __slots__ = ("action", "names")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[RotateRequest.Action]
        BEGIN: _ClassVar[RotateRequest.Action]
        ABORT: _ClassVar[RotateRequest.Action]
        LEAVE: _ClassVar[RotateRequest.Action]
        ROOTS_GIVEN: _ClassVar[RotateRequest.Action]
    ACTION_UNSPECIFIED: RotateRequest.Action
    BEGIN: RotateRequest.Action
    ABORT: RotateRequest.Action
    LEAVE: RotateRequest.Action
    ROOTS_GIVEN: RotateRequest.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    action: RotateRequest.Action
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, action: _Optional[_Union[RotateRequest.Action, str]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class CaRoot(_message.Message):
    __slots__ = ("id", "state", "subject", "expires", "trusting", "certified")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    TRUSTING_FIELD_NUMBER: _ClassVar[int]
    CERTIFIED_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: str
    subject: str
    expires: _timestamp_pb2.Timestamp
    trusting: int
    certified: int
    def __init__(self, id: _Optional[str] = ..., state: _Optional[str] = ..., subject: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trusting: _Optional[int] = ..., certified: _Optional[int] = ...) -> None: ...

class RotationHold(_message.Message):
    __slots__ = ("name", "why", "away")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    AWAY_FIELD_NUMBER: _ClassVar[int]
    name: str
    why: str
    away: bool
    def __init__(self, name: _Optional[str] = ..., why: _Optional[str] = ..., away: _Optional[bool] = ...) -> None: ...

class Rotation(_message.Message):
    __slots__ = ("roots", "step", "back", "old", "new", "author", "begun", "entered", "asked", "holds", "left", "roots_given", "by_token")
    ROOTS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    BACK_FIELD_NUMBER: _ClassVar[int]
    OLD_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    BEGUN_FIELD_NUMBER: _ClassVar[int]
    ENTERED_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    ROOTS_GIVEN_FIELD_NUMBER: _ClassVar[int]
    BY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    roots: _containers.RepeatedCompositeFieldContainer[CaRoot]
    step: str
    back: bool
    old: str
    new: str
    author: str
    begun: _timestamp_pb2.Timestamp
    entered: _timestamp_pb2.Timestamp
    asked: int
    holds: _containers.RepeatedCompositeFieldContainer[RotationHold]
    left: _containers.RepeatedScalarFieldContainer[str]
    roots_given: bool
    by_token: int
    def __init__(self, roots: _Optional[_Iterable[_Union[CaRoot, _Mapping]]] = ..., step: _Optional[str] = ..., back: _Optional[bool] = ..., old: _Optional[str] = ..., new: _Optional[str] = ..., author: _Optional[str] = ..., begun: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., entered: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., asked: _Optional[int] = ..., holds: _Optional[_Iterable[_Union[RotationHold, _Mapping]]] = ..., left: _Optional[_Iterable[str]] = ..., roots_given: _Optional[bool] = ..., by_token: _Optional[int] = ...) -> None: ...
