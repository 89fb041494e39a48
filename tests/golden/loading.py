"""Loads what proxies are served into a real Envoy: all at once, since each start costs a second."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from tests.compile.envoy import RejectedByEnvoyError, validate_with_envoy
from tests.golden.mesh import of_type
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, Resource


def load(served: Mapping[str, Iterable[Resource]]) -> None:
    """Has Envoy load every different resource; if it refuses, raises what it has against the first one at fault."""
    try:
        _load({resource for resources in served.values() for resource in resources})
    except RejectedByEnvoyError as together:
        for who, resources in served.items():
            try:
                _load(resources)
            except RejectedByEnvoyError as error:
                raise RejectedByEnvoyError(f"{who}: {error}") from None
        raise RejectedByEnvoyError(f"only together: {together}") from None


def _load(resources: Iterable[Resource]) -> None:
    ordered = sorted(resources, key=lambda each: (each.type_url, each.name, each.version))
    validate_with_envoy(
        of_type(ordered, CLUSTER),
        [_whole(each, of_type(ordered, EXTENSION)) for each in of_type(ordered, LISTENER)],
        of_type(ordered, ROUTE),
        of_type(ordered, ENDPOINT),
    )


def _whole(listener: Any, extensions: Sequence[Any]) -> Any:
    """A listener (these are generated messages) whose filters hold what they would discover."""
    told = {each.name: each.typed_config for each in extensions}
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    for network_filter in (each for chain in chains for each in chain.filters):
        if network_filter.HasField("config_discovery") and network_filter.name in told:
            network_filter.typed_config.CopyFrom(told[network_filter.name])
        manager = HttpConnectionManager()
        if not network_filter.typed_config.Unpack(manager):
            continue
        for each in manager.http_filters:
            if each.HasField("config_discovery") and each.name in told:
                each.typed_config.CopyFrom(told[each.name])
        network_filter.typed_config.Pack(manager)
    return listener
