"""What goes out before what on an aggregated stream, and how long it may wait."""

import pytest

from tests.playbook import (
    DeltaTalk,
    Make,
    SotwTalk,
    Talk,
    cluster,
    delta,
    endpoints,
    listener,
    route,
    secret,
    short,
    sotw,
)
from xdsd.protocol.limits import Timing
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Resource, field_bytes

ALL = (CLUSTER, ENDPOINT, LISTENER, ROUTE)
AnyTalk = DeltaTalk | SotwTalk


def settled(talk: AnyTalk, *names: str) -> AnyTalk:
    """A client that asked for ``names`` of every type, got them and accepted them."""
    talk.asks(CLUSTER)
    talk.hears(CLUSTER, *names)
    talk.asks(ENDPOINT, *names)
    talk.hears(ENDPOINT, *names)
    ack(talk, ENDPOINT, *names)
    ack(talk, CLUSTER)
    talk.asks(LISTENER)
    talk.hears(LISTENER, *names)
    ack(talk, LISTENER)
    talk.asks(ROUTE, *names)
    talk.hears(ROUTE, *names)
    ack(talk, ROUTE, *names)
    talk.silent()
    return talk


def ack(talk: AnyTalk, type_url: str, *names: str) -> None:
    """In SotW an ACK repeats the names."""
    if isinstance(talk, SotwTalk):
        talk.acks(type_url, *names)
    else:
        talk.acks(type_url)


def everything(name: str, content: str = "1") -> tuple[Resource, ...]:
    return cluster(name, content), endpoints(name, content), listener(name, content), route(name, content)


def order(talk: Talk) -> list[str]:
    """The types of all that is heard, in order, taken."""
    heard = [short(each.type_url) for each in talk.heard]
    talk.heard.clear()
    return heard


@pytest.mark.parametrize("make", [delta, sotw])
def test_b17_additions_go_out_clusters_endpoints_listeners_routes(make: Make) -> None:
    """One change of all types is heard in the order in which Envoy needs it."""
    talk = settled(make(*everything("a")), "a")
    talk.changes(*reversed(everything("a", "2")))
    assert order(talk) == ["Cluster", "ClusterLoadAssignment"]
    ack(talk, ENDPOINT, "a")
    ack(talk, CLUSTER)
    assert order(talk) == ["Listener", "RouteConfiguration"]


def reference(name: str, source: bytes) -> Resource:
    """A cluster with an SdsSecretConfig of ``name`` and these bytes as its source."""
    config = field_bytes(1, name.encode()) + field_bytes(2, source)
    return Resource.of(CLUSTER, "tls", field_bytes(1, b"tls") + field_bytes(15, config))


def test_b17_b45_a_secret_goes_with_what_names_it_anew() -> None:
    """A cluster whose reference to a secret changed gets that secret again, unchanged, and no other."""
    talk = delta(reference("s", b"old"), secret("s"), secret("t")).asks(CLUSTER).asks(SECRET, "s", "t")
    talk.hears(CLUSTER, "tls")
    talk.hears(SECRET, "s", "t")
    talk.acks(CLUSTER).acks(SECRET).changes(reference("s", b"new"))
    talk.hears(CLUSTER, "tls")
    talk.hears(SECRET, "s")
    talk.acks(CLUSTER).acks(SECRET).silent()


@pytest.mark.parametrize("make", [delta, sotw])
def test_b18_a_cluster_goes_after_the_routes_that_dropped_it(make: Make) -> None:
    """The removal waits for the ACK of the routes and listeners of the same change."""
    talk = settled(make(*everything("a"), *everything("b")), "a", "b")
    talk.changes(route("b", "2"), listener("b", "2"), removed=[(CLUSTER, "a")])
    assert order(talk) == ["Listener", "RouteConfiguration"]
    ack(talk, LISTENER)
    talk.silent()
    ack(talk, ROUTE, "a", "b")
    gone = ["a"] if make is delta else []
    talk.hears(CLUSTER, *([] if make is delta else ["b"]), removed=gone)
    ack(talk, CLUSTER)
    talk.silent()


