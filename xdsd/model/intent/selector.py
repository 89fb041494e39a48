"""What several kinds share: selectors, destinations, port references and percentages."""

from xdsd.model.intent.base import Double, Message, PortNumber, absent, needed, table
from xdsd.model.intent.values import DestinationHost, LabelKey, LabelValue, SelectorValue, SubsetName


class WorkloadSelector(Message):
    """Chooses workloads of the object's namespace by their labels; no labels choose all of them."""

    labels: dict[LabelKey, SelectorValue] = table("Labels that a workload must carry.", max_length=256)


class LabelSelector(Message):
    """The same choice as ``WorkloadSelector``, spelled the way policies and destination rules publish it."""

    match_labels: dict[LabelKey, SelectorValue] = table("Labels that a workload must carry.", max_length=4096)


class PortSelector(Message):
    """Names a port of a service by number."""

    number: PortNumber | None = absent("Port number of the service.")


class Destination(Message):
    """A service, or a subset of it, that traffic is sent to."""

    host: DestinationHost = needed("Service host; a short name belongs to the namespace of this object.")
    subset: SubsetName | None = absent("Subset that a DestinationRule of the host declares.")
    port: PortSelector | None = absent("Port of the host; needed only where the host has more than one.")


class Percent(Message):
    """A share of requests, 0 to 100, with decimals."""

    value: Double | None = absent("Share in percent, from 0 to 100.", ge=0, le=100)


Labels = dict[LabelKey, LabelValue]
