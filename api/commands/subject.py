"""Which objects a command is about: of a kind or of all, of a namespace or of all, or one by its name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from api.commands.kind import KINDS_ARGUMENT
from xdsd.model.intent import KINDS, Kind
from xdsd.model.problem import ObjectRef

Kinds = tuple[tuple[Kind, ...], str]
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Subject:
    """Empty text stands for all."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


def namespace_options(command: _Command) -> _Command:
    """-n and -A, as kubectl has them."""
    one = click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", default="default", show_default=True)
    every = click.option("-A", "--all-namespaces", is_flag=True, help="Of every namespace.")
    return one(every(command))


def subject(kinds: Kinds | None, name: str | None, namespace: str, *, everywhere: bool) -> Subject:
    """What ``[KIND|KIND/NAME [NAME]]`` means; what cannot be meant is wrong usage."""
    wanted, joined = kinds or ((), "")
    if joined and name:
        raise click.UsageError("name one object, such as vs/reviews or vs reviews")
    name = joined or name or ""
    if name and len(wanted) != 1:
        raise click.UsageError("a name needs one kind, such as vs reviews")
    if name and everywhere:
        raise click.UsageError("a name is of one namespace: use -n NAMESPACE instead of -A")
    if 1 < len(wanted) < len(KINDS):
        raise click.UsageError("name one kind, or all")
    return Subject(wanted[0].kind if len(wanted) == 1 else "", "" if everywhere else namespace, name)


def named(kinds: Kinds, names: Sequence[str]) -> list[tuple[Kind, str]]:
    """The objects that ``KIND NAME…`` or ``KIND/NAME…`` mean, each once; what cannot be meant is wrong usage."""
    wanted, joined = kinds
    slashed = [name for name in names if "/" in name]
    if len(slashed) < len(names) and joined:
        plain = next(name for name in names if "/" not in name)
        raise click.UsageError(f"{plain} names no kind; write each object as KIND/NAME, or KIND NAME…")
    if slashed and not joined:
        raise click.UsageError(f"{slashed[0]} names a kind of its own; write each object as KIND/NAME")
    if names and len(wanted) != 1:
        raise click.UsageError("a name needs one kind, such as vs reviews")
    found = [(wanted[0], joined)] if joined else [(wanted[0], name) for name in names]
    for each in slashed:
        others, name = KINDS_ARGUMENT.convert(each, None, click.get_current_context())
        if not name:
            raise click.UsageError(f"{each} names no object; write KIND/NAME")
        found.append((others[0], name))
    return list(dict.fromkeys(found))


def one_object(kinds: Kinds, name: str | None, namespace: str) -> ObjectRef:
    """The object that ``KIND NAME`` or ``KIND/NAME`` means; what cannot be meant is wrong usage."""
    found = subject(kinds, name, namespace, everywhere=False)
    if not found.name:
        raise click.UsageError("name one object, such as vs/reviews or vs reviews")
    return ObjectRef(found.kind, found.namespace, found.name)