@pytest.mark.parametrize("make", [delta, sotw])
def test_b18_a_removal_waits_for_a_bounded_time(make: Make) -> None:
    """A proxy that never accepts the route loses the cluster all the same, after the gate's time."""
    talk = settled(make(*everything("a"), timing=Timing(accept=5, gate=3)), "a")
    talk.changes(route("a", "2"), removed=[(CLUSTER, "a")])
    talk.hears(ROUTE, "a")
    talk.waits(2.9).silent().waits(0.2)
    talk.hears(CLUSTER, removed=["a"] if make is delta else [])


@pytest.mark.parametrize("make", [delta, sotw])
def test_b18_additions_of_the_same_change_do_not_wait(make: Make) -> None:
    """The new cluster goes out first, the old one goes away last."""
    talk = settled(make(*everything("a")), "a")
    talk.changes(cluster("b"), route("a", "to-b"), removed=[(CLUSTER, "a")])
    talk.hears(CLUSTER, *(["b"] if make is delta else ["a", "b"]))
    talk.silent()
    ack(talk, CLUSTER)
    talk.hears(ROUTE, "a")
    ack(talk, ROUTE, "a")
    talk.hears(CLUSTER, *([] if make is delta else ["b"]), removed=["a"] if make is delta else [])


def test_b18_a_removal_does_not_starve_under_ever_newer_routes() -> None:
    """Each ACK covers the removals up to what it answers, though newer routes are on their way already."""
    talk = settled(delta(*everything("a")), "a")
    talk.changes(route("a", "2"), removed=[(CLUSTER, "a")])
    talk.hears(ROUTE, "a")
    talk.changes(route("a", "3"))
    talk.acks(ROUTE)
    talk.hears(CLUSTER, removed=["a"])
    talk.hears(ROUTE, "a")


def test_b18_a_cluster_that_comes_back_is_not_removed() -> None:
    """What is gone and there again before its removal went out is only sent."""
    talk = settled(delta(*everything("a")), "a")
    talk.changes(route("a", "2"), removed=[(CLUSTER, "a")]).changes(cluster("a"))
    assert order(talk) == ["RouteConfiguration", "Cluster", "ClusterLoadAssignment"]
    talk.acks(ROUTE).acks(CLUSTER).acks(ENDPOINT).waits(60).silent()


def test_b18_while_a_route_is_refused_no_cluster_goes() -> None:
    """The proxy lives by an older route that may use it, until a newer one is accepted."""
    talk = settled(delta(*everything("a")), "a")
    talk.changes(route("a", "2"), removed=[(CLUSTER, "a")])
    talk.hears(ROUTE, "a")
    talk.nacks(ROUTE).waits(60).silent().changes(route("a", "3"))
    talk.hears(ROUTE, "a")
    talk.acks(ROUTE)
    talk.hears(CLUSTER, removed=["a"])


def test_b18_a_resumed_proxy_keeps_its_clusters_until_its_routes_are_settled() -> None:
    """A cluster that went away while the proxy was disconnected goes after the routes that it did not have yet."""
    talk = delta(*everything("b"))
    talk.asks(CLUSTER, known={"a": "1", "b": cluster("b").version})
    talk.hears(CLUSTER)
    talk.asks(LISTENER, known={"b": listener("b").version})
    talk.hears(LISTENER)
    talk.acks(CLUSTER).acks(LISTENER)
    talk.asks(ROUTE, "b", known={"b": "old"})
    talk.hears(ROUTE, "b")
    talk.silent().acks(ROUTE)
    talk.hears(CLUSTER, removed=["a"])


def test_b18_a_resumed_proxy_keeps_its_clusters_though_routes_change_meanwhile() -> None:
    """What changes before the proxy's own routes were answered says nothing of what it lives by."""
    talk = delta(cluster("b"), listener("b"), route("b"))
    talk.asks(CLUSTER, known={"a": "1", "b": cluster("b", "old").version})
    talk.asks(LISTENER, known={"b": listener("b").version})
    talk.asks(ROUTE, "b", known={"b": "to-a"})
    talk.hears(CLUSTER, "b")
    talk.changes(route("b", "2")).silent()
    talk.acks(CLUSTER)
    talk.hears(LISTENER)
    talk.acks(LISTENER)
    talk.hears(ROUTE, "b")
    talk.silent().acks(ROUTE)
    talk.hears(CLUSTER, removed=["a"])


