"""How far each proxy is with the roots, as its streams tell: what it acknowledged, and nothing that is only on its way."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from xdsd.ca.standing import Answer, Standing
from xdsd.model.identity import Proof
from xdsd.model.node import Node
from xdsd.protocol.watch import State, TypeStatus
from xdsd.server.session import Session
from xdsd.snapshot import SECRET

_LONGEST = 300


def standing(session: Session, daemon: str, turn: int) -> Standing | None:
    """Of one stream at this turn of the roots; None for one that proved nothing or has not said whose it is.

    ``file`` has the name of who issued the certificate that it proved itself by, not yet the id of its root.
    """
    node, identity = session.stream.node, session.stream.identity
    if node is None or identity is None:
        return None
    by_file = identity.proof is Proof.CERTIFICATE
    base = Standing(
        daemon,
        node.key,
        _name(node),
        turn,
        given=False,
        until=identity.expires if by_file else None,
        file=identity.issuer if by_file else "",
        token=not by_file,
    )
    asked = next((each for each in session.stream.status() if each.type_url == SECRET), None)
    return base if asked is None else _given(base, session, asked)


def _given(base: Standing, session: Session, asked: TypeStatus) -> Standing:
    held = session.held()
    if held is None:
        return replace(base, given=True, answer=Answer.WAITING)
    answer = _ANSWERS.get(asked.state, Answer.WAITING)
    return replace(
        base,
        given=True,
        seen=held.turn,
        answer=answer,
        trusts=held.trusts if answer is Answer.ACKNOWLEDGED else (),
        leaf=held.leaf if answer is Answer.ACKNOWLEDGED else "",
        until=_later(base.until, held.until),
        why=asked.error[:_LONGEST] if answer is Answer.REFUSED else "",
    )


_ANSWERS = {State.SYNCED: Answer.ACKNOWLEDGED, State.NACKED: Answer.REFUSED}


def joined(standings: Iterable[Standing]) -> dict[str, Standing]:
    """One a proxy, by its key: of several streams of one, the one that is least far counts."""
    found: dict[str, Standing] = {}
    for each in standings:
        other = found.get(each.proxy)
        found[each.proxy] = each if other is None else _lesser(each, other)
    return found


def _lesser(one: Standing, other: Standing) -> Standing:
    if one.given != other.given:
        return one if one.given else other
    low, high = sorted((one, other), key=lambda each: (each.answer is Answer.ACKNOWLEDGED, each.seen))
    return replace(
        low, until=_later(low.until, high.until), file=low.file or high.file, token=low.token or high.token
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _name(node: Node) -> str:
    """As people know it: the third part of what Istio's nodes say."""
    parts = node.id.split("~")
    return parts[2] if len(parts) > 2 else node.id
