"""What is written of machines that come, leave, and claim what is not theirs."""

from dataclasses import replace

import pytest

from tests.intents.objects import made
from tests.registration.making import NOW, Daemon, Table, claim, group, probed, proof, settle
from xdsd.model.problem import ObjectRef, Reason
from xdsd.model.registered import CONTROLLER, DISCONNECTED_AT, GROUP, HEALTH, TURN, ProbeResult
from xdsd.registration.entries import TLS_MODE_LABEL, EntryObject
from xdsd.registration.judging import Rules
from xdsd.registration.operations import Write

FIRST = ObjectRef("WorkloadEntry", "default", "reviews-10.0.0.1")


def house(*objects: object, rules: Rules | None = None) -> tuple[Table, Daemon]:
    """A store with a group, or with these objects, and a daemon."""
    table = Table()
    for each in objects or (group(),):
        table.put(each)  # type: ignore[arg-type]  # an object of any kind
    return table, Daemon(table, "one", rules or Rules())


def entry(table: Table, ref: ObjectRef = FIRST) -> EntryObject:
    row = table.entry(ref)
    assert row is not None, list(table.rows)
    return row.obj


def problem(daemon: Daemon) -> str:
    (found,) = daemon.roll.problems
    return f"{found.reason} {found.message}"


def test_a_machine_gets_an_entry_from_its_groups_template() -> None:
    """Its own address, and where it says that it is, unless the template knows better; it lives by the daemon's lease."""
    table, daemon = house()
    daemon.arrives(claim(metadata={"NETWORK": "lab"}))
    daemon.settle()
    found = entry(table, ObjectRef("WorkloadEntry", "default", "reviews-10.0.0.1-lab"))
    spec = found.spec
    assert (spec.address, spec.network, spec.locality) == ("10.0.0.1", "lab", "eu/west")
    assert (dict(spec.ports), dict(spec.labels)) == (
        {"http": 9080},
        {"app": "reviews", TLS_MODE_LABEL: "istio"},
    )
    assert spec.service_account == "reviews"
    assert found.metadata.annotations[GROUP] == "reviews"
    row = table.entry(found.ref)
    assert row is not None
    assert row.lease == daemon.lease
    assert daemon.roll.problems == ()


def test_what_the_template_says_holds_against_the_machine() -> None:
    """Where it is, and what it carries, is the operator's to say."""
    template = {
        "serviceAccount": "reviews",
        "network": "vpc",
        "locality": "us",
        "labels": {"a": "b", TLS_MODE_LABEL: "disabled"},
    }
    table, daemon = house(group(template=template))
    daemon.arrives(claim(metadata={"NETWORK": "lab", "LABELS": {"app": "payments"}}))
    daemon.settle()
    spec = entry(table, ObjectRef("WorkloadEntry", "default", "reviews-10.0.0.1-vpc")).spec
    assert (spec.network, spec.locality) == ("vpc", "us")
    assert spec.labels == {"a": "b", "app": "reviews", TLS_MODE_LABEL: "disabled"}


def test_an_address_of_ipv6_makes_a_name() -> None:
    """Its colons become hyphens, and no name ends in one."""
    table, daemon = house()
    for address in ("fd00:201::1", "fd00::"):
        daemon.arrives(claim(address, address))
    daemon.settle()
    assert {ref.name for ref in table.rows} >= {"reviews-fd00-201--1", "reviews-fd00--0"}


def test_a_machine_that_leaves_has_its_entry_for_the_grace_period() -> None:
    """It says so; the lease that it then lives by is nobody's to keep alive. Who comes back in time has never been gone."""
    table, daemon = house()
    daemon.arrives(claim())
    daemon.settle()
    daemon.leaves(claim())
    daemon.settle()
    assert entry(table).metadata.annotations[DISCONNECTED_AT] == NOW
    row = table.entry(FIRST)
    assert row is not None
    assert row.lease != daemon.lease
    daemon.arrives(claim())
    daemon.settle()
    assert DISCONNECTED_AT not in entry(table).metadata.annotations
    assert entry(table).metadata.annotations[TURN] == "2"
    daemon.leaves(claim())
    daemon.settle()
    table.now += 61
    table.expire()
    daemon.settle()
    assert table.entry(FIRST) is None


