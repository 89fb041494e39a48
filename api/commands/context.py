"""``xdsctl context``: daemons by name, in a file of the user's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.output import DataFormat, print_data, print_table
from api.contexts import Context, Contexts, ContextsError, check_name, save

output_option = click.option("-o", "--output", type=DataFormat, help="As data.")
_PATH = click.Path(path_type=Path)


@click.group(cls=HintedGroup)
def context() -> None:
    """Give daemons names, each with its endpoint and what proves who you are.

    They are kept in ~/.config/xdsctl/config.yaml (XDG_CONFIG_HOME is honoured, XDSCTL_CONFIG names another file).
    Flags come before a context, a context that --context names before the environment, the environment before the
    current one.
    """


@context.command(name="list")
@output_option
@pass_connection
def list_(connection: Connection, output: str | None) -> None:
    """List all contexts; the current one has a star."""
    found = connection.contexts
    if output:
        data = [{"name": name, **_data(found.contexts[name])} for name in sorted(found.contexts)]
        print_data({"current": found.current or None, "contexts": data}, output)
    elif found.contexts:
        rows = [
            ("*" if name == found.current else "", name, each.endpoint or "<default>", _proof(each))
            for name, each in sorted(found.contexts.items())
        ]
        print_table(("CURRENT", "NAME", "ENDPOINT", "PROOF"), rows)
    else:
        click.echo("No contexts found", err=True)


@context.command()
@click.argument("name", required=False)
@output_option
@pass_connection
def show(connection: Connection, name: str | None, output: str | None) -> None:
    """Show a context, by default the current one."""
    name = name or _current(connection)
    found = {"name": name, **_data(_existing(connection.contexts, name))}
    print_data(found, output or "yaml")


@context.command()
@pass_connection
def current(connection: Connection) -> None:
    """Print the name of the current context."""
    click.echo(_current(connection))


@context.command()
@click.argument("name")
@pass_connection
def use(connection: Connection, name: str) -> None:
    """Make a context the current one."""
    found = connection.contexts
    _existing(found, name)
    _save(connection, replace(found, current=name))
    click.echo(f'context "{name}" is current')


@context.command(name="set")
@click.argument("name")
@click.option("--endpoint", metavar="ADDRESS", help="unix:PATH or HOST:PORT; several, separated by commas.")
@click.option("--ca", type=_PATH, help="The CA (PEM) that made the daemon's certificate.")
@click.option("--cert", type=_PATH, help="Your client certificate (PEM).")
@click.option("--key", type=_PATH, help="Its key (PEM).")
@click.option("--server-name", help="The name in the daemon's certificate, where it is not the endpoint's.")
@click.option("--token-file", type=_PATH, help="Holds your token.")
@pass_connection
def set_(
    connection: Connection,
    name: str,
    endpoint: str | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    server_name: str | None,
    token_file: Path | None,
) -> None:
    """Make or change a context; what is not named stays, and an empty value takes it away. The first one is current."""
    _told(lambda: check_name(name))
    if endpoint:
        connection.at(endpoint).addresses  # noqa: B018 - refuses what is no address
    found = connection.contexts
    paths = {"ca": ca, "cert": cert, "key": key, "token_file": token_file}
    said = {option: _absolute(path) for option, path in paths.items() if path is not None}
    said |= {
        option: text
        for option, text in (("endpoint", endpoint), ("server_name", server_name))
        if text is not None
    }
    known = name in found.contexts
    changed = {**found.contexts, name: replace(found.contexts.get(name, Context()), **said)}
    _save(connection, Contexts(changed, found.current or name))
    click.echo(f'context "{name}" {"changed" if known else "made"}')


@context.command()
@click.argument("name")
@pass_connection
def delete(connection: Connection, name: str) -> None:
    """Forget a context."""
    found = connection.contexts
    _existing(found, name)
    kept = {each: said for each, said in found.contexts.items() if each != name}
    _save(connection, Contexts(kept, "" if found.current == name else found.current))
    click.echo(f'context "{name}" deleted')


def _data(each: Context) -> dict[str, str]:
    return each.written()


def _proof(each: Context) -> str:
    ways = (("certificate", each.cert), ("token", each.token_file))
    return ",".join(way for way, said in ways if said) or "<none>"


def _absolute(path: Path) -> str:
    """So that it means the same file from every folder."""
    return str(path.expanduser().absolute()) if str(path) != "." else ""


def _current(connection: Connection) -> str:
    if not connection.contexts.current:
        raise click.ClickException("no context is current; xdsctl context use NAME makes one so")
    return connection.contexts.current


def _existing(found: Contexts, name: str) -> Context:
    if name not in found.contexts:
        known = ", ".join(sorted(found.contexts)) or "none"
        raise click.ClickException(f"there is no context {name}; there are: {known}")
    return found.contexts[name]


def _save(connection: Connection, contexts: Contexts) -> None:
    _told(lambda: save(connection.file, contexts))


def _told(work: Callable[[], object]) -> None:
    try:
        work()
    except ContextsError as error:
        raise click.ClickException(str(error)) from error
