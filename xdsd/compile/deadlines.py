"""Deadlines: how long a caller waits, and how everybody behind it hears of that.

- A route's timeout is Envoy's: from the end of the request to the end of the answer. The proxy beside the callee is told
  how much is left of it (``x-envoy-expected-rq-timeout-ms``), gives up then too, and passes it to the program. Envoy drops
  this header from whoever is not known to be internal, which by its reckoning no sidecar is; so it is kept aside from that.
  Programs and clients from outside cannot set it for the hops behind them: sidecars' outbound sides and gateways drop it.
- A gRPC call says itself when it ends (``grpc-timeout``). Each proxy on its way ends it then, and never later than the
  route's timeout, which on gRPC ports is for the whole call as deadlines are, streams included. Without a timeout of the
  route that holds on every port; with one, ports of other protocols have Envoy's, and the callee's proxy sees to the rest.

Turned down: ``max_grpc_timeout``, which has proxies warn of its end with every route that has it.
"""

from datetime import timedelta
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation as HeaderMutationFilter,
)
from envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2 import HeaderMutation

EXPECTED_TIMEOUT = "x-envoy-expected-rq-timeout-ms"
KEPT = "x-xdsd-expected-rq-timeout-ms"
"""Under what name the header is kept while Envoy drops what internal callers alone may say."""


def apply_timeout(action: Any, timeout: timedelta | None, *, grpc: bool = False) -> None:
    """Sets the timeout of a RouteAction; none means none, where Envoy's own default would be 15 seconds.

    ``grpc`` tells that its destinations speak gRPC.
    """
    limit = timeout or timedelta()
    action.timeout.FromTimedelta(limit)
    if grpc or not limit:
        action.max_stream_duration.grpc_timeout_header_max.FromTimedelta(limit)
    if grpc and limit:
        action.max_stream_duration.max_stream_duration.FromTimedelta(limit)


def keep_expected_timeout() -> TypedExtensionConfig:
    """Puts what the caller's proxy says aside, before Envoy drops it."""
    config = HeaderMutation()
    config.mutations.add(remove=KEPT)
    _move(config.mutations.add().append, EXPECTED_TIMEOUT, KEPT)
    made = TypedExtensionConfig(name="xdsd.deadline")
    made.typed_config.Pack(config, deterministic=True)
    return made


def restore_expected_timeout() -> HeaderMutationFilter:
    """What a filter is told that puts it back, before the router reads it."""
    config = HeaderMutationFilter()
    _move(config.mutations.request_mutations.add().append, KEPT, EXPECTED_TIMEOUT)
    config.mutations.request_mutations.add(remove=KEPT)
    return config


def _move(target: Any, source: str, to: str) -> None:
    """Sets a header to what another one says; one that is not there adds none."""
    target.header.key, target.header.value = to, f"%REQ({source})%"
    target.append_action = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
