"""Limits on what a service is asked to carry: connections, requests, streams, timeouts."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from xdsd.model.intent.base import Bool, Count, Finding, Message, UInt32, absent, missing, wrong
from xdsd.model.intent.durations import Duration, DurationOrZero


class H2UpgradePolicy(StrEnum):
    """Whether HTTP/1.1 connections to the service are upgraded to HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class KeepaliveSettings(Message):
    """HTTP/2 PING frames that find dead connections."""

    interval: Duration | None = absent("Pause between PINGs.")
    timeout: Duration | None = absent("How long to wait for the answer.")

    def findings(self) -> Iterator[Finding]:
        for field, value in (("interval", self.interval), ("timeout", self.timeout)):
            if value is None:
                yield missing("is missing; keepalive needs interval and timeout", field)


class HTTPSettings(Message):
    """Limits on HTTP connections to a service."""

    http1_max_pending_requests: Count | None = absent("Requests that may wait for a connection.")
    http2_max_requests: Count | None = absent("Requests that may be active.")
    max_requests_per_connection: Count | None = absent(
        "Requests until a connection is closed; 0 is unlimited."
    )
    max_retries: Count | None = absent("Retries that may be active.")
    idle_timeout: Duration | None = absent("How long a connection without requests is kept; 1h if left out.")
    h2_upgrade_policy: H2UpgradePolicy | None = absent("Whether to upgrade to HTTP/2.")
    use_client_protocol: Bool | None = absent("Speak to the service the protocol that the client spoke.")
    max_concurrent_streams: Count | None = absent("Streams of one HTTP/2 connection.")
    http2_keep_alive: KeepaliveSettings | None = absent("HTTP/2 keepalive.")

    def findings(self) -> Iterator[Finding]:
        if self.h2_upgrade_policy is H2UpgradePolicy.UPGRADE and self.use_client_protocol:
            yield wrong("h2UpgradePolicy UPGRADE is set too, and one excludes the other", "useClientProtocol")


class TcpKeepalive(Message):
    """TCP keepalive probes."""

    probes: UInt32 | None = absent("Unanswered probes until the connection counts as dead.")
    time: Duration | None = absent("Idle time until probes start.")
    interval: Duration | None = absent("Pause between probes.")

    def findings(self) -> Iterator[Finding]:
        for field, value in (("time", self.time), ("interval", self.interval)):
            if value is not None and value % timedelta(seconds=1):
                yield wrong("is not a whole number of seconds", field)


class TCPSettings(Message):
    """Limits on connections to a service."""

    max_connections: Count | None = absent("Connections that may be open.")
    connect_timeout: Duration | None = absent("Time limit of connecting; 10s if left out.")
    tcp_keepalive: TcpKeepalive | None = absent("TCP keepalive.")
    max_connection_duration: Duration | None = absent("Age at which a connection is closed.")
    idle_timeout: DurationOrZero | None = absent("How long a silent connection is kept; 0s is for ever.")


class ConnectionPoolSettings(Message):
    """Limits on what a service is asked to carry."""

    tcp: TCPSettings | None = absent("Limits of TCP, for HTTP too.")
    http: HTTPSettings | None = absent("Limits of HTTP.")

    def findings(self) -> Iterator[Finding]:
        if self.tcp is None and self.http is None:
            yield missing("is empty; give tcp or http")
