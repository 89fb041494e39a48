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
    __slots__ = ("token", "info")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    token: str
    info: JoinToken
    def __init__(self, token: _Optional[str] = ..., info: _Optional[_Union[JoinToken, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("trust_domain", "bundle", "server_identity", "tls_address", "mtls_address")
    TRUST_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    SERVER_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    TLS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MTLS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    trust_domain: str
    bundle: bytes
    server_identity: str
    tls_address: str
    mtls_address: str
    def __init__(self, trust_domain: _Optional[str] = ..., bundle: _Optional[bytes] = ..., server_identity: _Optional[str] = ..., tls_address: _Optional[str] = ..., mtls_address: _Optional[str] = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("identity", "serial", "ttl_seconds", "reason")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    identity: str
    serial: str
    ttl_seconds: int
    reason: str
    def __init__(self, identity: _Optional[str] = ..., serial: _Optional[str] = ..., ttl_seconds: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Revocation(_message.Message):
    __slots__ = ("identity", "serial", "since", "until", "reason", "author")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    identity: str
    serial: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    reason: str
    author: str
    def __init__(self, identity: _Optional[str] = ..., serial: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., author: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("name", "subject", "serial", "fingerprint", "begins", "ends", "renewal")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    subject: str
    serial: str
    fingerprint: str
    begins: _timestamp_pb2.Timestamp
    ends: _timestamp_pb2.Timestamp
    renewal: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., subject: _Optional[str] = ..., serial: _Optional[str] = ..., fingerprint: _Optional[str] = ..., begins: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., renewal: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("name", "synced", "stale", "services", "workloads")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    name: str
    synced: bool
    stale: str
    services: int
    workloads: int
    def __init__(self, name: _Optional[str] = ..., synced: _Optional[bool] = ..., stale: _Optional[str] = ..., services: _Optional[int] = ..., workloads: _Optional[int] = ...) -> None: ...

class ListRegistriesResponse(_message.Message):
    __slots__ = ("registries",)
    REGISTRIES_FIELD_NUMBER: _ClassVar[int]
    registries: _containers.RepeatedCompositeFieldContainer[RegistryStatus]
    def __init__(self, registries: _Optional[_Iterable[_Union[RegistryStatus, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("source", "target", "port", "http", "allowed", "why", "by", "asked", "audited", "tried", "nearest", "failures")
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
    def __init__(self, source: _Optional[_Union[AuthorizationParty, _Mapping]] = ..., target: _Optional[_Union[AuthorizationParty, _Mapping]] = ..., port: _Optional[int] = ..., http: _Optional[bool] = ..., allowed: _Optional[bool] = ..., why: _Optional[str] = ..., by: _Optional[_Union[AuthorizationRule, _Mapping]] = ..., asked: _Optional[_Iterable[_Union[AuthorizationRule, _Mapping]]] = ..., audited: _Optional[_Iterable[_Union[AuthorizationRule, _Mapping]]] = ..., tried: _Optional[_Iterable[_Union[AuthorizationRule, _Mapping]]] = ..., nearest: _Optional[_Union[AuthorizationRule, _Mapping]] = ..., failures: _Optional[_Iterable[_Union[AuthorizationFailure, _Mapping]]] = ...) -> None: ...

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
