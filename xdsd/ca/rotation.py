"""How one root follows another without a request lost: a plan of small steps, each taken once everybody is ready. Pure.

**The invariant**: nobody holds a certificate that somebody else does not trust. So a root is trusted by all before it
issues, and no certificate of it is left with anybody before it is trusted no more:

======= ================ ===================== =========================================================
step    the root to come the root to go        goes on once everybody
======= ================ ===================== =========================================================
trust   trusted          issuing               acknowledged that it trusts the root to come
issue   issuing          retiring              acknowledged a certificate of the root to come
retire  issuing          withdrawn             acknowledged that it trusts the root to go no more
done    issuing          gone                  (its key is deleted)
======= ================ ===================== =========================================================

**Going back** is a rotation to the old root from wherever it is: from *trust* the new root is withdrawn, as nobody has a
certificate of it; from *issue* the old root issues again, and the new one goes; from *retire* the old root must be trusted
anew first, which is why its key is kept until *done*.

**Whoever is away** counts for as long as its certificate holds: a proxy that lost its daemon goes on with what it has, and a
daemon that lost the store goes on signing. Both hold the plan, by name, until they are back, the certificate has expired,
or an operator says that they will not come back (``left``). What cannot be seen from here needs an operator's word too:
whether proxies that connect by tokens have the roots in their files (``roots_given``).

The daemons' own certificates on their TLS ports change last, at *retire*: who connects knows the roots from a file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from xdsd.ca.plan import Rotation, Step
from xdsd.ca.roots import Root, RootSet, RootState
from xdsd.ca.standing import Answer, Standing

STATES: Mapping[Step, tuple[RootState, RootState | None]] = {
    Step.TRUST: (RootState.TRUSTED, RootState.ISSUING),
    Step.ISSUE: (RootState.ISSUING, RootState.RETIRING),
    Step.RETIRE: (RootState.ISSUING, RootState.WITHDRAWN),
    Step.DONE: (RootState.ISSUING, None),
}
"""The states of the root to come and of the root to go."""

NEXT: Mapping[Step, Step] = {Step.TRUST: Step.ISSUE, Step.ISSUE: Step.RETIRE, Step.RETIRE: Step.DONE}

BACK: Mapping[Step, Step] = {Step.TRUST: Step.RETIRE, Step.ISSUE: Step.ISSUE, Step.RETIRE: Step.TRUST}
"""The step of the way back that each step turns into."""


class CannotRotate(Exception):  # noqa: N818 - it is named after what is the matter
    """What was asked of a rotation cannot be done now; the message says what can."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``members`` are the names of the daemons that run."""

    members: frozenset[str]
    standings: tuple[Standing, ...]
    now: datetime


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """Whom a rotation waits for, and why. ``away``: an operator may say that it need not."""

    name: str
    why: str
    away: bool = False


def begin(roots: RootSet, new: Root, author: str, now: datetime) -> RootSet:
    """The first step towards a new root. Raises CannotRotate."""
    check_idle(roots)
    old = roots.issuing.id
    rotation = Rotation(old, new.id, Step.TRUST, now, now, author, roots.server.id)
    return enter(
        RootSet((*roots.roots, replace(new, state=RootState.TRUSTED)), None, roots.turn), rotation, now
    )


def check_idle(roots: RootSet) -> None:
    """Raises CannotRotate where a rotation goes on."""
    if roots.rotation is not None and roots.rotation.running:
        raise CannotRotate("a rotation goes on already; xdsctl ca rotate --status tells how far it is")


def abort(roots: RootSet, now: datetime) -> RootSet:
    """The first step back. Raises CannotRotate."""
    rotation = running(roots)
    if rotation.back:
        raise CannotRotate("the rotation goes back already")
    turned = replace(rotation, back=True, step=BACK[rotation.step], roots_given=False)
    return enter(roots, turned, now)


def advance(roots: RootSet, facts: Facts) -> RootSet | None:
    """The next step, None while somebody holds it."""
    rotation = roots.rotation
    if rotation is None or not rotation.running or holds(roots, facts):
        return None
    return enter(roots, replace(rotation, step=NEXT[rotation.step]), facts.now)


def amend(roots: RootSet, change: Callable[[Rotation], Rotation]) -> RootSet:
    """An operator's word within a step. Raises CannotRotate."""
    return replace(roots, rotation=change(running(roots)))


def running(roots: RootSet) -> Rotation:
    """The rotation that goes on. Raises CannotRotate where none does."""
    if roots.rotation is None or not roots.rotation.running:
        raise CannotRotate("no rotation goes on; xdsctl ca rotate --apply begins one")
    return roots.rotation


