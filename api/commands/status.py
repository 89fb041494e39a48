"""``xdsctl version`` and ``xdsctl status``."""

import platform
from importlib.metadata import version as installed_version
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.output import DataFormat, counted, print_data, print_table, readable
from api.commands.registries import registry_json, state_words


@click.command()
@click.option("--client", "client_only", is_flag=True, help="Only of this program; no daemon is asked.")
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def version(connection: Connection, client_only: bool, output: str | None) -> None:
    """Print the versions of this program and of the daemon."""
    found: dict[str, Any] = {
        "client": {"version": installed_version("xdsd"), "python": platform.python_version()}
    }
    try:
        if not client_only:
            found["daemon"] = _daemon(connection)
    finally:
        if output:
            print_data(found, output)
        else:
            for side, about in found.items():
                click.echo(f"{side}: {about['version']} (Python {about['python']})")


def _daemon(connection: Connection) -> dict[str, str]:
    with connection.client() as client:
        answer = client.version()
    return {"version": answer.version, "python": answer.python, "platform": answer.platform}


@click.command()
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def status(connection: Connection, output: str | None) -> None:
    """Tell whether the daemon is ready and what it misses; exit code 1 where something is missing or away (stale)."""
    with connection.client() as client:
        answer = client.status()
        registries = client.registries()
    if output:
        print_data(
            {
                "name": answer.name,
                "version": answer.version,
                "ready": answer.ready,
                "started": answer.started.ToJsonString(),
                "generation": answer.generation,
                "proxies": answer.proxies,
                "problems": answer.problems,
                "compiledRevision": answer.compiled_revision,
                "singletons": list(answer.singletons),
                "store": _store_json(answer.store),
                "checks": [
                    {"name": check.name, "ok": check.ok, "state": check.state, "detail": check.detail}
                    for check in answer.checks
                ],
                "registries": [registry_json(registry) for registry in registries],
            },
            output,
        )
    else:
        _print(answer, registries)
    if not answer.ready or not all(check.ok for check in answer.checks):
        click.get_current_context().exit(1)


def _print(answer: Any, registries: Any) -> None:
    """Generated messages, hence Any."""
    state = "ready" if answer.ready else "not ready"
    name = f" {answer.name}" if answer.name else ""
    click.echo(f"xdsd{name} {answer.version} is {state}, since {answer.started.ToJsonString()}.")
    proxies = "1 proxy" if answer.proxies == 1 else f"{answer.proxies} proxies"
    click.echo(
        f"{proxies} connected, {counted(answer.problems, 'problem')}, generation {answer.generation}, "
        f"compiled up to revision {answer.compiled_revision}."
    )
    if answer.singletons:
        click.echo(f"It does for all daemons: {', '.join(answer.singletons)}.")
    _print_store(answer.store)
    click.echo()
    print_table(
        ("CHECK", "STATE", "DETAIL"),
        [(check.name, check.state, check.detail) for check in answer.checks],
    )
    if registries:
        click.echo()
        print_table(
            ("REGISTRY", "STATE", "SERVICES", "WORKLOADS", "ENDPOINTS"),
            [
                (
                    registry.name,
                    f"{state_words(registry)}{f': {registry.stale}' if registry.stale else ''}",
                    *(str(count) for count in (registry.services, registry.workloads, registry.endpoints)),
                )
                for registry in registries
            ],
        )


def _print_store(store: Any) -> None:
    if store.unavailable:
        click.echo(f"The store cannot be asked: {store.unavailable}")
        return
    program = f" {store.version}" if store.version else ""
    click.echo(
        f"Store: {store.kind}{program}, revision {store.revision}, compacted at {store.compacted_revision}, "
        f"{readable(store.size_bytes)} of which {readable(store.used_bytes)} used."
    )
    for address in store.members:
        click.echo(f"  {address}{' (leader)' if address == store.leader else ''}")


def _store_json(store: Any) -> dict[str, Any]:
    return {
        "kind": store.kind,
        "version": store.version,
        "revision": store.revision,
        "compactedRevision": store.compacted_revision,
        "sizeBytes": store.size_bytes,
        "usedBytes": store.used_bytes,
        "leader": store.leader,
        "members": list(store.members),
        "unavailable": store.unavailable,
    }
