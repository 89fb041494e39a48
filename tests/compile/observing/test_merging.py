"""What holds on one side, where the mesh, a namespace and a workload say something of it."""

from typing import Any

import pytest

from xdsd.compile.observing.merging import Logged, merged_logs, merged_tracing
from xdsd.model.intent import AccessLogging, Tracing, WorkloadMode

CLIENT, SERVER = WorkloadMode.CLIENT, WorkloadMode.SERVER


def logs(
    side: WorkloadMode, *levels: list[dict[str, Any]], defaults: tuple[str, ...] = ("envoy",)
) -> list[str]:
    """``provider`` or ``provider:expression`` of each log."""
    found = [[AccessLogging.model_validate(each) for each in level] for level in levels]
    merged = merged_logs(found, side, defaults)
    return [f"{log.provider}:{log.expression}".rstrip(":") for log in merged]


def to(*names: str, **said: Any) -> dict[str, Any]:
    return {"providers": [{"name": name} for name in names], **said}


OFF = {"disabled": True}
ON = {"disabled": False}
TO_CLIENT = {"match": {"mode": "CLIENT"}}
FAILED = {"filter": {"expression": "response.code >= 500"}}


@pytest.mark.parametrize(
    ("levels", "client", "server"),
    [
        ([], ["envoy"], ["envoy"]),
        ([[OFF]], [], []),
        ([[{**TO_CLIENT, **OFF}]], [], ["envoy"]),
        ([[FAILED]], ["envoy:response.code >= 500"], ["envoy:response.code >= 500"]),
        ([[{**TO_CLIENT, **FAILED}]], ["envoy:response.code >= 500"], ["envoy"]),
        ([[to("a", "b")]], ["a", "b"], ["a", "b"]),
        ([[to("a")], [to("b")]], ["b"], ["b"]),
        ([[to("a")], [to("b", **TO_CLIENT)]], ["b"], ["a"]),
        ([[to("a")], [OFF], [ON]], ["a"], ["a"]),
        ([[to("a", **FAILED)], [OFF], [ON]], ["a:response.code >= 500"], ["a:response.code >= 500"]),
        ([[to("a", **FAILED)], [to("a")]], ["a"], ["a"]),
        ([[to("a"), to("b", **OFF)]], ["a"], ["a"]),
        ([[to("a"), FAILED]], ["a:response.code >= 500"], ["a:response.code >= 500"]),
        ([[to("a", "b")], [to("a", **OFF)]], [], []),
        ([[{"match": {"mode": "CLIENT_AND_SERVER"}, **OFF}]], [], []),
    ],
)
def test_what_is_closer_goes_before_what_is_wider(
    levels: list[list[dict[str, Any]]], client: list[str], server: list[str]
) -> None:
    """Providers of the closest level that names any, each with what its last entry says."""
    assert (logs(CLIENT, *levels), logs(SERVER, *levels)) == (client, server)


def test_without_a_default_nothing_is_logged_until_a_provider_is_named() -> None:
    """An entry that names nobody is about nobody then."""
    assert logs(CLIENT, [FAILED], defaults=()) == []
    assert logs(CLIENT, [FAILED], [to("a")], defaults=()) == ["a"]


def test_logs_come_in_the_order_of_their_providers() -> None:
    """The order of entries changes no listener."""
    found = [AccessLogging.model_validate(to("b", "a"))]
    assert merged_logs([found], CLIENT, ()) == (Logged("a"), Logged("b"))


def spans(side: WorkloadMode, *levels: list[dict[str, Any]], defaults: tuple[str, ...] = ()) -> Any:
    return merged_tracing(
        [[Tracing.model_validate(each) for each in level] for level in levels], side, defaults
    )


def test_each_field_of_spans_is_what_was_said_last_of_it() -> None:
    """A closer Telemetry changes what it speaks of and nothing else."""
    wide = to("zipkin", randomSamplingPercentage=50, customTags={"a": {"literal": {"value": "1"}}})
    close = {"randomSamplingPercentage": 0, "enableIstioTags": False, "disableContextPropagation": True}
    found = spans(CLIENT, [wide], [close, {"useRequestIdForTraceSampling": False}])
    assert (found.provider, found.sampling, sorted(found.tags)) == ("zipkin", 0, ["a"])
    assert (found.istio_tags, found.withheld, found.by_request_id) == (False, True, False)


def test_spans_are_of_one_side_where_they_are_said_to_be() -> None:
    """The other side makes none."""
    found = [to("zipkin", **TO_CLIENT)]
    assert spans(CLIENT, found).provider == "zipkin"
    assert spans(SERVER, found) is None


def test_spans_go_to_the_default_and_can_be_switched_off() -> None:
    """Of several defaults the first counts; without any, and with disableSpanReporting, there are no spans."""
    assert spans(SERVER, defaults=("a", "b")).sampling == 1.0
    assert spans(SERVER, defaults=("a", "b")).provider == "a"
    assert spans(SERVER, [{"disableSpanReporting": True}], defaults=("a",)) is None
    assert (
        spans(
            SERVER, [{"disableSpanReporting": True}], [{"disableSpanReporting": False}], defaults=("a",)
        ).provider
        == "a"
    )
    assert spans(SERVER, [{"randomSamplingPercentage": 5}]) is None