def test_b18_a_refused_route_that_is_gone_holds_no_cluster_for_ever() -> None:
    """Nothing can follow it any more, so the wait for it ends."""
    talk = settled(sotw(*everything("a"), timing=Timing(accept=5, gate=3)), "a")
    talk.changes(route("a", "2"))
    talk.hears(ROUTE, "a")
    talk.nacks(ROUTE, "a")
    talk.changes(removed=[(ROUTE, "a"), (CLUSTER, "a")]).waits(3.1)
    talk.hears(CLUSTER)


@pytest.mark.parametrize("make", [delta, sotw])
def test_b19_endpoints_and_secrets_never_wait_for_clusters(make: Make) -> None:
    """Their requests and changes are answered while the cluster response is unanswered."""
    talk = make(cluster("a"), endpoints("a"), secret("s")).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.asks(ENDPOINT, "a").asks(SECRET, "s")
    talk.hears(ENDPOINT, "a")
    talk.hears(SECRET, "s")
    ack(talk, ENDPOINT, "a")
    ack(talk, SECRET, "s")
    talk.changes(endpoints("a", "2"), secret("s", "2"))
    talk.hears(ENDPOINT, "a")
    talk.hears(SECRET, "s")


@pytest.mark.parametrize("make", [delta, sotw])
def test_b20_routes_wait_until_the_clusters_are_accepted(make: Make) -> None:
    """The ACK of the clusters says that they are warm."""
    talk = settled(make(*everything("a")), "a")
    talk.changes(cluster("b"), route("a", "to-b"))
    talk.hears(CLUSTER, *(["b"] if make is delta else ["a", "b"]))
    talk.silent()
    ack(talk, CLUSTER)
    talk.hears(ROUTE, "a")


@pytest.mark.parametrize("make", [delta, sotw])
def test_b20_routes_wait_for_a_bounded_time(make: Make) -> None:
    """A cluster that never warms does not keep routes for ever."""
    talk = settled(make(*everything("a"), timing=Timing(accept=9, gate=3)), "a")
    talk.changes(cluster("b"), route("a", "to-b"))
    assert order(talk) == ["Cluster"]
    talk.waits(2.9).silent().waits(0.2)
    talk.hears(ROUTE, "a")


def test_b20_routes_do_not_starve_under_ever_newer_clusters() -> None:
    """Clusters change all the time and are accepted at once; the route goes out within the gate's time."""
    talk = settled(delta(*everything("a"), timing=Timing(accept=5, gate=5)), "a")
    talk.changes(route("a", "2"), cluster("b", "0"))
    for turn in range(60):
        talk.changes(cluster("b", f"{turn + 1}")).waits(0.1)
        talk.acks(CLUSTER)
        if "RouteConfiguration" in order(talk):
            break
    else:
        pytest.fail("the route never went out")