def test_another_daemon_takes_a_machine_over() -> None:
    """Though the first does not know yet that it went; the last connection counts, and nobody writes against it."""
    table, one = house()
    two = Daemon(table, "two")
    one.arrives(claim())
    settle(one, two)
    two.arrives(claim())
    settle(one, two)
    assert entry(table).metadata.annotations[CONTROLLER] == "two"
    one.leaves(claim())
    settle(one, two)
    assert entry(table).metadata.annotations[CONTROLLER] == "two"
    assert DISCONNECTED_AT not in entry(table).metadata.annotations


@pytest.mark.parametrize("first", ["one", "two"])
def test_of_two_daemons_that_register_a_machine_at_once_the_later_connection_counts(first: str) -> None:
    """Whoever writes first: the other may never hear that the machine went, and takes the entry with it when it dies."""
    table, one = house()
    two = Daemon(table, "two")
    two.arrives(claim())
    one.arrives(replace(claim(), since="2026-01-31T12:00:01.000Z"))
    settle(*sorted((one, two), key=lambda each: each.name != first))
    assert entry(table).metadata.annotations[CONTROLLER] == "one"
    row = table.entry(FIRST)
    assert row is not None
    assert row.lease == one.lease


def test_a_machine_that_comes_back_before_it_is_heard_that_it_went_is_taken_back() -> None:
    """Its last connection counts, though the one before was never over as far as the daemon knows."""
    table, one = house()
    two = Daemon(table, "two")
    for daemon, second in ((one, 0), (two, 1), (one, 2)):
        daemon.arrives(replace(claim(), since=f"2026-01-31T12:00:0{second}.000Z"))
        settle(one, two)
        assert entry(table).metadata.annotations[CONTROLLER] == daemon.name


def test_the_entries_of_a_daemon_that_died_are_taken_over() -> None:
    """By whoever the machines come to, without being gone in between."""
    table, one = house()
    one.arrives(claim())
    one.settle()
    two = Daemon(table, "two")
    two.arrives(claim())
    settle(two)
    table.now += 30
    two.keep_alive()
    table.now += 40
    assert table.expire() == []
    assert entry(table).metadata.annotations[CONTROLLER] == "two"


def test_an_operators_object_holds() -> None:
    """It is left alone, and the conflict is told; once it is gone the machine has its entry."""
    mine = made("WorkloadEntry", FIRST.name, {"address": "192.0.2.1"})
    table, daemon = house(group(), mine)
    daemon.arrives(claim())
    daemon.settle()
    assert entry(table).spec.address == "192.0.2.1"
    assert "Conflict the machine sidecar~10.0.0.1~vm-1" in problem(daemon)
    assert f"{FIRST} is not an entry of a machine" in problem(daemon)
    table.delete(FIRST)
    daemon.settle()
    assert entry(table).spec.address == "10.0.0.1"
    assert daemon.roll.problems == ()
    table.put(mine)
    daemon.settle()
    assert entry(table).spec.address == "192.0.2.1"
    assert daemon.roll.problems != ()
    daemon.leaves(claim())
    daemon.settle()
    assert entry(table).spec.address == "192.0.2.1"
    assert daemon.roll.problems == ()


def test_two_machines_that_claim_one_address_are_told_apart() -> None:
    """Who came first has it; the other is told who that is, and gets it when the first has left."""
    table, daemon = house()
    first, second = claim("vm-1"), claim("vm-2")
    daemon.arrives(first)
    daemon.arrives(second)
    daemon.settle()
    assert "vm-1" in entry(table).metadata.annotations["registration.xdsd.io/node"]
    assert "sidecar~10.0.0.1~vm-2.default" in problem(daemon)
    assert "which sidecar~10.0.0.1~vm-1.default" in problem(daemon)
    daemon.leaves(first)
    daemon.settle()
    assert "vm-2" in entry(table).metadata.annotations["registration.xdsd.io/node"]
    assert daemon.roll.problems == ()