def enter(roots: RootSet, rotation: Rotation, now: datetime) -> RootSet:
    """The roots as a step wants them."""
    goal, other = STATES[rotation.step]
    server = rotation.goal if rotation.step in (Step.RETIRE, Step.DONE) else rotation.server
    wanted = {rotation.goal: goal, rotation.other: other}
    found = ((root, wanted.get(root.id, root.state)) for root in roots.roots)
    kept = tuple(replace(root, state=state) for root, state in found if state is not None)
    return RootSet(kept, replace(rotation, entered=now, server=server), roots.turn + 1)


def holds(roots: RootSet, facts: Facts) -> tuple[Hold, ...]:
    """Whom the step waits for, by name; nobody where none goes on."""
    rotation = roots.rotation
    if rotation is None or not rotation.running:
        return ()
    asked = [(each, _why(rotation, roots.turn, each, facts)) for each in counted(facts, rotation.left)]
    waited = {Hold(each.name, why, not _is_here(each, facts)) for each, why in asked if why}
    return tuple(sorted(waited.union(_silent(facts))))


def foreseen(facts: Facts) -> tuple[Hold, ...]:
    """Whom a rotation would wait for if it began now."""
    found = {
        Hold(each.name, _unheard(each, facts), away=True)
        for each in counted(facts)
        if not _is_here(each, facts)
    }
    return tuple(sorted(found.union(_silent(facts))))


def counted(facts: Facts, left: Sequence[str] = ()) -> Iterable[Standing]:
    """Those that a step asks: not those that hold nothing which is good any more, moved on, or were left behind."""
    here = {each.proxy for each in facts.standings if not each.is_daemon and _is_here(each, facts)}
    for each in facts.standings:
        present = _is_here(each, facts)
        if not each.is_daemon and (
            _is_over(each, facts.now, present=present) or (not present and each.proxy in here)
        ):
            continue
        if not present and each.name in left:
            continue
        yield each


def _silent(facts: Facts) -> Iterable[Hold]:
    heard = {each.daemon for each in facts.standings if each.is_daemon}
    for name in facts.members - heard:
        yield Hold(name, "this daemon has not told yet which roots it goes by")


def _is_here(standing: Standing, facts: Facts) -> bool:
    return standing.here and standing.daemon in facts.members


def _is_over(standing: Standing, now: datetime, *, present: bool) -> bool:
    """Nothing that it was given holds any more. Who is connected and has nothing yet is about to be given something."""
    return standing.until <= now if standing.until is not None else not present


def _why(rotation: Rotation, turn: int, standing: Standing, facts: Facts) -> str:
    """Why a step waits for somebody; empty if it does not."""
    if standing.answer is Answer.REFUSED and _is_here(standing, facts):
        return f"it refused what it was sent: {standing.why}"
    if standing.seen < turn or standing.answer is not Answer.ACKNOWLEDGED:
        return _unheard(standing, facts)
    return "" if standing.is_daemon else _WHY[rotation.step](rotation, standing)


def _untrusting(rotation: Rotation, standing: Standing) -> str:
    return (
        "" if not standing.given or rotation.goal in standing.trusts else "it does not trust the new root yet"
    )


def _uncertified(rotation: Rotation, standing: Standing) -> str:
    if standing.given and standing.leaf != rotation.goal:
        return "it has a certificate of the root that goes, and is to be given another"
    if standing.file and standing.file != rotation.goal:
        until = f", or wait until {_told(standing.until)}" if standing.until else ""
        return (
            "it connected with a certificate of the root that goes: renew it (xdsctl cert renew) and let it connect "
            f"again{until}"
        )
    if standing.token and not rotation.roots_given:
        return (
            "it connected by a token and knows the roots from a file: give it the new bundle (xdsctl ca bundle), then say "
            "xdsctl ca rotate --roots-given"
        )
    return ""


def _still_trusting(rotation: Rotation, standing: Standing) -> str:
    return "it trusts the root that goes still" if rotation.other in standing.trusts else ""


_WHY: Mapping[Step, Callable[[Rotation, Standing], str]] = {
    Step.TRUST: _untrusting,
    Step.ISSUE: _uncertified,
    Step.RETIRE: _still_trusting,
}


def _unheard(standing: Standing, facts: Facts) -> str:
    if standing.is_daemon:
        return (
            "this daemon has not taken the step yet"
            if _is_here(standing, facts)
            else "this daemon is away, and its proxies may go by what it last knew"
        )
    if _is_here(standing, facts):
        return "it has not acknowledged what it was sent"
    until = f" until {_told(standing.until)}" if standing.until else ""
    return f"it is away, and its certificate holds{until}"


def _told(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment is not None else ""
