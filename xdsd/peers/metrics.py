"""What the metrics say of peers; read whenever somebody asks for the page."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from xdsd.peering.intake import PeerState
from xdsd.peers.peers import Peers


class PeerMetrics(Collector):
    """A collector, to be registered."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def collect(self) -> Iterator[Metric]:
        labels = ("peer",)
        state = GaugeMetricFamily(
            "xdsd_peer_state", "1 for the state that a peer is in.", labels=("peer", "state")
        )
        services = GaugeMetricFamily(
            "xdsd_peer_services", "Services that are known of a peer.", labels=labels
        )
        offered = GaugeMetricFamily(
            "xdsd_peer_offered_services", "Services that a peer is offered.", labels=labels
        )
        refused = GaugeMetricFamily(
            "xdsd_peer_refused",
            "Remarks on what a peer said and may not, since its stream began.",
            labels=labels,
        )
        messages = CounterMetricFamily("xdsd_peer_messages", "Messages that came from a peer.", labels=labels)
        size = CounterMetricFamily("xdsd_peer_received_bytes", "Bytes of these messages.", labels=labels)
        last = GaugeMetricFamily(
            "xdsd_peer_last_message_timestamp_seconds", "When the last of them came.", labels=labels
        )
        book = self._peers.book
        for name, heard in self._peers.heard.items():
            intake = book.intakes[name]
            for each in PeerState:
                state.add_metric((name, each), float(intake.state is each))
            services.add_metric((name,), len(intake.services))
            offered.add_metric((name,), len(book.offers[name]))
            refused.add_metric((name,), len(intake.remarks))
            messages.add_metric((name,), heard.messages)
            size.add_metric((name,), heard.bytes)
            last.add_metric((name,), heard.last)
        yield from (state, services, offered, refused, messages, size, last)
