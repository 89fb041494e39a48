"""Virtual hosts apart from their route configurations: a wildcard by wire, limited to the configurations a proxy has."""

from tests.playbook import cluster, delta, host, listener, route, sotw
from xdsd.protocol.commands import Attach, Log
from xdsd.snapshot import CLUSTER, LISTENER, ROUTE, VIRTUAL_HOST

A, B = host("one", "a"), host("one", "b")
OTHER = host("two", "a")


def test_the_hosts_of_the_tables_that_a_proxy_was_sent_come_in_one_response() -> None:
    """It asks for all and gets those of its own tables, so that no listener serves with half of them."""
    talk = delta(route("one"), route("two"), A, B, OTHER)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a", "one/b")
    talk.acks(VIRTUAL_HOST).silent()


def test_an_edit_of_one_host_is_one_resource() -> None:
    """Neither its table nor the other hosts are sent again; a host of a table that the proxy lacks is no news to it."""
    talk = delta(route("one"), A, B)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a", "one/b")
    talk.acks(VIRTUAL_HOST)
    talk.changes(host("one", "a", "2")).hears(VIRTUAL_HOST, "one/a")
    talk.acks(VIRTUAL_HOST)
    talk.changes(host("two", "a", "2")).silent()
    talk.removes(VIRTUAL_HOST, "one/b").hears(VIRTUAL_HOST, removed=["one/b"])


def test_another_table_is_followed_by_its_hosts() -> None:
    """Envoy does not ask again: its wildcard stands since the first table."""
    talk = delta(route("one"), route("two"), A, OTHER)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a")
    talk.acks(VIRTUAL_HOST).asks(ROUTE, "two")
    talk.hears(ROUTE, "two")
    talk.hears(VIRTUAL_HOST, "two/a")
    talk.acks(ROUTE).acks(VIRTUAL_HOST).silent()


def test_hosts_come_after_their_table_though_both_are_new() -> None:
    """What Envoy is sent before it knows the table it drops, and remembers that it was sent."""
    talk = delta(route("one"), A)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a")
    talk.acks(VIRTUAL_HOST).asks(ROUTE, "two").hears(ROUTE, removed=["two"])
    talk.changes(route("two"), OTHER).silent()
    talk.acks(ROUTE).hears(ROUTE, "two")
    talk.hears(VIRTUAL_HOST, "two/a")


def test_a_table_that_is_sent_again_is_followed_by_all_of_its_hosts() -> None:
    """The proxy asked for it anew, so it may have been without it and its hosts."""
    talk = delta(route("one"), A, B)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a", "one/b")
    talk.acks(VIRTUAL_HOST)
    talk.asks(ROUTE, less=["one"]).hears(VIRTUAL_HOST, removed=["one/a", "one/b"])
    talk.acks(VIRTUAL_HOST)
    talk.changes(host("one", "a", "2")).silent()
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    assert talk.hears(VIRTUAL_HOST, "one/a", "one/b").resources["one/a"] == host("one", "a", "2").version


def test_let_go_and_asked_for_again_at_once_nothing_is_said_to_be_gone() -> None:
    """The last word counts: the hosts come again and stand in no list of removals."""
    talk = delta(route("one"), A)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a")
    talk.stalled = True
    talk.changes(host("one", "a", "2"))
    talk.asks(ROUTE, less=["one"]).asks(ROUTE, "one")
    talk.acks(VIRTUAL_HOST).writes()
    talk.heard.clear()
    talk.acks(ROUTE).acks(VIRTUAL_HOST)
    assert all("one/a" not in heard.removed for heard in talk.heard)


def test_hosts_of_a_table_that_is_gone_stay_until_the_proxy_lets_go_of_it() -> None:
    """Its old listener drains, and answers until then."""
    talk = delta(route("one"), A, B)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a", "one/b")
    talk.acks(VIRTUAL_HOST)
    talk.changes(removed=[(ROUTE, "one"), (VIRTUAL_HOST, "one/a"), (VIRTUAL_HOST, "one/b")])
    talk.hears(ROUTE, removed=["one"])
    talk.silent()
    talk.acks(ROUTE, less=["one"]).hears(VIRTUAL_HOST, removed=["one/a", "one/b"])


def test_a_table_that_comes_back_tells_which_of_its_hosts_did_not() -> None:
    """The proxy never let go of it, so it still has them."""
    talk = delta(route("one"), A, B)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a", "one/b")
    talk.acks(VIRTUAL_HOST)
    talk.changes(removed=[(ROUTE, "one"), (VIRTUAL_HOST, "one/a"), (VIRTUAL_HOST, "one/b")])
    talk.hears(ROUTE, removed=["one"])
    talk.acks(ROUTE).changes(route("one", "2"), A).hears(ROUTE, "one")
    talk.hears(VIRTUAL_HOST, "one/a", removed=["one/b"])


def test_b40_a_proxy_that_comes_back_is_sent_what_differs() -> None:
    """Equal hosts are skipped; gone ones are named, and those of tables that it has no more."""
    known = {"one/a": A.version, "one/b": "old", "one/c": "old", "two/a": OTHER.version}
    talk = delta(route("one"), route("two"), A, B, OTHER)
    talk.asks(ROUTE, "one", known={"one": route("one").version}).silent()
    talk.asks(VIRTUAL_HOST, known=known).hears(VIRTUAL_HOST, "one/b", removed=["one/c", "two/a"])


def test_b40_hosts_may_be_spoken_of_before_their_tables() -> None:
    """Nothing that the proxy has is taken from it because its tables were not mentioned yet."""
    talk = delta(route("one"), route("two"), A, B, OTHER)
    talk.asks(VIRTUAL_HOST, known={"one/a": A.version, "one/b": B.version, "two/a": OTHER.version})
    talk.hears(VIRTUAL_HOST)
    talk.acks(VIRTUAL_HOST).asks(ROUTE, "one", known={"one": route("one").version})
    talk.hears(VIRTUAL_HOST, removed=["two/a"])


