"""What an operator may decide about every listener; the defaults are Istio's where it has any."""

from dataclasses import dataclass, field
from datetime import timedelta

from xdsd.compile.access_logs import AccessLog
from xdsd.compile.authorization.heads import UNGUARDED, Guarding
from xdsd.compile.limits.limiting import NO_LIMITS, Limiting
from xdsd.model.intent import ForwardClientCertDetails, InboundHTTPRetry, PathNormalizationType


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Settings of the mesh that end up in listeners; a change of any of them replaces listeners.

    ``stream_idle_timeout`` of sidecars is 0 (none) because a route's own timeout bounds a request. A
    gateway faces clients nobody knows, so a stream without a byte for ``gateway_stream_idle_timeout``
    ends there. ``xff_trusted_hops`` counts the proxies before a gateway whose ``x-forwarded-for`` is
    believed, ``client_certs`` says what gateways do with ``x-forwarded-client-cert``. With ``proxy_protocol``
    connections to gateways begin with the PROXY protocol.
    ``buffer_limit`` is bytes a connection may hold in memory; 0 leaves Envoy's own (1 MiB).
    ``limiting`` is what RateLimits put into a listener, ``guarding`` what lets policies decide there.
    ``paths`` says how far paths are normalized; ``detection_timeout``
    is how long a client may be silent whose protocol is found out, None for Envoy's own and on the way out no limit.
    ``inbound_retries`` are those from sidecars to their programs, None for the default. Connections of peers end when
    ``turn`` becomes another.
    """

    access_log: AccessLog = field(default_factory=AccessLog)
    stream_idle_timeout: timedelta = timedelta(0)
    gateway_stream_idle_timeout: timedelta = timedelta(hours=1)
    xff_trusted_hops: int = 0
    client_certs: ForwardClientCertDetails = ForwardClientCertDetails.SANITIZE_SET
    proxy_protocol: bool = False
    buffer_limit: int = 0
    limiting: Limiting = NO_LIMITS
    guarding: Guarding = UNGUARDED
    paths: PathNormalizationType = PathNormalizationType.DEFAULT
    detection_timeout: timedelta | None = None
    inbound_retries: InboundHTTPRetry | None = None
    turn: str = ""


DEFAULTS = ListenerSettings()
