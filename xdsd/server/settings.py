"""What the server can be told."""

from dataclasses import dataclass

from xdsd.protocol.limits import Limits, Timing
from xdsd.server.quotas import Allowance


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Times in seconds, sizes in bytes.

    ``keepalive``: how often a silent connection is pinged; ``keepalive_timeout`` later it is given up.
    ``streams``, ``streams_a_connection``, ``streams_a_node``: how many may be open at once.
    ``allowance``: what one identity may use. ``request_bytes``: the largest request that is taken. ``slice``: how many
    streams are served between two looks at other work of the event loop.
    """

    timing: Timing = Timing()  # noqa: RUF009 - immutable
    limits: Limits = Limits()  # noqa: RUF009 - immutable
    keepalive: float = 30.0
    keepalive_timeout: float = 10.0
    streams: int = 20_000
    streams_a_connection: int = 128
    streams_a_node: int = 64
    allowance: Allowance = Allowance()  # noqa: RUF009 - immutable
    request_bytes: int = 16 << 20
    slice: int = 32

    def channel_options(self) -> list[tuple[str, int]]:
        """gRPC's own arguments. Its default for pending requests loses streams when thousands connect at once."""
        return [
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", self.streams_a_connection),
            ("grpc.max_receive_message_length", self.request_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", round(self.keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", round(self.keepalive_timeout * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
            ("grpc.server.max_pending_requests", self.streams),
            ("grpc.server.max_pending_requests_hard_limit", self.streams),
        ]
