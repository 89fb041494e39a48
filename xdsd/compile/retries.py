"""Retry policies."""

from envoy.config.route.v3.route_components_pb2 import RetryPolicy
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import (
    PreviousHostsPredicate,
)
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import (
    PreviousPrioritiesConfig,
)

from xdsd.model.intent import HTTPRetry, InboundHTTPRetry

DEFAULT_ATTEMPTS = 2
DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled"
"""The published default: only what surely never reached the application, and gRPC's own words for that."""

UNREACHED = "x-xdsd-unreached"
"""The header of a sidecar's answer that says that it could not hand a request to its program."""

LOST = "x-xdsd-lost"
"""The header of one that says that its program had the request, and closed the connection without an answer."""

INBOUND_RETRY_ON = "reset-before-request"
_HOST_ATTEMPTS = 5
_ATTEMPTS_A_PRIORITY = 2
_STATUS_CODES = "retriable-status-codes"
_HEADERS = "retriable-headers"


def retry_policy(
    retries: HTTPRetry | None, *, sticky: bool = False, everywhere: bool = False
) -> RetryPolicy | None:
    """The policy for requests to a destination; None disables retries.

    ``sticky`` says that a consistent hash picks the host: then a retry goes where the hash says, even if that
    host was tried before. ``everywhere`` says that the service has its name in all meshes: then each further attempt goes
    to another, of those that are well at that time; as published, every second does, by what was well before.
    """
    if retries is None:
        return _base(DEFAULT_ATTEMPTS, ignore_previous_hosts=not sticky)
    if not retries.attempts:
        return None
    ignore = retries.retry_ignore_previous_hosts
    out = _base(retries.attempts, ignore_previous_hosts=not sticky if ignore is None else ignore)
    if retries.retry_on:
        out.retry_on, codes = _parse_retry_on(retries.retry_on)
        out.retriable_status_codes.extend(codes)
        if _HEADERS in out.retry_on.split(","):
            out.retriable_headers.add(name=UNREACHED, present_match=True)
    if retries.per_try_timeout is not None:
        out.per_try_timeout.FromTimedelta(retries.per_try_timeout)
    if retries.retry_remote_localities:
        out.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        frequency = 1 if everywhere else _ATTEMPTS_A_PRIORITY
        out.retry_priority.typed_config.Pack(PreviousPrioritiesConfig(update_frequency=frequency))
    if retries.backoff is not None:
        out.retry_back_off.base_interval.FromTimedelta(retries.backoff)
    return out


def inbound_retry_policy(retries: InboundHTTPRetry | None = None) -> RetryPolicy | None:
    """For requests to the own application: unless the mesh says otherwise, those alone that a closing idle connection kept
    from being sent. None disables retries.
    """
    out = RetryPolicy(retry_on=INBOUND_RETRY_ON)
    out.num_retries.value = DEFAULT_ATTEMPTS
    if retries is None:
        return out
    if not retries.attempts:
        return None
    out.num_retries.value = retries.attempts
    if retries.retry_on:
        out.retry_on, codes = _parse_retry_on(retries.retry_on)
        out.retriable_status_codes.extend(codes)
    if retries.backoff is not None:
        out.retry_back_off.base_interval.FromTimedelta(retries.backoff)
    return out


def _base(attempts: int, *, ignore_previous_hosts: bool) -> RetryPolicy:
    out = RetryPolicy(retry_on=DEFAULT_RETRY_ON, host_selection_retry_max_attempts=_HOST_ATTEMPTS)
    out.num_retries.value = attempts
    if ignore_previous_hosts:
        predicate = out.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
        predicate.typed_config.Pack(PreviousHostsPredicate())
    return out


def _parse_retry_on(text: str) -> tuple[str, list[int]]:
    """Splits conditions from status codes, which Envoy takes in a field of their own."""
    words = [word for word in (part.strip() for part in text.split(",")) if word]
    codes = [int(word) for word in words if word.isdecimal()]
    conditions = [word for word in words if not word.isdecimal()]
    if codes and _STATUS_CODES not in conditions:
        conditions.append(_STATUS_CODES)
    return ",".join(conditions), codes
