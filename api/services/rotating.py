"""The rotation of roots, as the admin API tells of it and is told."""

from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.ca.roots import Root
from xdsd.ca.rotating import Progress, Rotations
from xdsd.ca.rotation import CannotRotate
from xdsd.ca.standing import Standing

MOST_HOLDS = 1000
"""Of those that a rotation waits for are told."""


async def rotate(rotations: Rotations, request: pb.RotateRequest, author: str) -> None:
    """Does what is asked. Raises CannotRotate."""
    action = pb.RotateRequest.Action
    match request.action:
        case action.BEGIN:
            await rotations.begin(author)
        case action.ABORT:
            await rotations.abort(author)
        case action.LEAVE:
            await rotations.leave(tuple(request.names), author)
        case action.ROOTS_GIVEN:
            await rotations.roots_given(author)
        case _:
            raise CannotRotate("say what is to be done: BEGIN, ABORT, LEAVE or ROOTS_GIVEN")


def shown(progress: Progress) -> pb.Rotation:
    """How far it is."""
    proxies = [each for each in progress.asked if not each.is_daemon]
    made = pb.Rotation(
        roots=[_root(root, proxies) for root in progress.roots.roots],
        asked=len(progress.asked),
        holds=[
            pb.RotationHold(name=each.name, why=each.why, away=each.away)
            for each in progress.held[:MOST_HOLDS]
        ],
        by_token=sum(1 for each in proxies if each.token),
    )
    rotation = progress.rotation
    if rotation is not None:
        made.step, made.back, made.author = rotation.step.value, rotation.back, rotation.author
        made.old, made.new, made.roots_given = rotation.old, rotation.new, rotation.roots_given
        made.left.extend(rotation.left)
        made.begun.FromDatetime(rotation.begun)
        made.entered.FromDatetime(rotation.entered)
    return made


def _root(root: Root, proxies: list[Standing]) -> pb.CaRoot:
    made = pb.CaRoot(
        id=root.id,
        state=root.state.value,
        subject=root.certificate.subject.rfc4514_string(),
        trusting=sum(1 for each in proxies if root.id in each.trusts),
        certified=sum(1 for each in proxies if each.leaf == root.id),
    )
    made.expires.FromDatetime(root.certificate.not_valid_after_utc)
    return made
