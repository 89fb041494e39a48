"""How the daemon speaks of itself: a logger and metrics, both made here and passed to whoever needs them.

Nothing is global: the logger writes to the stream that it was given, metrics live in a registry of their own,
so that two daemons in one process (tests do that) never mix. The label ``type`` is the xDS service's short
name: cds, eds, lds, rds, sds.
"""

import asyncio
import logging
from collections import Counter as Counts
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TextIO, TypeVar, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import FilteringBoundLogger

from xdsd.protocol.watch import State, TypeStatus
from xdsd.settings import LogFormat, LogLevel
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, VIRTUAL_HOST, SnapshotChange

Metric = TypeVar("Metric", Counter, Gauge)
TYPE_LABELS: Mapping[str, str] = {
    CLUSTER: "cds",
    ENDPOINT: "eds",
    LISTENER: "lds",
    ROUTE: "rds",
    VIRTUAL_HOST: "vhds",
    SECRET: "sds",
    EXTENSION: "ecds",
}
_LEVELS = {LogLevel.DEBUG: 10, LogLevel.INFO: 20, LogLevel.WARNING: 30, LogLevel.ERROR: 40}
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COMPILE = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def make_logger(log_format: LogFormat, level: LogLevel, stream: TextIO) -> FilteringBoundLogger:
    """A logger that writes lines to ``stream``: one JSON object each, or columns for people."""
    if log_format is LogFormat.AUTO:
        log_format = LogFormat.CONSOLE if stream.isatty() else LogFormat.JSON
    renderer: list[Any]  # processors are typed by what they pass on, which differs
    # Tracebacks never show locals: tokens, headers and passwords stand in them.
    if log_format is LogFormat.JSON:
        tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        renderer = [tracebacks, structlog.processors.JSONRenderer(default=str)]
    else:
        plain = structlog.dev.plain_traceback
        renderer = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    wrapped = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", wrapped.bind())


