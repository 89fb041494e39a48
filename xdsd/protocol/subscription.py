"""What a client is interested in, and how each dialect's requests change that. Pure.

========================  =========================================  ==========================================
the client says           delta                                      state of the world
========================  =========================================  ==========================================
first request, no names   wildcard                                   wildcard
``*``                     wildcard beside the names                  wildcard beside the names
a name more               joins; a wildcard stays                    names are the whole list, so a name ends an
                                                                     unnamed wildcard
a name less               leaves; a wildcard stays                   leaves
``*`` less                names stay                                 names stay
no names (any more)       nothing                                    an unnamed wildcard stays one; else nothing
the empty string          an ordinary name                           an ordinary name
========================  =========================================  ==========================================

Virtual hosts belong to route configurations: a resource ``CONFIGURATION/HOST`` is of interest to a wildcard only ``under``
the configurations that the client has. It does not say which it waits for, and what it is sent before it has one it
drops, but remembers that it was sent.
"""

from collections.abc import Iterable
from typing import NamedTuple

WILDCARD = "*"
_STAR = frozenset({WILDCARD})
_NONE: frozenset[str] = frozenset()


class Interest(NamedTuple):
    """All resources of a type, or some by name, or both. ``unnamed``: a wildcard that was asked for by silence.

    ``under``: the owners to whose resources the wildcard is limited; None where resources have none.
    """

    wildcard: bool = False
    names: frozenset[str] = _NONE
    unnamed: bool = False
    under: frozenset[str] | None = None

    def wants(self, name: str) -> bool:
        return self.covers(name) or name in self.names

    def covers(self, name: str) -> bool:
        """Whether the wildcard means this name."""
        return self.wildcard and (self.under is None or owner(name) in self.under)

    def touches(self, names: Iterable[str]) -> bool:
        """Whether any of these is of interest."""
        if self.under is not None:
            return any(self.wants(name) for name in names)
        return self.wildcard or not self.names.isdisjoint(names)

    @property
    def nothing(self) -> bool:
        return not self.wildcard and not self.names


def owner(name: str) -> str:
    """The route configuration to which a virtual host belongs by its name; that may have slashes, a host has none."""
    return name.rpartition("/")[0]


class Turn(NamedTuple):
    """The interest after a request; which names must be answered, and whether a wildcard began with it."""

    interest: Interest
    answer: frozenset[str] = _NONE
    wildcard_began: bool = False


def delta_first(subscribe: frozenset[str], unsubscribe: frozenset[str]) -> Turn:
    """The interest that the first request of a type declares."""
    if not subscribe:
        return Turn(Interest(wildcard=True, unnamed=True), wildcard_began=True)
    return delta_next(Interest(), subscribe - unsubscribe, _NONE)


def delta_next(interest: Interest, subscribe: frozenset[str], unsubscribe: frozenset[str]) -> Turn:
    """A later request. Every subscribed name is answered, also one that was subscribed already."""
    wildcard = interest.wildcard and WILDCARD not in unsubscribe
    begins = WILDCARD in subscribe
    named = subscribe - _STAR if begins else subscribe
    names = interest.names
    dropped = names & unsubscribe
    if dropped:
        names -= dropped
    if named:
        names = names | named if names else named
    wildcard = wildcard or begins
    # A name that leaves while a wildcard still covers it: the client cannot know which, so it is told.
    answer = named | (dropped - named) if wildcard and dropped else named
    return Turn(Interest(wildcard, names, interest.unnamed and wildcard, interest.under), answer, begins)


def sotw_first(names: frozenset[str]) -> Turn:
    """The interest that the first request of a type declares."""
    if not names:
        return Turn(Interest(wildcard=True, unnamed=True), wildcard_began=True)
    return sotw_next(Interest(), names)


def sotw_next(interest: Interest, names: frozenset[str]) -> Turn:
    """A later request, which lists all names. Those that it did not list before are answered."""
    if not names and interest.unnamed:
        return Turn(interest)
    wildcard = WILDCARD in names
    named = names - _STAR if wildcard else names
    began = wildcard and not interest.wildcard
    return Turn(Interest(wildcard, named), named - interest.names, began)
