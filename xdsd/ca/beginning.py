"""Beginning a new CA where the key is lost that sealed the old one's: what would be lost, and the step itself.

That is never done by itself. What was sealed is put aside rather than deleted, as a lost key may be found again.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.base import Compare, Delete, Op, Put, Store, Target
from xdsd.ca.roots import InvalidRoots, Root, decode
from xdsd.ca.sealing import Sealer, SealingError
from xdsd.ca.stored import ROOTS

ASIDE = "/xdsd/ca/aside/"


class CannotBegin(Exception):  # noqa: N818 - it is named after what is the matter
    """Nothing was changed; the message says why."""


@dataclass(frozen=True, slots=True)
class Loss:
    """``sealed`` roots cannot be opened, ``opened`` ones can; ``why`` is why not."""

    sealed: tuple[Root, ...] = ()
    opened: tuple[Root, ...] = ()
    why: str = ""
    is_readable: bool = True


async def loss(store: Store, sealer: Sealer) -> Loss:
    """What of the CA in the store cannot be opened with this key. Raises CannotBegin where there is no CA."""
    kv = await store.get(ROOTS)
    if kv is None:
        raise CannotBegin("the store has no CA; a daemon makes one when it starts")
    try:
        roots = decode(kv.value).roots
    except InvalidRoots as error:
        return Loss(why=str(error), is_readable=False)
    closed: dict[str, str] = {}
    for root in roots:
        try:
            sealer.open(root.sealed, root.place)
        except SealingError as error:
            closed[root.id] = str(error)
    return Loss(
        tuple(root for root in roots if root.id in closed),
        tuple(root for root in roots if root.id not in closed),
        next(iter(closed.values()), ""),
    )


async def begin_anew(store: Store, found: Loss, now: datetime) -> str:
    """Puts the CA aside, so that the next daemon that starts makes another; returns where it is. Raises CannotBegin where
    the CA can be used, or where it changed meanwhile.
    """
    if found.is_readable and not found.sealed:
        raise CannotBegin("the CA can be opened, and is not lost; another root follows by xdsctl ca rotate")
    kv = await store.get(ROOTS)
    if kv is None:
        raise CannotBegin("the store has no CA any more")
    aside = f"{ASIDE}{now.strftime('%Y%m%dT%H%M%SZ')}"
    same = Compare(ROOTS, Target.MOD, Op.EQUAL, kv.mod_revision)
    result = await store.txn([same], [Put(aside.encode(), kv.value), Delete(ROOTS)])
    if not result.succeeded:
        raise CannotBegin("the CA changed in the store; try again")
    return aside