class LibraryLogs(logging.Handler):
    """Hands what libraries say through the standard logging (asyncio, aiohttp, grpc) to our logger."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.log(record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info)


@contextmanager
def library_logs(logger: FilteringBoundLogger) -> Iterator[None]:
    """While it lasts, warnings and errors of libraries come out of ``logger``: Python's own warnings too, such as of a
    certificate that somebody sent.
    """
    handler = LibraryLogs(logger)
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)


class SourceHealth(Protocol):
    """What metrics want to know of a source of the catalog."""

    @property
    def name(self) -> str: ...

    @property
    def synced(self) -> bool: ...

    @property
    def stale(self) -> str:
        """Why its platform cannot be asked; empty if it can."""

    @property
    def services(self) -> int: ...

    @property
    def workloads(self) -> int: ...

    @property
    def endpoints(self) -> int: ...

    @property
    def problems(self) -> int: ...

    @property
    def outages(self) -> int: ...

    @property
    def last_sync(self) -> datetime | None: ...

    @property
    def last_change(self) -> datetime | None: ...


class Metrics:
    """Every metric of the daemon, and the observer of the streams and of the reconciling loop.

    What is counted per type has its children at hand, so that a push looks nothing up by label.
    """

    def __init__(self, registry: CollectorRegistry, version: str) -> None:
        self.registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, buckets=buckets, registry=registry)

        gauge("xdsd_build_info", "Always 1; the version is a label.", "version").labels(version).set(1)
        self._connected = gauge("xdsd_connected_proxies", "Proxies with an open xDS stream.")
        self._streams = counter("xdsd_streams_total", "xDS streams that were opened.")
        self._refused = counter(
            "xdsd_refused_streams_total", "xDS streams that were ended for what their client did.", "reason"
        )
        self._exceeded = counter(
            "xdsd_limits_exceeded_total", "What was refused for a limit, by the limit's setting.", "limit"
        )
        self._pushes = by_type(counter("xdsd_pushes_total", "Responses sent to proxies.", "type"))
        self._bytes = by_type(counter("xdsd_push_bytes_total", "Bytes of responses sent to proxies.", "type"))
        self._sent = by_type(counter("xdsd_pushed_resources_total", "Resources sent to proxies.", "type"))
        self._joins = counter("xdsd_response_joins_total", "Parts of responses that were joined to bytes.")
        self._acks = by_type(counter("xdsd_acks_total", "Responses that proxies accepted.", "type"))
        self._nacks = by_type(counter("xdsd_nacks_total", "Responses that proxies rejected.", "type"))
        self._rejected_now = by_type(
            gauge("xdsd_rejected_resources", "Resources that some connected proxy rejects now.", "type")
        )
        self._states = gauge(
            "xdsd_proxy_types", "Types of connected proxies by how far they are.", "type", "state"
        )
        self._convergence = histogram(
            "xdsd_convergence_seconds", "From a change being seen until a proxy accepted it.", _FAST
        )
        self._compile = histogram(
            "xdsd_compile_seconds", "Turning settled changes into a snapshot.", _COMPILE
        )
        self._encodings = by_type(
            counter(
                "xdsd_resource_encodings_total", "Resources encoded: once a content, not a proxy.", "type"
            )
        )
        self._generation = gauge("xdsd_snapshot_generation", "Generation of the published snapshot.")
        self._synced = gauge("xdsd_registry_synced", "1 once the source has reported everything.", "registry")
        self._stale = gauge(
            "xdsd_registry_stale", "1 while the source's platform cannot be asked.", "registry"
        )
        self._source_counts = {
            name: gauge(f"xdsd_registry_{name}", text, "registry")
            for name, text in (
                ("services", "Services that the source reports."),
                ("workloads", "Workloads that the source reports."),
                ("endpoints", "Endpoints that services have of the source."),
                ("problems", "What is wrong with what the source says now."),
            )
        }
        self._source_times = {
            "last_sync": gauge(
                "xdsd_registry_last_sync_timestamp_seconds",
                "When the source was last known in full.",
                "registry",
            ),
            "last_change": gauge(
                "xdsd_registry_last_change_timestamp_seconds",
                "When a change of the source was last taken in.",
                "registry",
            ),
        }
        self._outages = counter(
            "xdsd_registry_outages_total", "How often the source could not be asked.", "registry"
        )
        self._known_outages: dict[str, int] = {}
        self.event_loop_lag = histogram(
            "xdsd_event_loop_lag_seconds", "How late the event loop runs what is due.", _COMPILE
        )
        self.store_up = gauge("xdsd_store_up", "1 while the store can be read and written.")
        self._refused_calls = counter(
            "xdsd_refused_calls_total", "Calls of the admin API that were refused.", "reason"
        )
        self._withheld = counter(
            "xdsd_refused_secrets_total", "Secrets that proxies asked for and had no right to."
        )
        self._issued = counter(
            "xdsd_certificates_total", "Certificates that were made for proxies, or could not be.", "result"
        )
        self._expiry = gauge(
            "xdsd_ca_certificate_expiry_timestamp_seconds",
            "When a certificate of the CA expires, as Unix time.",
            *("place", "id"),
        )
        self._leases = gauge("xdsd_secret_streams", "Streams that are given secrets.")
        self._rotation = gauge(
            "xdsd_root_rotation_step", "1 for the step that a rotation of roots is at.", "step"
        )
        self._rotation_waits = gauge(
            "xdsd_root_rotation_waits", "Proxies and daemons that the step waits for."
        )
        self._limited = counter(
            "xdsd_rate_limit_requests_total",
            "Requests that proxies asked the daemon's limiter about.",
            "verdict",
        )
        self.ready = gauge("xdsd_ready", "1 while the daemon is ready to serve.")
        self.objects = gauge("xdsd_objects", "Objects of intent.", "kind")
        self.problems = gauge("xdsd_problems", "What is wrong now.", "severity")

    def limited(self, verdict: str) -> None:
        """Counts a request that the limiter was asked about."""
        self._limited.labels(verdict).inc()

    def refused_call(self, reason: str) -> None:
        """Counts a call of the admin API that was refused."""
        self._refused_calls.labels(reason).inc()

    def rotation(self, step: str, waits: int) -> None:
        """How far a rotation of roots is, seen by the daemon that takes its steps."""
        self._rotation.clear()
        if step:
            self._rotation.labels(step).set(1)
        self._rotation_waits.set(waits)

    # The streams' observer (xdsd.protocol.observer).

    def proxies(self, connected: int) -> None:
        self._connected.set(connected)

    def opened(self) -> None:
        self._streams.inc()

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def exceeded(self, limit: str) -> None:
        self._exceeded.labels(limit).inc()

    def pushed(self, type_url: str, size: int, resources: int) -> None:
        self._pushes[type_url].inc()
        self._bytes[type_url].inc(size)
        self._sent[type_url].inc(resources)

    def joined(self, times: int) -> None:
        self._joins.inc(times)

    def accepted(self, type_url: str, seconds: float | None) -> None:
        self._acks[type_url].inc()
        if seconds is not None:
            self._convergence.observe(seconds)

    def rejected(self, type_url: str) -> None:
        self._nacks[type_url].inc()

    def withheld(self, names: int) -> None:
        self._withheld.inc(names)

    # The observer of those who make certificates (xdsd.secrets.keeper).

    def certificate_issued(self) -> None:
        self._issued.labels("issued").inc()

    def certificate_failed(self) -> None:
        self._issued.labels("failed").inc()

    def ca_expires(self, found: Iterable[tuple[str, str, float]]) -> None:
        """These are all certificates of the CA: place, id, and the Unix time at which each expires."""
        self._expiry.clear()
        for place, identity, time in found:
            self._expiry.labels(place, identity).set(time)

    def leases(self, count: int) -> None:
        self._leases.set(count)

    # What is looked at now and then.

    def proxy_types(self, found: Iterable[TypeStatus]) -> None:
        """How far all connected proxies are with all their types, now."""
        states: Counts[tuple[str, State]] = Counts()
        rejected = set()
        for status in found:
            states[status.type_url, status.state] += 1
            rejected |= {(status.type_url, each.name, each.version) for each in status.rejected if each.name}
        resources = Counts(type_url for type_url, _, _ in rejected)
        for type_url, label in TYPE_LABELS.items():
            self._rejected_now[type_url].set(resources[type_url])
            for state in State:
                self._states.labels(label, state.value).set(states[type_url, state])

    # The reconciling loop's observer (xdsd.reconcile).

    def compiled(self, seconds: float) -> None:
        self._compile.observe(seconds)

    def encoded(self, type_url: str, count: int) -> None:
        self._encodings[type_url].inc(count)

    def published(self, change: SnapshotChange) -> None:
        self._generation.set(change.generation)

    def source(self, status: SourceHealth) -> None:
        self._synced.labels(status.name).set(status.synced)
        self._stale.labels(status.name).set(bool(status.stale))
        for name, counts in self._source_counts.items():
            counts.labels(status.name).set(getattr(status, name))
        for name, times in self._source_times.items():
            moment: datetime | None = getattr(status, name)
            if moment is not None:
                times.labels(status.name).set(moment.timestamp())
        known = self._known_outages.get(status.name, 0)
        # A source that was taken away and is back counts from the start.
        self._outages.labels(status.name).inc(status.outages - (known if status.outages >= known else 0))
        self._known_outages[status.name] = status.outages


def by_type(metric: Metric) -> Mapping[str, Metric]:
    """The metric's children by type URL, made once."""
    return {type_url: metric.labels(label) for type_url, label in TYPE_LABELS.items()}


async def watch_event_loop(
    metrics: Metrics, interval: float = 0.1, report: Callable[[float], None] | None = None
) -> None:
    """Measures until cancelled, each ``interval`` seconds, how much later than asked a timer fires."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        lag = max(0.0, loop.time() - due)
        metrics.event_loop_lag.observe(lag)
        if report is not None:
            report(lag)


async def watch_store(
    metrics: Metrics, probe: Callable[[], Awaitable[object]], interval: float = 5.0
) -> None:
    """Says until cancelled whether the store answers: ``probe`` is a cheap read, and late is as good as never."""
    while True:
        try:
            async with asyncio.timeout(interval):
                await probe()
        except Exception:
            metrics.store_up.set(0)
        else:
            metrics.store_up.set(1)
        await asyncio.sleep(interval)
