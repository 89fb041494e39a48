"""External authorizers: what the filters that ask a provider are told.

They ask only about what a filter in front of them chose, which leaves the name of a rule where they look for it. A provider
that cannot be asked refuses, unless its ``failOpen`` says otherwise.
"""

from collections.abc import Iterable
from typing import Any

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http_ext_authz
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network_ext_authz
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher

from xdsd.compile.authorization.guards import STATISTICS, chosen_by
from xdsd.model.intent.extension_provider import (
    DEFAULT_TIMEOUT,
    EnvoyExternalAuthorizationHttpProvider,
    ExtAuthzProvider,
    MeshExtensionProvider,
)

_CHOSEN = "shadow_effective_policy_id"
_HTTP_CHOICE = "envoy.filters.http.rbac"
_NETWORK_CHOICE = "envoy.filters.network.rbac"


def http_asking(provider: MeshExtensionProvider, cluster: str) -> http_ext_authz.ExtAuthz:
    """What asks about requests."""
    config = http_ext_authz.ExtAuthz(transport_api_version=ApiVersion.V3)
    over_http = provider.envoy_ext_authz_http
    said = provider.settings
    if said is None:
        raise ValueError(f"provider {provider.name} is of no kind")
    if over_http is not None:
        _ask_over_http(config, over_http, cluster)
    else:
        config.grpc_service.CopyFrom(_grpc(said, cluster))
    config.failure_mode_allow = bool(said.fail_open)
    config.clear_route_cache = bool(said.clear_route_cache)
    config.stat_prefix = provider.name
    if said.status_on_error is not None:
        config.status_on_error.code = int(said.status_on_error)
    body = said.include_request_body_in_check
    if body is not None:
        config.with_request_body.max_request_bytes = body.max_request_bytes
        config.with_request_body.allow_partial_message = bool(body.allow_partial_message)
        config.with_request_body.pack_as_bytes = bool(body.pack_as_bytes)
    config.filter_enabled_metadata.CopyFrom(_chosen(_HTTP_CHOICE, provider.name))
    return config


def network_asking(provider: MeshExtensionProvider, cluster: str) -> network_ext_authz.ExtAuthz:
    """What asks about connections that are not HTTP."""
    said = provider.settings
    if said is None:
        raise ValueError(f"provider {provider.name} is of no kind")
    config = network_ext_authz.ExtAuthz(
        stat_prefix=STATISTICS,
        grpc_service=_grpc(said, cluster),
        failure_mode_allow=bool(said.fail_open),
        transport_api_version=ApiVersion.V3,
    )
    config.filter_enabled_metadata.CopyFrom(_chosen(_NETWORK_CHOICE, provider.name))
    return config


def _ask_over_http(config: Any, said: EnvoyExternalAuthorizationHttpProvider, cluster: str) -> None:
    service = config.http_service
    service.server_uri.uri = f"http://{said.service.rpartition('/')[2]}"
    service.server_uri.cluster = cluster
    _set_timeout(service.server_uri.timeout, said)
    service.path_prefix = said.path_prefix or ""
    if said.include_request_headers_in_check:
        config.allowed_headers.CopyFrom(_names(said.include_request_headers_in_check))
    for name, value in sorted(said.include_additional_headers_in_check.items()):
        service.authorization_request.headers_to_add.add(key=name, value=value)
    answer = service.authorization_response
    for field, names in (
        ("allowed_upstream_headers", said.headers_to_upstream_on_allow),
        ("allowed_client_headers", said.headers_to_downstream_on_deny),
        ("allowed_client_headers_on_success", said.headers_to_downstream_on_allow),
    ):
        if names:
            getattr(answer, field).CopyFrom(_names(names))


def _grpc(said: ExtAuthzProvider, cluster: str) -> GrpcService:
    service = GrpcService()
    service.envoy_grpc.cluster_name = cluster
    # A bar cannot stand in the authority of a request.
    service.envoy_grpc.authority = cluster.replace("|", "_.")
    _set_timeout(service.timeout, said)
    return service


def _set_timeout(duration: Any, said: ExtAuthzProvider) -> None:
    if said.timeout is None:
        duration.seconds = DEFAULT_TIMEOUT
    else:
        duration.FromTimedelta(said.timeout)


def _names(headers: Iterable[str]) -> ListStringMatcher:
    return ListStringMatcher(patterns=[StringMatcher(exact=name, ignore_case=True) for name in headers])


def _chosen(filter_name: str, provider: str) -> MetadataMatcher:
    matcher = MetadataMatcher(filter=filter_name)
    matcher.path.add(key=f"{chosen_by(provider)}{_CHOSEN}")
    matcher.value.string_match.prefix = "ns["
    return matcher