def test_b40_a_table_that_a_returning_proxy_lacks_brings_its_hosts_whatever_it_says_of_them() -> None:
    """It may have dropped them, for want of a table, and remembers their versions all the same."""
    talk = delta(route("one"), A)
    talk.asks(VIRTUAL_HOST, known={"one/a": A.version}).hears(VIRTUAL_HOST)
    talk.acks(VIRTUAL_HOST).asks(ROUTE, "one").hears(ROUTE, "one")
    talk.hears(VIRTUAL_HOST, "one/a")


def test_b40_what_is_said_of_hosts_is_not_believed_of_a_table_that_was_just_sent() -> None:
    """Whichever of the two the proxy speaks of first."""
    talk = delta(route("one"), A)
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.asks(VIRTUAL_HOST, known={"one/a": A.version}).hears(VIRTUAL_HOST, "one/a")
    talk = delta(route("one"), A)
    talk.stalled = True
    talk.asks(CLUSTER).asks(VIRTUAL_HOST, known={"one/a": A.version}).asks(ROUTE, "one").writes()
    talk.hears(CLUSTER)
    talk.acks(CLUSTER).hears(ROUTE, "one")
    talk.hears(VIRTUAL_HOST, "one/a")


def test_b18_a_cluster_goes_after_the_host_that_used_it() -> None:
    """A host is a user of clusters like a table with its hosts inside."""
    talk = delta(cluster("c"), route("one"), A)
    talk.asks(CLUSTER).hears(CLUSTER, "c")
    talk.acks(CLUSTER).asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a")
    talk.acks(VIRTUAL_HOST)
    talk.changes(host("one", "a", "2"), removed=[(CLUSTER, "c")]).hears(VIRTUAL_HOST, "one/a")
    talk.silent()
    talk.acks(VIRTUAL_HOST).hears(CLUSTER, removed=["c"])


def test_b18_a_returning_proxy_keeps_a_cluster_until_its_hosts_are_settled() -> None:
    """It has hosts also before it speaks of them."""
    talk = delta(route("one"), listener("l"), A)
    talk.asks(CLUSTER, known={"c": "old"}).hears(CLUSTER)
    talk.acks(CLUSTER).asks(LISTENER, known={"l": listener("l").version}).hears(LISTENER)
    talk.acks(LISTENER).asks(ROUTE, "one", known={"one": route("one").version}).silent()
    talk.asks(VIRTUAL_HOST, known={"one/a": "old"}).hears(VIRTUAL_HOST, "one/a")
    talk.silent()
    talk.acks(VIRTUAL_HOST).hears(CLUSTER, removed=["c"])


def test_b20_a_host_waits_for_the_clusters_that_it_uses() -> None:
    """A new cluster is warm before a request can be sent to it."""
    talk = delta(route("one"), A)
    talk.asks(CLUSTER).hears(CLUSTER)
    talk.acks(CLUSTER).asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a")
    talk.acks(VIRTUAL_HOST)
    talk.changes(cluster("c"), host("one", "a", "2")).hears(CLUSTER, "c")
    talk.silent()
    talk.acks(CLUSTER).hears(VIRTUAL_HOST, "one/a")


def test_b37_one_bad_host_is_found_and_the_others_stand() -> None:
    """Envoy refuses the whole response and names nobody: halves are tried until the bad one stands alone."""
    talk = delta(route("one"), *(host("one", name) for name in "abcd"))
    talk.asks(ROUTE, "one").hears(ROUTE, "one")
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, "one/a", "one/b", "one/c", "one/d")
    talk.nacks(VIRTUAL_HOST, "only unique values")
    taken: set[str] = set()
    while talk.heard:
        heard = talk.heard.pop(0)
        if "one/b" in heard.resources:
            talk.nacks(VIRTUAL_HOST, "only unique values")
        else:
            taken |= set(heard.resources)
            talk.acks(VIRTUAL_HOST)
    assert taken == {"one/a", "one/c", "one/d"}
    assert [each.name for each in talk.status(VIRTUAL_HOST).rejected] == ["one/b"]


def test_a_host_that_is_asked_for_by_name_is_answered_whatever_tables_there_are() -> None:
    """As Envoy does on demand, beside its wildcard or without one."""
    talk = delta(OTHER)
    talk.asks(VIRTUAL_HOST, "two/a", "two/b").hears(VIRTUAL_HOST, "two/a", removed=["two/b"])


def test_a_table_whose_name_has_slashes_has_hosts_too() -> None:
    """The host is what stands behind the last one."""
    table = "unix:///run/app.sock:0"
    talk = delta(route(table), host(table, "a"))
    talk.asks(ROUTE, table).hears(ROUTE, table)
    talk.acks(ROUTE).asks(VIRTUAL_HOST).hears(VIRTUAL_HOST, f"{table}/a")


def test_the_state_of_the_world_has_no_such_type() -> None:
    """Envoy knows it in the incremental dialect alone; there is no answer, and a line in the log."""
    talk = sotw(route("one"), A)
    talk.asks(VIRTUAL_HOST).silent()
    assert len(talk.commands(Log)) == 1


def test_the_mesh_is_told_who_can_be_served_hosts() -> None:
    """An aggregated stream of the incremental dialect alone."""
    for talk, able in ((delta(), True), (sotw(), False), (delta(type_url=ROUTE), False)):
        talk.asks(ROUTE)
        assert [attach.node.incremental for attach in talk.commands(Attach)] == [able]
