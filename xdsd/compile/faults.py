"""Fault injection: delays and aborts, as configuration of Envoy's fault filter for one route."""

from envoy.extensions.filters.http.fault.v3.fault_pb2 import (
    HTTPFault,
)

from xdsd.compile.percentages import fraction
from xdsd.model.intent import HTTPFaultInjection
from xdsd.model.intent.values import GRPC_STATUSES


def http_fault(fault: HTTPFaultInjection | None) -> HTTPFault | None:
    """The filter's configuration, or None if nothing is to fail. Without a percentage no request is
    concerned.
    """
    out = HTTPFault()
    delay = fault.delay if fault else None
    if delay is not None and delay.fixed_delay is not None:
        out.delay.fixed_delay.FromTimedelta(delay.fixed_delay)
        out.delay.percentage.CopyFrom(fraction(delay.percentage, delay.percent))
    abort = fault.abort if fault else None
    if abort is not None and abort.http_status is not None:
        out.abort.http_status = abort.http_status
    elif abort is not None and abort.grpc_status is not None:
        out.abort.grpc_status = GRPC_STATUSES.index(abort.grpc_status)
    if abort is not None and out.HasField("abort"):
        out.abort.percentage.CopyFrom(fraction(abort.percentage))
    return out if out.HasField("delay") or out.HasField("abort") else None
