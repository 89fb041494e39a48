"""Kinds and objects as arguments: ``vs``, ``vs/reviews``, ``all``."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from api.kinds import CATALOG_KINDS, UnknownKindError, find_catalog_kind, find_kind, names_of
from xdsd.model.intent import KINDS, Kind


class KindType(click.ParamType[Kind]):
    """A kind by any of its names."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Kind:
        """The kind; an unknown one is wrong usage."""
        if isinstance(value, Kind):
            return value
        try:
            return find_kind(str(value))
        except UnknownKindError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        words = sorted(name for kind in KINDS.values() for name in names_of(kind))
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


KIND = KindType()


class KindsType(click.ParamType[tuple[tuple[Kind, ...], str]]):
    """What ``get`` and ``delete`` take first: KIND, KIND/NAME, several kinds joined by commas, or ``all``."""

    name = "kind"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[Kind, ...], str]:
        """The kinds, and the name if one was joined on."""
        if isinstance(value, tuple):
            return value
        words, _, name = str(value).partition("/")
        if words.lower() == "all" and not name:
            return tuple(sorted(KINDS.values(), key=lambda kind: kind.plural)), ""
        kinds = tuple(KIND.convert(word, param, ctx) for word in words.split(",") if word != "all")
        if name and len(kinds) != 1:
            self.fail("a name needs one kind, such as vs/reviews", param, ctx)
        if not kinds:
            self.fail("name a kind, such as vs, or all", param, ctx)
        return kinds, name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words for one kind."""
        return KIND.shell_complete(ctx, param, incomplete)


KINDS_ARGUMENT = KindsType()


class ShownKindsType(click.ParamType[Any]):  # what KINDS_ARGUMENT gives, with kinds of the catalog among them
    """What ``get`` takes first: as ``KINDS_ARGUMENT``, and kinds of the catalog."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The kinds, and the name if one was joined on."""
        if isinstance(value, tuple):
            return value
        words, _, name = str(value).partition("/")
        reported = {word: kind for word in words.split(",") if (kind := find_catalog_kind(word)) is not None}
        if not reported:
            return KINDS_ARGUMENT.convert(value, param, ctx)
        kinds = [reported.get(word) or KIND.convert(word, param, ctx) for word in words.split(",")]
        if name and len(kinds) != 1:
            self.fail("a name needs one kind, such as svc/reviews", param, ctx)
        return tuple(dict.fromkeys(kinds)), name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words for one kind."""
        reported = [CompletionItem(kind.plural) for kind in CATALOG_KINDS]
        return [
            *KIND.shell_complete(ctx, param, incomplete),
            *(each for each in reported if str(each.value).startswith(incomplete)),
        ]


SHOWN_KINDS = ShownKindsType()