def test_an_address_of_another_group_is_taken_only_from_where_it_is() -> None:
    """Two programs of one machine may be of two groups; who comes from elsewhere may not have another's address."""
    table, daemon = house(group("reviews"), group("ratings"))
    daemon.arrives(claim("vm-1"))
    daemon.arrives(claim("vm-1b", of="ratings"))
    daemon.settle()
    assert daemon.roll.problems == ()
    daemon.arrives(claim("vm-9", of="ratings", seen="10.0.0.9", networks=("10.0.0.0/24",)))
    daemon.settle()
    assert "Conflict" in problem(daemon)
    assert len([ref for ref in table.rows if ref.kind == "WorkloadEntry"]) == 2


def test_an_address_that_is_not_its_own_is_refused() -> None:
    """Unless the ranges of its token or of the settings cover it."""
    table, daemon = house()
    stranger = claim(seen="192.0.2.7")
    daemon.arrives(stranger)
    daemon.settle()
    assert table.entry(FIRST) is None
    assert "it claims the address 10.0.0.1, and its connection comes from 192.0.2.7" in problem(daemon)
    daemon.arrives(replace(stranger, networks=("10.0.0.0/24", "2001:db8::/32")))
    daemon.settle()
    assert table.entry(FIRST) is not None
    assert daemon.roll.problems == ()


def test_an_identity_that_is_not_the_groups_is_refused() -> None:
    """A token for another service account makes no entry, nor does a connection that proved nothing."""
    table, daemon = house()
    daemon.arrives(claim(by=proof("ratings")))
    assert "the group is for the service account reviews, which its token does not cover" in problem(daemon)
    daemon.arrives(replace(claim(), proof=None))
    daemon.settle()
    assert "proved nothing" in problem(daemon)
    assert table.entry(FIRST) is None


def test_a_machine_that_names_one_group_after_another_leaves_nothing_behind() -> None:
    """Groups need not exist, so what is remembered of them goes with who named them."""
    _, daemon = house()
    for number in range(20):
        daemon.arrives(replace(claim(), group=ObjectRef("WorkloadGroup", "default", f"none-{number}")))
    assert len(daemon.roll._members) == 1


def test_a_group_that_is_not_there_yet_is_waited_for() -> None:
    """The machine is registered once it is, and its entry goes with it."""
    table = Table()
    daemon = Daemon(table, "one")
    daemon.arrives(claim())
    assert "BrokenReference" in problem(daemon)
    assert "there is no WorkloadGroup default/reviews" in problem(daemon)
    table.put(group())
    daemon.settle()
    assert table.entry(FIRST) is not None
    table.put(group(template={"serviceAccount": "reviews", "weight": 7}))
    daemon.settle()
    assert (entry(table).spec.weight, entry(table).metadata.generation) == (7, 2)
    table.delete(group().ref)
    daemon.settle()
    assert table.entry(FIRST) is None


def test_one_token_makes_so_many_entries_and_no_more() -> None:
    """The rest is told which token it was; where one leaves, another gets its place."""
    table, daemon = house(rules=Rules(most=3))
    claims = [claim(f"vm-{number}", f"10.0.0.{number}") for number in range(1, 6)]
    for each in claims:
        daemon.arrives(each)
    daemon.settle()
    assert len(table.rows) == 1 + 3
    assert [found.reason for found in daemon.roll.problems] == [Reason.OUT_OF_RANGE] * 2
    assert "its token abc has made 3 entries already" in daemon.roll.problems[0].message
    daemon.arrives(claim("vm-6", "10.0.0.6", by=proof(token="other")))
    daemon.settle()
    assert len(table.rows) == 1 + 4
    daemon.leaves(claims[0])
    daemon.settle()
    table.now += 61
    table.leases[daemon.lease] = table.now + 60
    table.expire()
    settle(daemon)
    assert len(daemon.roll.problems) == 1


def test_a_lost_lease_is_replaced() -> None:
    """Entries that went with it while the store was away come back by another."""
    table, daemon = house()
    daemon.arrives(claim())
    daemon.settle()
    table.now += 61
    assert len(table.expire()) == 1
    daemon.keep_alive()
    daemon.settle()
    row = table.entry(FIRST)
    assert row is not None
    assert table.alive(row.lease)


