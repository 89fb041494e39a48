"""Telemetry: what proxies tell of the requests and connections that pass them: access logs, spans, statistics.

In the root namespace and without a selector it is for the mesh, elsewhere without one for its namespace, with one (or with
targets) for workloads of its namespace; what is closer goes before what is wider, field by field.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.intent.base import (
    Bool,
    Double,
    Finding,
    Message,
    Str,
    absent,
    invalid,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.cel import expression_fault
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.log_formats import text_fault
from xdsd.model.intent.policy_target import PolicyTargetReference, target_findings
from xdsd.model.intent.provider_values import ProviderName
from xdsd.model.intent.selector import LabelSelector
from xdsd.model.intent.values import HeaderName


def _expression(text: str) -> str:
    fault = expression_fault(text)
    if fault:
        raise invalid(f"{shown(text)} {fault}")
    return text


def _formatter(text: str) -> str:
    fault = text_fault(text)
    if fault:
        raise invalid(fault)
    return text


def _tag(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise invalid(f"{shown(text)} is no name of a tag")
    return text


Expression = Annotated[Str, AfterValidator(_expression)]
Formatted = Annotated[Str, AfterValidator(_formatter)]
TagName = Annotated[Str, AfterValidator(_tag)]


class WorkloadMode(StrEnum):
    """Which side of a request a proxy is on."""

    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"
    CLIENT = "CLIENT"
    SERVER = "SERVER"


class ProviderRef(Message):
    """A provider by its name."""

    name: ProviderName = needed("Name of one of the MeshConfig's extensionProviders.", min_length=1)


class ModeSelector(Message):
    """The side on which something holds."""

    mode: WorkloadMode | None = absent(
        "CLIENT: requests of the workload, and those through gateways; SERVER: requests to it; both if left out."
    )


class AccessLoggingFilter(Message):
    """Which requests and connections are logged."""

    expression: Expression | None = absent("CEL expression that is true of them; all if left out.")


def _repeated(providers: tuple[ProviderRef, ...]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, provider in enumerate(providers):
        if provider.name in seen:
            yield wrong(f"{shown(provider.name)} is listed twice", "providers", index, "name")
        seen.add(provider.name)


class AccessLogging(Message):
    """An access log, and of what."""

    match: ModeSelector | None = absent("Side on which it holds; both if left out.")
    providers: tuple[ProviderRef, ...] = many("Where the log goes; as the wider Telemetry says if left out.")
    disabled: Bool | None = absent("Whether there is none.", nullable=True)
    filter: AccessLoggingFilter | None = absent("What is logged; all if left out.")

    def findings(self) -> Iterator[Finding]:
        yield from _repeated(self.providers)


class LiteralTag(Message):
    """The same value always."""

    value: Str = needed("The value.", min_length=1)


class EnvironmentTag(Message):
    """A variable of the proxy's."""

    name: Str = needed("Name of the variable.", min_length=1)
    default_value: Str | None = absent("Value where there is none.")


class RequestHeaderTag(Message):
    """A header of the request."""

    name: HeaderName = needed("Name of the header.", min_length=1)
    default_value: Str | None = absent("Value where there is none.")


class FormatterTag(Message):
    """What Envoy's commands make."""

    value: Formatted = needed("Text with Envoy's commands.", min_length=1)


class CustomTag(Message):
    """The value of a tag of spans."""

    at_most_one = (("literal", "environment", "header", "formatter"),)

    literal: LiteralTag | None = absent("The same value always.")
    environment: EnvironmentTag | None = absent("A variable of the proxy's.")
    header: RequestHeaderTag | None = absent("A header of the request.")
    formatter: FormatterTag | None = absent("What Envoy's commands make.")

    def findings(self) -> Iterator[Finding]:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            yield missing("is empty; give literal, environment, header or formatter")


