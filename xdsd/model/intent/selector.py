"""What several kinds share: selectors, destinations, port references and percentages."""

from collections.abc import Iterator, Sequence

from xdsd.model.intent.base import Double, Finding, Message, PortNumber, absent, missing, needed, table, wrong
from xdsd.model.intent.hosts import DestinationHost, SubsetName
from xdsd.model.intent.values import Labels


class WorkloadSelector(Message):
    """Chooses workloads of the object's namespace by their labels; no labels choose all of them."""

    labels: Labels = table("Labels that a workload must carry.", max_length=256)


class LabelSelector(Message):
    """The same choice as ``WorkloadSelector``, spelled the way policies and destination rules publish it."""

    match_labels: Labels = table("Labels that a workload must carry.", max_length=4096)


class PortSelector(Message):
    """Names a port of a service by number."""

    number: PortNumber | None = absent("Port number of the service.")

    def findings(self) -> Iterator[Finding]:
        if self.number is None:
            yield missing("is missing; name a port by its number", "number")


class Destination(Message):
    """A service, or a subset of it, that traffic is sent to."""

    host: DestinationHost = needed("Service host; a short name belongs to the namespace of this object.")
    subset: SubsetName | None = absent("Subset that a DestinationRule of the host declares.")
    port: PortSelector | None = absent("Port of the host; needed only where the host has more than one.")


class Percent(Message):
    """A share of requests, 0 to 100, with decimals."""

    value: Double | None = absent("Share in percent, from 0 to 100.", ge=0, le=100)

    def findings(self) -> Iterator[Finding]:
        if self.value and self.value < 0.0001:
            yield wrong(f"{self.value} is below 0.0001, the smallest share there is but 0", "value")


def weight_findings(weights: Sequence[int | None]) -> Iterator[Finding]:
    """What is wrong with the weights of a route's destinations as a whole."""
    total = sum(weight or 0 for weight in weights)
    if len(weights) > 1 and total == 0:
        yield missing("the weights add up to 0; give at least one destination a weight", "route")
    if total > 2**32 - 1:
        yield wrong(f"the weights add up to {total}, which is above 4294967295", "route")


def export_findings(export_to: Sequence[str], field: str = "exportTo") -> Iterator[Finding]:
    """What is wrong with the entries of an exportTo list together."""
    seen: set[str] = set()
    for index, name in enumerate(export_to):
        if name in seen:
            yield wrong(f"{name!r} is listed twice", field, index)
        seen.add(name)
        if name in ("*", "~") and len(export_to) > 1:
            whom = "everyone" if name == "*" else "no one"
            yield wrong(f"{name!r} means {whom}, so it stands alone", field, index)
