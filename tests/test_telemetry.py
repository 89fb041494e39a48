"""What the daemon says of itself, in logs and in metrics."""

import asyncio
import io
import json
import logging
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from xdsd.protocol.observer import Observer as StreamObserver
from xdsd.protocol.watch import Rejection, State, TypeStatus
from xdsd.reconcile import MeshObserver, SourceStatus
from xdsd.settings import LogFormat, LogLevel
from xdsd.snapshot import CLUSTER, ROUTE, TYPES, SnapshotChange
from xdsd.telemetry import TYPE_LABELS, Metrics, library_logs, make_logger, watch_event_loop, watch_store


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_log_is_one_object_a_line() -> None:
    """Each line has the event, its level, a UTC time and what was bound."""
    stream = io.StringIO()
    make_logger(LogFormat.JSON, LogLevel.INFO, stream).bind(node="a").info("pushed", bytes=7)
    (line,) = lines(stream)
    assert line["event"] == "pushed"
    assert line["level"] == "info"
    assert line["node"] == "a"
    assert line["bytes"] == 7
    assert str(line["timestamp"]).endswith("Z")


def test_less_severe_lines_are_not_written() -> None:
    """The level is a floor."""
    stream = io.StringIO()
    logger = make_logger(LogFormat.JSON, LogLevel.WARNING, stream)
    logger.info("no")
    logger.warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_auto_is_json_where_nobody_reads() -> None:
    """On something that is no terminal, auto writes JSON."""
    stream = io.StringIO()
    make_logger(LogFormat.AUTO, LogLevel.INFO, stream).info("x")
    assert lines(stream)[0]["event"] == "x"


def test_console_logs_are_for_people() -> None:
    """The console format names event and values without JSON."""
    stream = io.StringIO()
    make_logger(LogFormat.CONSOLE, LogLevel.INFO, stream).info("pushed", bytes=7)
    assert "pushed" in stream.getvalue()
    assert "bytes=7" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_an_exception_is_logged_whole() -> None:
    """The traceback travels inside the JSON line, so that a line stays an event."""
    stream = io.StringIO()
    logger = make_logger(LogFormat.JSON, LogLevel.INFO, stream)
    try:
        int("broken")
    except ValueError:
        logger.exception("failed")
    (line,) = lines(stream)
    assert "broken" in json.dumps(line["exception"])


@pytest.mark.parametrize("log_format", [LogFormat.JSON, LogFormat.CONSOLE])
def test_a_traceback_holds_no_values(log_format: LogFormat) -> None:
    """Where it happened is told, and not what the variables there hold: tokens and headers are among them."""
    stream = io.StringIO()
    logger = make_logger(log_format, LogLevel.INFO, stream)

    def call(metadata: tuple[str, str]) -> None:
        raise ValueError(len(metadata))

    try:
        call(("token", "".join(("hu", "sh"))))
    except ValueError:
        logger.exception("failed")
    assert "test_telemetry.py" in stream.getvalue()
    assert "hush" not in stream.getvalue()


def test_two_loggers_never_mix() -> None:
    """A logger belongs to its stream alone."""
    first, second = io.StringIO(), io.StringIO()
    make_logger(LogFormat.JSON, LogLevel.INFO, first).info("one")
    make_logger(LogFormat.JSON, LogLevel.INFO, second).info("two")
    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(second)] == ["two"]


def test_libraries_speak_through_our_logger() -> None:
    """A warning of a library becomes one of our lines while we listen, and not after."""
    stream = io.StringIO()
    with library_logs(make_logger(LogFormat.JSON, LogLevel.INFO, stream)):
        logging.getLogger("asyncio").warning("slow %s", "callback")
    logging.getLogger("asyncio").info("silent")
    (line,) = lines(stream)
    assert line["event"] == "slow callback"
    assert line["library"] == "asyncio"
    assert line["level"] == "warning"


def test_warnings_of_python_are_lines_too() -> None:
    """What a library warns of goes into our log, not beside it."""
    stream = io.StringIO()
    with library_logs(make_logger(LogFormat.JSON, LogLevel.INFO, stream)), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("an odd certificate", UserWarning, stacklevel=1)
    (line,) = lines(stream)
    assert "an odd certificate" in str(line["event"])
    assert line["library"] == "py.warnings"


