"""The steps by which a root follows another, and who holds each."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.ca.making import NOW, root
from xdsd.ca.plan import Step
from xdsd.ca.roots import Root, RootSet, RootState, decode, encode
from xdsd.ca.rotation import CannotRotate, Facts, Hold, abort, advance, amend, begin, foreseen, holds
from xdsd.ca.standing import ITSELF, Answer, Standing

OLD, NEW = (Root(root().certificate, RootState.ISSUING, "sealed") for _ in range(2))
HOUR = timedelta(hours=1)


def first() -> RootSet:
    """One root that issues."""
    return RootSet((OLD,))


def at(step: Step) -> RootSet:
    """A rotation at this step."""
    roots = begin(first(), NEW, "ann", NOW)
    while roots.rotation is not None and roots.rotation.step is not step:
        roots = advance(roots, ready(roots)) or roots
    return roots


def daemon(roots: RootSet, **more: object) -> Standing:
    """Of a daemon that has taken the step."""
    return replace(Standing("north", ITSELF, "north", roots.turn), **more)  # type: ignore[arg-type]


def proxy(roots: RootSet, **more: object) -> Standing:
    """Of a proxy that has acknowledged all of the step."""
    standing = Standing("north", "bob~1", "bob", roots.turn, until=NOW + HOUR)
    trusts = tuple(each.id for each in roots.trusted)
    return replace(standing, trusts=trusts, leaf=roots.issuing.id, **more)  # type: ignore[arg-type]


def facts(*standings: Standing, members: frozenset[str] = frozenset({"north"})) -> Facts:
    return Facts(members, standings, NOW)


def ready(roots: RootSet) -> Facts:
    """A daemon and a proxy that have done what the step asks."""
    return facts(daemon(roots), proxy(roots))


def why(roots: RootSet, *standings: Standing) -> list[str]:
    """What is told of whom the step waits for."""
    return [each.why for each in holds(roots, facts(daemon(roots), *standings))]


def states(roots: RootSet) -> dict[str, RootState]:
    return {each.id: each.state for each in roots.roots}


@pytest.mark.parametrize(
    ("step", "new", "old", "server"),
    [
        (Step.TRUST, RootState.TRUSTED, RootState.ISSUING, OLD),
        (Step.ISSUE, RootState.ISSUING, RootState.RETIRING, OLD),
        (Step.RETIRE, RootState.ISSUING, RootState.WITHDRAWN, NEW),
    ],
)
def test_each_step_has_its_states(step: Step, new: RootState, old: RootState, server: Root) -> None:
    """What trusts, issues and is withdrawn; the daemons' own certificates change at the last."""
    roots = at(step)
    assert states(roots) == {OLD.id: old, NEW.id: new}
    assert roots.server.id == server.id
    assert (OLD.id in [each.id for each in roots.trusted]) is (old is not RootState.WITHDRAWN)
    assert decode(encode(roots)) == roots


def test_in_the_end_one_root_stands_alone() -> None:
    """The key of the old one is gone, and another rotation may begin."""
    roots = at(Step.DONE)
    assert states(roots) == {NEW.id: RootState.ISSUING}
    assert advance(roots, ready(roots)) is None
    assert begin(roots, OLD, "ann", NOW).turn == roots.turn + 1


def test_one_goes_on_at_a_time() -> None:
    """What does not fit what goes on is refused, with what may be done."""
    with pytest.raises(CannotRotate, match="goes on already"):
        begin(at(Step.ISSUE), NEW, "ann", NOW)
    for roots in (first(), at(Step.DONE)):
        with pytest.raises(CannotRotate, match="--apply begins one"):
            abort(roots, NOW)
    with pytest.raises(CannotRotate, match="goes back already"):
        abort(abort(at(Step.ISSUE), NOW), NOW)


@pytest.mark.parametrize(
    ("step", "back", "old", "new"),
    [
        (Step.TRUST, Step.RETIRE, RootState.ISSUING, RootState.WITHDRAWN),
        (Step.ISSUE, Step.ISSUE, RootState.ISSUING, RootState.RETIRING),
        (Step.RETIRE, Step.TRUST, RootState.TRUSTED, RootState.ISSUING),
    ],
)
def test_each_step_has_its_way_back(step: Step, back: Step, old: RootState, new: RootState) -> None:
    """It leads to the old root alone, and asks everybody anew."""
    before = at(step)
    roots = abort(before, NOW)
    assert roots.rotation is not None
    assert roots.rotation.step is back
    assert states(roots) == {OLD.id: old, NEW.id: new}
    assert advance(roots, ready(before)) is None
    while roots.rotation is not None and roots.rotation.running:
        following = advance(roots, ready(roots))
        assert following is not None
        roots = following
    assert states(roots) == {OLD.id: RootState.ISSUING}


