from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscribeRequest(_message.Message):
    __slots__ = ("hello", "acknowledged")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    acknowledged: int
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., acknowledged: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("mesh", "wanted", "epoch", "generation")
    MESH_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    mesh: str
    wanted: _containers.RepeatedCompositeFieldContainer[Wanted]
    epoch: str
    generation: int
    def __init__(self, mesh: _Optional[str] = ..., wanted: _Optional[_Iterable[_Union[Wanted, _Mapping]]] = ..., epoch: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class Wanted(_message.Message):
    __slots__ = ("namespaces", "names")
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespaces: _Optional[_Iterable[str]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("begin", "update")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    begin: Begin
    update: Update
    def __init__(self, begin: _Optional[_Union[Begin, _Mapping]] = ..., update: _Optional[_Union[Update, _Mapping]] = ...) -> None: ...

class Begin(_message.Message):
    __slots__ = ("mesh", "trust_domain", "epoch", "resumed")
    MESH_FIELD_NUMBER: _ClassVar[int]
    TRUST_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    mesh: str
    trust_domain: str
    epoch: str
    resumed: bool
    def __init__(self, mesh: _Optional[str] = ..., trust_domain: _Optional[str] = ..., epoch: _Optional[str] = ..., resumed: _Optional[bool] = ...) -> None: ...

class Update(_message.Message):
    __slots__ = ("generation", "complete", "services", "health", "removed", "gateways", "bundle")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    generation: int
    complete: bool
    services: _containers.RepeatedCompositeFieldContainer[Service]
    health: _containers.RepeatedCompositeFieldContainer[Health]
    removed: _containers.RepeatedCompositeFieldContainer[Key]
    gateways: Gateways
    bundle: bytes
    def __init__(self, generation: _Optional[int] = ..., complete: _Optional[bool] = ..., services: _Optional[_Iterable[_Union[Service, _Mapping]]] = ..., health: _Optional[_Iterable[_Union[Health, _Mapping]]] = ..., removed: _Optional[_Iterable[_Union[Key, _Mapping]]] = ..., gateways: _Optional[_Union[Gateways, _Mapping]] = ..., bundle: _Optional[bytes] = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("namespace", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("key", "ports", "identities", "summaries")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    key: Key
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    identities: _containers.RepeatedScalarFieldContainer[str]
    summaries: _containers.RepeatedCompositeFieldContainer[Summary]
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., identities: _Optional[_Iterable[str]] = ..., summaries: _Optional[_Iterable[_Union[Summary, _Mapping]]] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("number", "name", "protocol")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    protocol: str
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ..., protocol: _Optional[str] = ...) -> None: ...

class Health(_message.Message):
    __slots__ = ("key", "summaries")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    key: Key
    summaries: _containers.RepeatedCompositeFieldContainer[Summary]
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ..., summaries: _Optional[_Iterable[_Union[Summary, _Mapping]]] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("locality", "healthy", "total", "weight")
    LOCALITY_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    locality: str
    healthy: int
    total: int
    weight: int
    def __init__(self, locality: _Optional[str] = ..., healthy: _Optional[int] = ..., total: _Optional[int] = ..., weight: _Optional[int] = ...) -> None: ...

class Gateways(_message.Message):
    __slots__ = ("gateways",)
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    gateways: _containers.RepeatedCompositeFieldContainer[Gateway]
    def __init__(self, gateways: _Optional[_Iterable[_Union[Gateway, _Mapping]]] = ...) -> None: ...

class Gateway(_message.Message):
    __slots__ = ("address", "port", "locality")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    LOCALITY_FIELD_NUMBER: _ClassVar[int]
    address: str
    port: int
    locality: str
    def __init__(self, address: _Optional[str] = ..., port: _Optional[int] = ..., locality: _Optional[str] = ...) -> None: ...