def test_b21_changed_cluster_resends_its_endpoints() -> None:
    """A cluster is sent and its load assignment follows, changed or not; other endpoints stay."""
    talk = settled(delta(*everything("a"), *everything("b")), "a", "b")
    talk.changes(cluster("a", "2"))
    talk.hears(CLUSTER, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(CLUSTER).acks(ENDPOINT).silent()


def test_b21_in_sotw_only_the_changed_clusters_endpoints_are_resent() -> None:
    """The full set repeats the others as they were, which restarts nothing."""
    talk = settled(sotw(*everything("a"), *everything("b")), "a", "b")
    talk.changes(cluster("a", "2"))
    talk.hears(CLUSTER, "a", "b")
    talk.hears(ENDPOINT, "a")


def test_b21_a_resumed_proxy_gets_the_endpoints_of_a_changed_cluster() -> None:
    """Though it says, truly, that it has them."""
    talk = delta(*everything("a"), *everything("b"))
    talk.asks(CLUSTER, known={"a": "old", "b": cluster("b").version})
    talk.hears(CLUSTER, "a")
    talk.asks(ENDPOINT, "a", "b", known={name: endpoints(name).version for name in "ab"})
    talk.hears(ENDPOINT, "a")


def test_b23_a_cluster_that_warms_and_is_asked_for_again_gets_its_endpoints_again() -> None:
    """Announcing it again alone would not restart the warming."""
    talk = delta(cluster("a"), endpoints("a")).asks(CLUSTER, "a").asks(ENDPOINT, "a")
    talk.hears(CLUSTER, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT).acks(CLUSTER, "a")
    talk.hears(CLUSTER, "a")
    talk.hears(ENDPOINT, "a")


def test_b24_newer_clusters_go_before_newer_routes() -> None:
    """While a cluster response is unanswered neither goes; when the wait is over, the clusters go first."""
    talk = settled(delta(*everything("a"), timing=Timing(accept=9, gate=3)), "a")
    talk.changes(cluster("b")).waits(1)
    assert order(talk) == ["Cluster"]
    talk.changes(cluster("c"), route("a", "to-c")).waits(2.9).silent().waits(0.2)
    assert order(talk) == ["Cluster", "RouteConfiguration"]


def test_b24_a_late_ack_of_an_overtaken_response_still_counts() -> None:
    """What the overtaken response carried is known to be accepted or refused when its answer comes at last."""
    talk = settled(delta(*everything("a"), timing=Timing(accept=1, gate=1)), "a")
    talk.changes(cluster("b"))
    late = talk.hears(CLUSTER, "b").nonce
    talk.changes(cluster("c")).waits(1.1)
    talk.hears(CLUSTER, "c")
    talk.asks(CLUSTER, nonce=late, error="b is bad")
    assert [rejection.name for rejection in talk.status(CLUSTER).rejected] == ["b"]


def test_b38_an_ack_that_never_comes_stalls_no_other_type() -> None:
    """Endpoints are never accepted; everything else goes on, and after a while so do endpoints."""
    talk = settled(delta(*everything("a")), "a")
    talk.changes(endpoints("a", "2"))
    talk.hears(ENDPOINT, "a")
    talk.changes(*everything("a", "3"))
    talk.hears(CLUSTER, "a")
    talk.acks(CLUSTER)
    talk.hears(LISTENER, "a")
    talk.hears(ROUTE, "a")
    talk.waits(6)
    talk.hears(ENDPOINT, "a")


@pytest.mark.parametrize("make", [delta, sotw])
def test_b42_endpoints_listeners_and_secrets_are_answered_without_clusters(make: Make) -> None:
    """Asked before clusters or without them."""
    talk = make(*everything("a"), secret("s")).asks(ENDPOINT, "a").asks(LISTENER).asks(SECRET, "s")
    talk.hears(ENDPOINT, "a")
    talk.hears(LISTENER, "a")
    talk.hears(SECRET, "s")
    talk.asks(ROUTE, "a")
    talk.hears(ROUTE, "a")


@pytest.mark.parametrize("make", [delta, sotw])
def test_b18_a_workloads_own_cluster_stays_while_its_listener_drains(make: Make) -> None:
    """The proxy lives without the listener at once, and its open connections still need the cluster."""
    name = "inbound|80||"
    timing = Timing(accept=5, gate=3, drain=60)
    talk = settled(make(*everything(name), *everything("b"), timing=timing), name, "b")
    talk.changes(removed=[(LISTENER, name), (CLUSTER, name)])
    talk.hears(LISTENER, *([] if make is delta else ["b"]), removed=[name] if make is delta else [])
    ack(talk, LISTENER)
    talk.silent().waits(59).silent().waits(1.5)
    talk.hears(CLUSTER, *([] if make is delta else ["b"]), removed=[name] if make is delta else [])


def test_b18_a_workloads_own_cluster_that_comes_back_is_not_removed() -> None:
    """An endpoint that left and returned meanwhile has its cluster, whatever was planned."""
    name = "inbound|80||"
    talk = settled(delta(*everything(name), timing=Timing(accept=5, gate=3, drain=60)), name)
    talk.changes(removed=[(LISTENER, name), (CLUSTER, name)])
    talk.hears(LISTENER, removed=[name])
    talk.acks(LISTENER)
    talk.changes(cluster(name), listener(name))
    talk.waits(120)
    assert all(name not in each.removed for each in talk.heard if short(each.type_url) == "Cluster")