class Tracing(Message):
    """Spans, and of what."""

    match: ModeSelector | None = absent("Side on which it holds; both if left out.")
    providers: tuple[ProviderRef, ...] = many("Where spans go: one; as the wider Telemetry says if left out.")
    random_sampling_percentage: Double | None = absent(
        "Share of requests that are traced for which nobody decided before; 1 if left out.",
        nullable=True,
        ge=0,
        le=100,
    )
    disable_span_reporting: Bool | None = absent("Whether no spans are made.", nullable=True)
    custom_tags: dict[TagName, CustomTag] = table("Tags of spans by name.")
    use_request_id_for_trace_sampling: Bool | None = absent(
        "Whether what was decided of a request goes on in its x-request-id; true if left out.", nullable=True
    )
    enable_istio_tags: Bool | None = absent(
        "Whether spans have the tags istio.*, of the workload; true if left out.", nullable=True
    )
    disable_context_propagation: Bool | None = absent(
        "Whether requests go on without the headers of their trace.", nullable=True
    )

    def findings(self) -> Iterator[Finding]:
        yield from _repeated(self.providers)


class IstioMetric(StrEnum):
    """The standard metrics."""

    ALL_METRICS = "ALL_METRICS"
    REQUEST_COUNT = "REQUEST_COUNT"
    REQUEST_DURATION = "REQUEST_DURATION"
    REQUEST_SIZE = "REQUEST_SIZE"
    RESPONSE_SIZE = "RESPONSE_SIZE"
    TCP_OPENED_CONNECTIONS = "TCP_OPENED_CONNECTIONS"
    TCP_CLOSED_CONNECTIONS = "TCP_CLOSED_CONNECTIONS"
    TCP_SENT_BYTES = "TCP_SENT_BYTES"
    TCP_RECEIVED_BYTES = "TCP_RECEIVED_BYTES"
    GRPC_REQUEST_MESSAGES = "GRPC_REQUEST_MESSAGES"
    GRPC_RESPONSE_MESSAGES = "GRPC_RESPONSE_MESSAGES"


class MetricSelector(Message):
    """Which metrics something is about."""

    at_most_one = (("metric", "customMetric"),)

    metric: IstioMetric | None = absent("A standard metric.")
    custom_metric: Str | None = absent("Another metric, by its name.")
    mode: WorkloadMode | None = absent("Side on which it holds.")


class TagOperation(StrEnum):
    """What is done to a tag."""

    UPSERT = "UPSERT"
    REMOVE = "REMOVE"


class TagOverride(Message):
    """What is done to a tag of a metric."""

    operation: TagOperation | None = absent("UPSERT, or REMOVE.")
    value: Str | None = absent("CEL expression of its value.")

    def findings(self) -> Iterator[Finding]:
        if self.operation is TagOperation.REMOVE and self.value is not None:
            yield wrong("has no place beside REMOVE", "value")
        if self.operation is TagOperation.UPSERT and self.value is None:
            yield missing("is missing; UPSERT needs one", "value")


class MetricsOverrides(Message):
    """What is other than usual of some metrics."""

    match: MetricSelector | None = absent("Which metrics; all if left out.")
    disabled: Bool | None = absent("Whether there are none.", nullable=True)
    tag_overrides: dict[Str, TagOverride] = table("What is done to their tags, by name.")


class Metrics(Message):
    """Statistics, and who is given them."""

    providers: tuple[ProviderRef, ...] = many("Who is given them.")
    overrides: tuple[MetricsOverrides, ...] = many("What is other than usual.")
    reporting_interval: Duration | None = absent("How often those of connections are counted on.")

    def findings(self) -> Iterator[Finding]:
        yield from _repeated(self.providers)


class Telemetry(Message):
    """What proxies tell of the requests and connections that pass them."""

    at_most_one = (("selector", "targetRef", "targetRefs"),)

    selector: LabelSelector | None = absent("Workloads it is for; all of the namespace if left out.")
    target_ref: PolicyTargetReference | None = absent("Gateway it is for.")
    target_refs: tuple[PolicyTargetReference, ...] = many("Gateways it is for.", max_length=16)
    access_logging: tuple[AccessLogging, ...] = many("Access logs; of several about the same the last.")
    tracing: tuple[Tracing, ...] = many("Spans; of several about the same the last.")
    metrics: tuple[Metrics, ...] = many("Statistics.")

    @property
    def targets(self) -> tuple[PolicyTargetReference, ...]:
        """All targets, whichever field names them."""
        return (self.target_ref, *self.target_refs) if self.target_ref else self.target_refs

    @property
    def is_wide(self) -> bool:
        """True if it is for all workloads of its namespace, or in the root namespace of the mesh."""
        return not self.targets and (self.selector is None or not self.selector.match_labels)

    def findings(self) -> Iterator[Finding]:
        yield from target_findings(self.target_ref, self.target_refs)
