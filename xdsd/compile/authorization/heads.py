"""What a listener says of the filters that guard it: their names and types, not what they are told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from envoy.config.core.v3.config_source_pb2 import ApiVersion, ExtensionConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http_ext_authz
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network_ext_authz
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac

from xdsd.compile.authorization.values import JWT
from xdsd.model.intent import Action

_RBAC = "envoy.filters.http.rbac"
_NETWORK_RBAC = "envoy.filters.network.rbac"
_TYPE = "type.googleapis.com/"


class Part(StrEnum):
    """What one filter does of all that guards."""

    CHOOSE = "choose"
    """Finds out whether a provider is asked."""
    ASK = "ask"
    """Asks the provider."""
    TOKENS = "tokens"
    AUDIT = "audit"
    DENY = "deny"
    ALLOW = "allow"


class Head(NamedTuple):
    """A filter of a listener. ``provider`` is who is asked, of the parts that are about providers. ``place`` tells apart
    the heads of several listeners of one proxy that are told different things.
    """

    part: Part
    http: bool
    provider: str = ""
    place: str = ""

    @property
    def name(self) -> str:
        """Its name, under which it is told; up to a bar, the name by which its kind is known."""
        first = _NAMES[self.part, self.http]
        if self.part is Part.TOKENS and not self.place:
            return first
        return "|".join(word for word in (first, self.part, self.provider, self.place) if word)

    @property
    def type_url(self) -> str:
        """The type of what it is told."""
        return _TYPE + str(_MESSAGES[self.part, self.http].DESCRIPTOR.full_name)


_NAMES: Mapping[tuple[Part, bool], str] = MappingProxyType(
    {
        **{(part, True): _RBAC for part in (Part.CHOOSE, Part.AUDIT, Part.DENY, Part.ALLOW)},
        **{(part, False): _NETWORK_RBAC for part in (Part.CHOOSE, Part.AUDIT, Part.DENY, Part.ALLOW)},
        (Part.TOKENS, True): JWT,
        (Part.ASK, True): "envoy.filters.http.ext_authz",
        (Part.ASK, False): "envoy.filters.network.ext_authz",
    }
)
_MESSAGES: Mapping[tuple[Part, bool], Any] = MappingProxyType(
    {
        **{(part, True): http_rbac.RBAC for part in (Part.CHOOSE, Part.AUDIT, Part.DENY, Part.ALLOW)},
        **{(part, False): network_rbac.RBAC for part in (Part.CHOOSE, Part.AUDIT, Part.DENY, Part.ALLOW)},
        (Part.TOKENS, True): JwtAuthentication,
        (Part.ASK, True): http_ext_authz.ExtAuthz,
        (Part.ASK, False): network_ext_authz.ExtAuthz,
    }
)

ACTIONS: Mapping[Part, Action] = MappingProxyType(
    {Part.AUDIT: Action.AUDIT, Part.DENY: Action.DENY, Part.ALLOW: Action.ALLOW}
)
"""The parts that are about policies of one action."""


@dataclass(frozen=True, slots=True)
class Guarding:
    """The filters of a listener, first to last: those of requests, and those of connections that are not HTTP."""

    http: tuple[HttpFilter, ...] = ()
    network: tuple[Filter, ...] = ()


UNGUARDED = Guarding()


class Extras(NamedTuple):
    """What a listener's filters depend on policies for: whether something is audited, and the providers that are asked:
    all of them about requests, those that speak gRPC about connections too.
    """

    audit: bool = False
    providers: tuple[str, ...] = ()
    grpc: tuple[str, ...] = ()


NO_EXTRAS = Extras()


def heads(extras: Extras, *, place: str = "", http: bool = True) -> tuple[Head, ...]:
    """The filters of a listener, first to last. Providers are asked before tokens are proven, as published: they may be
    what puts the token in.
    """
    found: list[Head] = []
    for provider in extras.providers if http else extras.grpc:
        found += [Head(Part.CHOOSE, http, provider, place), Head(Part.ASK, http, provider, place)]
    if http:
        found.append(Head(Part.TOKENS, http, "", place))
    if extras.audit:
        found.append(Head(Part.AUDIT, http, "", place))
    found += [Head(Part.DENY, http, "", place), Head(Part.ALLOW, http, "", place)]
    return tuple(found)


def guarding(extras: Extras, *, place: str = "") -> Guarding:
    """What guards a listener."""
    return Guarding(
        tuple(_http_filter(head) for head in heads(extras, place=place)),
        tuple(_network_filter(head) for head in heads(extras, place=place, http=False)),
    )


def told(head: Head, config: Any) -> TypedExtensionConfig:
    """What a head is told, as it is discovered; ``config`` is a message of its type."""
    made = TypedExtensionConfig(name=head.name)
    made.typed_config.Pack(config, deterministic=True)
    return made


def _http_filter(head: Head) -> HttpFilter:
    return HttpFilter(name=head.name, config_discovery=_discovery([head.type_url]))


def _network_filter(head: Head) -> Filter:
    return Filter(name=head.name, config_discovery=_discovery([head.type_url]))


def _discovery(type_urls: Iterable[str]) -> ExtensionConfigSource:
    # No default: a filter that is told nothing refuses. No limit of time: until it is told something, the old listener
    # serves on.
    source = ExtensionConfigSource(type_urls=type_urls)
    source.config_source.ads.SetInParent()
    source.config_source.resource_api_version = ApiVersion.V3
    source.config_source.initial_fetch_timeout.SetInParent()
    return source
