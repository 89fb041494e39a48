"""What the metrics say of peers."""

from prometheus_client import CollectorRegistry

from tests.lab.eventually import eventually
from tests.peering.meshes import Installation
from tests.peering.test_book import GLOBAL, A, a, local
from xdsd.model.catalog import Health
from xdsd.peers.metrics import PeerMetrics
from xdsd.registry.base import CatalogChange


async def test_metrics_tell_how_each_peer_is_and_what_came_of_it() -> None:
    """Its state, its services, what it is offered, what it was refused, and how much it says."""
    registry = CollectorRegistry()
    async with Installation("east") as east, Installation("west") as west:
        registry.register(PeerMetrics(west.peers))

        def value(name: str, **labels: str) -> float:
            found = registry.get_sample_value(f"xdsd_peer_{name}", {"peer": "east", **labels})
            return -1.0 if found is None else found

        assert value("services") == -1
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        assert (value("state", state="CONNECTED"), value("state", state="KEPT")) == (1, 0)
        assert (value("services"), value("offered_services"), value("refused")) == (1, 0, 0)
        messages, size, last = (
            value(each)
            for each in ("messages_total", "received_bytes_total", "last_message_timestamp_seconds")
        )
        assert messages >= 2
        assert size > 0
        east.apply("store", CatalogChange(endpoints={A: (local(health=Health.UNHEALTHY),)}))
        await eventually(lambda: west.catalog.endpoints(GLOBAL)[0].health is Health.UNHEALTHY)
        assert value("messages_total") == messages + 1
        assert 0 < value("received_bytes_total") - size < 100
        assert value("last_message_timestamp_seconds") >= last
        await east.deaf()
        await eventually(lambda: value("state", state="KEPT") == 1)
        assert value("services") == 1