def test_metrics_are_exposed_with_conventional_names() -> None:
    """Every metric of ours begins with xdsd_, has help, and parses; counters end in _total."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, "1.2.3")
    metrics.pushed(CLUSTER, 100, 2)
    metrics.source(SourceStatus("machines:/etc/vms", synced=True))
    families = {
        family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())
    }
    ours = {name for name in families if name.startswith("xdsd_")}
    assert ours >= {
        "xdsd_acks",
        "xdsd_build_info",
        "xdsd_compile_seconds",
        "xdsd_connected_proxies",
        "xdsd_convergence_seconds",
        "xdsd_event_loop_lag_seconds",
        "xdsd_nacks",
        "xdsd_push_bytes",
        "xdsd_pushes",
        "xdsd_registry_stale",
        "xdsd_registry_synced",
        "xdsd_rejected_resources",
        "xdsd_resource_encodings",
        "xdsd_store_up",
    }
    assert all(families[name].documentation.endswith(".") for name in ours)
    pushed = {
        sample.labels["type"]: sample.value
        for sample in families["xdsd_pushes"].samples
        if sample.name == "xdsd_pushes_total"
    }
    assert pushed == {"cds": 1.0, "eds": 0.0, "lds": 0.0, "rds": 0.0, "vhds": 0.0, "sds": 0.0, "ecds": 0.0}
    assert "process_resident_memory_bytes" in families


def test_every_type_of_resource_has_a_label() -> None:
    """No push can meet a type that metrics do not know."""
    assert set(TYPE_LABELS) == set(TYPES)


def test_two_daemons_count_apart() -> None:
    """Metrics of two registries share nothing."""
    first, second = Metrics(CollectorRegistry(), "1"), Metrics(CollectorRegistry(), "1")
    first.store_up.set(1)
    assert second.registry.get_sample_value("xdsd_store_up") == 0.0


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_it_counts_what_streams_tell() -> None:
    """Metrics are the streams' observer: pushes, bytes, answers and rejections go to their type."""
    metrics = Metrics(CollectorRegistry(), "1")
    observer: StreamObserver = metrics
    observer.proxies(3)
    observer.opened()
    observer.refused("RESOURCE_EXHAUSTED")
    observer.exceeded("max-streams")
    observer.pushed(ROUTE, 100, 2)
    observer.pushed(ROUTE, 50, 1)
    observer.joined(2)
    observer.accepted(ROUTE, 0.02)
    observer.accepted(ROUTE, None)
    observer.rejected(ROUTE)
    assert value(metrics, "xdsd_connected_proxies") == 3
    assert value(metrics, "xdsd_streams_total") == 1
    assert value(metrics, "xdsd_refused_streams_total", reason="RESOURCE_EXHAUSTED") == 1
    assert value(metrics, "xdsd_limits_exceeded_total", limit="max-streams") == 1
    assert value(metrics, "xdsd_pushes_total", type="rds") == 2
    assert value(metrics, "xdsd_push_bytes_total", type="rds") == 150
    assert value(metrics, "xdsd_pushed_resources_total", type="rds") == 3
    assert value(metrics, "xdsd_response_joins_total") == 2
    assert value(metrics, "xdsd_acks_total", type="rds") == 2
    assert value(metrics, "xdsd_convergence_seconds_count") == 1
    assert value(metrics, "xdsd_nacks_total", type="rds") == 1


def test_certificates_of_the_ca_come_and_go() -> None:
    """The metric has those that there are, and none that were."""
    metrics = Metrics(CollectorRegistry(), "1")
    metrics.ca_expires([("root", "1", 5.0), ("issuing", "2", 6.0)])
    metrics.ca_expires([("root", "3", 7.0)])
    name = "xdsd_ca_certificate_expiry_timestamp_seconds"
    assert value(metrics, name, place="root", id="3") == 7
    assert metrics.registry.get_sample_value(name, {"place": "root", "id": "1"}) is None


