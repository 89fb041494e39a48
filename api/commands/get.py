"""``xdsctl get``: objects as tables or data, once or as they change."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from api.client import ApiError, Client, NotFoundError
from api.commands.catalog import CatalogView, check_selector, get_catalog, listed
from api.commands.connection import Connection, pass_connection
from api.commands.interrupt import watching
from api.commands.kind import SHOWN_KINDS
from api.commands.output import Format, print_data, print_table, to_yaml
from api.commands.subject import named
from api.commands.tables import columns, now, row
from api.kinds import CatalogKind, qualified
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.intent import Kind
from xdsd.model.problem import ObjectRef

Json = dict[str, Any]  # an object of intent

_EVENTS = {
    pb.WatchResponse.TYPE_ADDED: "ADDED",
    pb.WatchResponse.TYPE_MODIFIED: "MODIFIED",
    pb.WatchResponse.TYPE_DELETED: "DELETED",
}

_LISTED = frozenset({"ServiceEntry", "WorkloadEntry"})
_ELSEWHERE = (
    " among the objects of the store; what registries report is shown by xdsctl get services and xdsctl get workloads, and"
    " xdsctl registries names them"
)

_NOT_LISTED = (
    "What {names} declares is no object of the store: xdsctl get services and xdsctl get workloads show it,"
    " with its source"
)
_STORE = "store"


@click.command()
@click.argument("kinds", metavar="KIND[,KIND…]|KIND/NAME|all", type=SHOWN_KINDS)
@click.argument("names", metavar="[NAME|KIND/NAME]…", nargs=-1)
@click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", default="default", show_default=True)
@click.option("-A", "--all-namespaces", is_flag=True, help="Of every namespace.")
@click.option("-l", "--selector", default="", help="Only with these labels: a=b,c!=d,e in (f,g),h,!i.")
@click.option("-o", "--output", type=Format, help="Data, more columns, or names alone.")
@click.option("-w", "--watch", is_flag=True, help="Stay and print every change until interrupted.")
@click.option("--no-headers", is_flag=True, help="Tables without their first line.")
@pass_connection
def get(
    connection: Connection,
    kinds: Any,  # what SHOWN_KINDS gives
    names: tuple[str, ...],
    namespace: str,
    all_namespaces: bool,
    selector: str,
    output: str | None,
    watch: bool,
    no_headers: bool,
) -> None:
    """Print objects: all of a kind, or those that are named.

    Services, endpoints and workloads are what registries report, with the sources of each; services and their endpoints are
    named by their host (short ones too), endpoints by their address as well, and workloads by their name.
    """
    where = "" if all_namespaces else namespace
    reported = [kind for kind in kinds[0] if isinstance(kind, CatalogKind)]
    if len(kinds[0]) > 1 and reported:
        if names or watch:
            raise click.UsageError("a name needs one kind, and so does --watch")
        with connection.client() as client:
            _mixed(
                client, kinds[0], _View(output, where, True, not no_headers), selector, header=not no_headers
            )
        return
    if reported:
        shown = CatalogView(reported[0], output, where, not no_headers)
        get_catalog(connection, shown, [kinds[1], *names] if kinds[1] else names, selector, watch=watch)
        return
    wanted, objects = kinds[0], named(kinds, names)
    _check(wanted, objects, all_namespaces, selector, watch)
    several = len({*wanted, *(kind for kind, _ in objects)}) > 1
    view = _View(output, where, several, not no_headers)
    with connection.client() as client:
        if watch:
            _watch(client, wanted[0], objects[0][1] if objects else "", selector, view)
        elif objects:
            view.print_named([_one(client, kind, namespace, name) for kind, name in objects])
        else:
            view.print_list(
                [item for kind in wanted for item in _all(client, kind, view.namespace, selector)]
            )
            if output in {None, "wide"} and any(kind.kind in _LISTED for kind in wanted):
                _tell_of_registries(client)


def _mixed(
    client: Client, kinds: Sequence[Kind | CatalogKind], view: "_View", selector: str, *, header: bool
) -> None:
    """Several kinds, some of which registries report: a table each, or one list."""
    found: list[tuple[Kind | CatalogKind, list[Json]]] = []
    for kind in kinds:
        if isinstance(kind, CatalogKind):
            check_selector(kind, selector)
            found.append((kind, listed(client, kind, view.namespace, "", selector)))
        else:
            found.append((kind, list(_all(client, kind, view.namespace, selector))))
    filled = [(kind, items) for kind, items in found if items]
    if view.output in {"json", "yaml"} or not filled:
        view.print_list([item for _, items in filled for item in items])
        return
    for number, (kind, items) in enumerate(filled):
        if number and view.output != "name":
            click.echo()
        if isinstance(kind, CatalogKind):
            CatalogView(kind, view.output, view.namespace, header, many=True).print_list(items)
        else:
            view.print_list(items)


def _check(
    kinds: Sequence[Kind],
    names: Sequence[tuple[Kind, str]],
    all_namespaces: bool,
    selector: str,
    watch: bool,
) -> None:
    """Refuses what cannot be meant together."""
    if names and all_namespaces:
        raise click.UsageError("a name is of one namespace: use -n NAMESPACE instead of -A")
    if names and selector:
        raise click.UsageError("a name and a selector exclude each other")
    if watch and (len(kinds) > 1 or len(names) > 1):
        raise click.UsageError("--watch follows one kind, or one object of it")


def _one(client: Client, kind: Kind, namespace: str, name: str) -> Json:
    try:
        found: Json = json.loads(client.get(ObjectRef(kind.kind, namespace, name)))
    except NotFoundError as error:
        hint = _ELSEWHERE if kind.kind in _LISTED else ""
        raise click.ClickException(f'{kind.plural}.{kind.group} "{name}" not found{hint}') from error
    return found


def _all(client: Client, kind: Kind, namespace: str, selector: str) -> Iterator[Json]:
    for item in client.list(kind.kind, namespace, selector).objects:
        yield json.loads(item.json)


def _tell_of_registries(client: Client) -> None:
    """Says which sources have services and workloads that are no objects of the store."""
    try:
        found = [each for each in client.registries() if each.name != _STORE]
    except ApiError:
        return  # who may read objects need not be allowed to see how the daemon is
    names = [each.name for each in found if each.services or each.workloads]
    if names:
        click.echo(_NOT_LISTED.format(names=", ".join(names)), err=True)


class _View:
    """How the objects of one command are printed."""

    def __init__(self, output: str | None, namespace: str, many_kinds: bool, header: bool) -> None:
        self.output = output
        self.namespace = namespace
        self._many_kinds = many_kinds
        self._header = header

    def print_named(self, items: Sequence[Json]) -> None:
        if len(items) == 1 and self.output in {"json", "yaml"}:
            print_data(items[0], self.output)
        else:
            self.print_list(items)

    def print_list(self, items: Sequence[Json]) -> None:
        if self.output in {"json", "yaml"}:
            print_data({"apiVersion": "v1", "kind": "List", "items": list(items)}, self.output)
        elif self.output == "name":
            for item in items:
                click.echo(qualified(item["kind"], item["metadata"]["name"]))
        elif items:
            self._tables(items)
        else:
            where = f" in {self.namespace} namespace" if self.namespace else ""
            click.echo(f"No resources found{where}.", err=True)

    def _tables(self, items: Sequence[Json]) -> None:
        kinds = list(dict.fromkeys(item["kind"] for item in items))
        for number, kind in enumerate(kinds):
            if number:
                click.echo()
            self.table(kind, [item for item in items if item["kind"] == kind])

    def table(
        self, kind: str, items: Sequence[Json], events: Sequence[str] = (), *, header: bool = True
    ) -> None:
        """One kind's table; ``events`` become its first column."""
        shape = {"namespaces": not self.namespace, "wide": self.output == "wide"}
        rows = [row(item, now(), name=self._name(item), **shape) for item in items]
        titles = columns(kind, **shape)
        if events:
            titles = ("EVENT", *titles)
            rows = [(event, *cells) for event, cells in zip(events, rows, strict=True)]
        print_table(titles, rows, header=header and self._header)

    def _name(self, item: Json) -> str:
        name: str = item["metadata"]["name"]
        return qualified(item["kind"], name) if self._many_kinds else name


def _watch(client: Client, kind: Kind, name: str, selector: str, view: _View) -> None:
    """What is there as one table, then a line or document a change, until interrupted."""
    first: list[Json] | None = []
    with watching():
        for response in client.watch(kind.kind, view.namespace, name, selector):
            if response.type == pb.WatchResponse.TYPE_BOOKMARK:
                if first and view.output not in {"json", "yaml", "name"}:
                    view.table(kind.kind, first, ["ADDED"] * len(first))
                header, first = not first, None
                continue
            item, event = json.loads(response.object.json), _EVENTS[response.type]
            if view.output in {"json", "yaml", "name"}:
                _print_event(view.output, event, item)
            elif first is not None:
                first.append(item)
            else:
                view.table(kind.kind, [item], [event], header=header)
                header = False
        raise click.ClickException("the daemon ended the watch")


def _print_event(output: str, event: str, item: Json) -> None:
    if output == "json":
        click.echo(json.dumps({"type": event, "object": item}, ensure_ascii=False))
    elif output == "yaml":
        click.echo(f"---\n{to_yaml({'type': event, 'object': item})}")
    else:
        click.echo(f"{event} {qualified(item['kind'], item['metadata']['name'])}")
