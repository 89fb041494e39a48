"""Loads what proxies are served into a real Envoy: all at once, since each start costs a second."""

from collections.abc import Iterable, Mapping

from tests.compile.envoy import RejectedByEnvoyError, validate_with_envoy
from tests.golden.mesh import of_type
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, Resource


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
        of_type(ordered, LISTENER),
        of_type(ordered, ROUTE),
        of_type(ordered, ENDPOINT),
    )