def test_it_counts_what_the_loop_tells() -> None:
    """Metrics are the reconciling loop's observer: compile time, encodings, generation and sources."""
    metrics = Metrics(CollectorRegistry(), "1")
    observer: MeshObserver = metrics
    observer.compiled(0.002)
    observer.encoded(CLUSTER, 5)
    observer.published(SnapshotChange(generation=7))
    when = datetime(2026, 1, 2, tzinfo=UTC)
    status = SourceStatus("store", synced=True, stale="disk full", services=3, workloads=2, endpoints=7)
    observer.source(replace(status, problems=1, outages=1, last_sync=when, last_change=when))
    observer.source(replace(status, problems=1, outages=3))
    assert value(metrics, "xdsd_compile_seconds_count") == 1
    assert value(metrics, "xdsd_resource_encodings_total", type="cds") == 5
    assert value(metrics, "xdsd_snapshot_generation") == 7
    assert value(metrics, "xdsd_registry_synced", registry="store") == 1
    assert value(metrics, "xdsd_registry_stale", registry="store") == 1
    counts = ("services", "workloads", "endpoints", "problems")
    assert [value(metrics, f"xdsd_registry_{name}", registry="store") for name in counts] == [3, 2, 7, 1]
    assert value(metrics, "xdsd_registry_outages_total", registry="store") == 3
    for name in ("last_sync", "last_change"):
        moment = value(metrics, f"xdsd_registry_{name}_timestamp_seconds", registry="store")
        assert moment == when.timestamp()


def test_outages_of_a_source_that_is_back_are_counted_on() -> None:
    """A source that was taken away and made again, as a Peer may be, starts from none and adds to the same counter."""
    metrics = Metrics(CollectorRegistry(), "1")
    for outages in (0, 1, 2, 0, 0, 1):
        metrics.source(SourceStatus("peer:east", outages=outages))
    assert value(metrics, "xdsd_registry_outages_total", registry="peer:east") == 3


def test_it_counts_how_far_proxies_are() -> None:
    """Proxies by state, and each rejected content once however many reject it; what is over is zero again."""
    metrics = Metrics(CollectorRegistry(), "1")
    bad = Rejection("9080", "v1", "duplicate domain")
    rejecting = TypeStatus(ROUTE, State.NACKED, 1.0, 1.0, "bad", (bad,), 1, wildcard=False)
    fine = TypeStatus(ROUTE, State.SYNCED, 1.0, 1.0, "", (), 1, wildcard=False)
    metrics.proxy_types([rejecting, rejecting, fine])
    assert value(metrics, "xdsd_rejected_resources", type="rds") == 1
    assert value(metrics, "xdsd_proxy_types", type="rds", state="NACKED") == 2
    assert value(metrics, "xdsd_proxy_types", type="rds", state="SYNCED") == 1
    metrics.proxy_types([fine])
    assert value(metrics, "xdsd_rejected_resources", type="rds") == 0
    assert value(metrics, "xdsd_proxy_types", type="rds", state="NACKED") == 0


async def test_a_stalled_event_loop_is_seen() -> None:
    """Code that holds the event loop for 50 ms shows as a lag of nearly that."""
    seen: asyncio.Queue[float] = asyncio.Queue()
    metrics = Metrics(CollectorRegistry(), "1")
    watch = asyncio.create_task(watch_event_loop(metrics, 0.01, seen.put_nowait))
    lags = [await asyncio.wait_for(seen.get(), 20)]
    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        pass
    while lags[-1] < 0.03:
        lags.append(await asyncio.wait_for(seen.get(), 20))
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    assert lags[-1] >= 0.03
    while not seen.empty():
        lags.append(seen.get_nowait())
    assert metrics.registry.get_sample_value("xdsd_event_loop_lag_seconds_count") == len(lags)


async def test_a_store_that_fails_or_hangs_is_not_up() -> None:
    """It is up while its probe answers, down while the probe fails or takes too long, and up again after."""
    metrics = Metrics(CollectorRegistry(), "1")
    asked: asyncio.Queue[int] = asyncio.Queue()
    answers = chain(["fine", "fails", "hangs"], repeat("fine"))
    seen: list[float | None] = []

    async def probe() -> None:
        seen.append(value(metrics, "xdsd_store_up"))
        asked.put_nowait(len(seen))
        answer = next(answers)
        if answer == "fails":
            raise OSError("disk full")
        if answer == "hangs":
            await asyncio.Event().wait()

    watch = asyncio.create_task(watch_store(metrics, probe, 0.02))
    while await asyncio.wait_for(asked.get(), 20) < 5:
        pass
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    assert seen[:5] == [0, 1, 0, 0, 1]