@pytest.mark.parametrize("step", [Step.TRUST, Step.ISSUE, Step.RETIRE])
def test_what_was_acknowledged_before_counts_for_nothing(step: Step) -> None:
    """A step waits for whoever has not answered it: a proxy, a daemon, or one that nothing is known of."""
    roots = at(step)
    late = {"seen": roots.turn - 1}
    assert "has not acknowledged" in why(roots, proxy(roots, **late))[0]
    assert "has not acknowledged" in why(roots, proxy(roots, answer=Answer.WAITING))[0]
    assert "has not taken the step" in holds(roots, facts(daemon(roots, **late)))[0].why
    silent = holds(roots, facts(daemon(roots), members=frozenset({"north", "south"})))
    assert silent == (Hold("south", "this daemon has not told yet which roots it goes by"),)
    assert why(roots, proxy(roots, answer=Answer.REFUSED, why="bad PEM")) == [
        "it refused what it was sent: bad PEM"
    ]
    assert why(roots, proxy(roots)) == []


def test_a_step_asks_for_what_the_next_rests_on() -> None:
    """Trust of the new root; then a certificate of it, in files too; then that the old one is trusted no more."""
    roots = at(Step.TRUST)
    assert "does not trust" in why(roots, replace(proxy(roots), trusts=(OLD.id,)))[0]
    roots = at(Step.ISSUE)
    assert "certificate of the root that goes" in why(roots, replace(proxy(roots), leaf=OLD.id))[0]
    assert "xdsctl cert renew" in why(roots, proxy(roots, file=OLD.id))[0]
    assert why(roots, proxy(roots, file=NEW.id)) == []
    assert "--roots-given" in why(roots, proxy(roots, token=True))[0]
    said = amend(roots, lambda each: each.with_roots_given())
    assert why(said, proxy(said, token=True)) == []
    roots = at(Step.RETIRE)
    assert "still" in why(roots, replace(proxy(roots), trusts=(OLD.id, NEW.id)))[0]


def test_a_proxy_without_secrets_is_asked_for_its_files_alone() -> None:
    """It shows no peer a certificate of the mesh, and believes none."""
    bare = {"given": False, "trusts": (), "leaf": ""}
    assert why(at(Step.TRUST), replace(proxy(at(Step.TRUST)), **bare)) == []  # type: ignore[arg-type]
    roots = at(Step.ISSUE)
    assert "xdsctl cert renew" in why(roots, replace(proxy(roots, file=OLD.id), **bare))[0]  # type: ignore[arg-type]


def test_who_is_away_holds_until_its_certificate_has_expired() -> None:
    """Or until it is back, at any daemon, or an operator says that it will not come back."""
    roots = at(Step.TRUST)
    away = proxy(roots, seen=0, here=False)
    (held,) = holds(roots, facts(daemon(roots), away))
    assert held.away
    assert "is away, and its certificate holds until 2026-11-21T13:00:00" in held.why
    assert why(roots, replace(away, until=NOW)) == []
    assert why(roots, away, proxy(roots)) == []
    gone = replace(away, here=True, daemon="south")  # its daemon died, and told nothing
    assert holds(roots, facts(daemon(roots), gone))[0].away
    assert why(amend(roots, lambda each: each.leave(("bob",))), away) == []
    back = replace(away, here=True)
    assert why(amend(roots, lambda each: each.leave(("bob",))), back) != []


def test_a_daemon_that_died_holds_until_it_is_back() -> None:
    """It may have given its proxies what nobody knows of."""
    roots = at(Step.TRUST)
    dead = daemon(roots, daemon="south", name="south", seen=0)
    (held,) = holds(roots, facts(daemon(roots), dead))
    assert (held.name, held.away) == ("south", True)
    assert why(amend(roots, lambda each: each.leave(("south",))), dead) == []


def test_a_plan_names_who_would_hold_it() -> None:
    """Those who are away, before anything began."""
    roots = first()
    assert foreseen(facts(daemon(roots), proxy(roots))) == ()
    (held,) = foreseen(facts(daemon(roots), proxy(roots, here=False)))
    assert held.name == "bob"