def test_what_a_probe_finds_stands_in_the_entry() -> None:
    """Unknown before the first report; what was found holds over a new connection. Without a probe nothing stands there."""
    table, daemon = house(probed())
    daemon.arrives(claim())
    daemon.settle()
    assert entry(table).metadata.annotations[HEALTH] == "unknown"
    who = claim()
    for result in (ProbeResult.HEALTHY, ProbeResult.UNHEALTHY, ProbeResult.HEALTHY):
        daemon.todo += daemon.roll.reported(who.node, who.identity, result, NOW)
        daemon.settle()
        assert entry(table).metadata.annotations[HEALTH] == result.value
    revision = table.revision
    daemon.todo += daemon.roll.reported(who.node, who.identity, ProbeResult.HEALTHY, NOW)
    daemon.settle()
    assert table.revision == revision
    daemon.leaves(who)
    daemon.settle()
    daemon.arrives(who)
    daemon.settle()
    assert entry(table).metadata.annotations[HEALTH] == "healthy"
    table.put(group())
    daemon.settle()
    assert HEALTH not in entry(table).metadata.annotations


def test_a_machine_without_a_probe_is_said_to_be_deaf() -> None:
    """That alone, and until it listens again; also after it came back, but not once its group has a probe of its own."""
    table, daemon = house()
    who = claim()
    daemon.arrives(who)
    daemon.settle()
    begun = table.revision
    for result in (ProbeResult.HEALTHY, ProbeResult.UNHEALTHY):
        daemon.todo += daemon.roll.reported(who.node, who.identity, result, NOW)
        daemon.settle()
    assert (table.revision, HEALTH in entry(table).metadata.annotations) == (begun, False)
    for result, said in (
        (ProbeResult.DEAF, "deaf"),
        (ProbeResult.HEALTHY, None),
        (ProbeResult.DEAF, "deaf"),
    ):
        daemon.todo += daemon.roll.reported(who.node, who.identity, result, NOW)
        daemon.settle()
        assert entry(table).metadata.annotations.get(HEALTH) == said
    daemon.leaves(who)
    daemon.settle()
    daemon.arrives(who)
    daemon.settle()
    assert entry(table).metadata.annotations[HEALTH] == "deaf"
    table.put(probed())
    daemon.settle()
    daemon.todo += daemon.roll.reported(who.node, who.identity, ProbeResult.DEAF, NOW)
    daemon.settle()
    assert entry(table).metadata.annotations[HEALTH] == "unknown"


def test_that_a_machine_listens_may_be_reported_to_another_daemon() -> None:
    """The entry stays with the daemon that has the machine."""
    table, one = house()
    two = Daemon(table, "two")
    who = claim()
    one.arrives(who)
    settle(one, two)
    for result, said in ((ProbeResult.DEAF, "deaf"), (ProbeResult.HEALTHY, None)):
        two.todo += two.roll.reported(who.node, who.identity, result, NOW)
        settle(one, two)
        assert entry(table).metadata.annotations.get(HEALTH) == said
        assert entry(table).metadata.annotations[CONTROLLER] == "one"


def test_a_probe_may_be_reported_to_another_daemon() -> None:
    """The entry stays with the daemon that has the machine, and only its own identity's reports count."""
    table, one = house(probed())
    two = Daemon(table, "two")
    one.arrives(claim())
    settle(one, two)
    two.todo += two.roll.reported(
        claim().node, "spiffe://cluster.local/ns/default/sa/other", ProbeResult.HEALTHY, NOW
    )
    settle(one, two)
    assert entry(table).metadata.annotations[HEALTH] == "unknown"
    two.todo += two.roll.reported(claim().node, claim().identity, ProbeResult.HEALTHY, NOW)
    settle(one, two)
    row = table.entry(FIRST)
    assert row is not None
    assert row.lease == one.lease
    assert entry(table).metadata.annotations[HEALTH] == "healthy"
    assert entry(table).metadata.annotations[CONTROLLER] == "one"
    one.leaves(claim())
    settle(one, two)
    assert DISCONNECTED_AT in entry(table).metadata.annotations


def test_a_store_that_went_back_in_time_is_believed() -> None:
    """What it says now holds, though its revisions are lower than they were."""
    daemon = house()[1]
    daemon.arrives(claim())
    daemon.settle()
    daemon.todo += daemon.roll.objects((), (FIRST,), 1, NOW)
    assert [type(each) for each in daemon.todo] == [Write]
    assert daemon.todo[0].expected == 0
