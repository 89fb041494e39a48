"""``xdsctl version`` and ``xdsctl status``."""

import platform
from importlib.metadata import version as installed_version
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.output import DataFormat, print_data, print_table


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
    """Tell whether the daemon is ready, and what it misses if not; exit code 1 then."""
    with connection.client() as client:
        answer = client.status()
        registries = client.registries()
    if output:
        print_data(
            {
                "version": answer.version,
                "ready": answer.ready,
                "started": answer.started.ToJsonString(),
                "generation": answer.generation,
                "proxies": answer.proxies,
                "problems": answer.problems,
                "checks": [
                    {"name": check.name, "ok": check.ok, "detail": check.detail} for check in answer.checks
                ],
                "registries": [
                    {
                        "name": registry.name,
                        "synced": registry.synced,
                        "stale": registry.stale,
                        "services": registry.services,
                        "workloads": registry.workloads,
                    }
                    for registry in registries
                ],
            },
            output,
        )
    else:
        _print(answer, registries)
    if not answer.ready:
        click.get_current_context().exit(1)


def _print(answer: Any, registries: Any) -> None:
    """Generated messages, hence Any."""
    state = "ready" if answer.ready else "not ready"
    click.echo(f"xdsd {answer.version} is {state}, since {answer.started.ToJsonString()}.")
    click.echo(
        f"{answer.proxies} proxies connected, {answer.problems} problems, generation {answer.generation}.\n"
    )
    print_table(
        ("CHECK", "STATE", "DETAIL"),
        [(check.name, "ok" if check.ok else "missing", check.detail) for check in answer.checks],
    )
    if registries:
        click.echo()
        print_table(
            ("REGISTRY", "STATE", "SERVICES", "WORKLOADS"),
            [
                (registry.name, _state(registry), str(registry.services), str(registry.workloads))
                for registry in registries
            ],
        )


def _state(registry: Any) -> str:
    if registry.stale:
        return f"stale: {registry.stale}"
    return "ok" if registry.synced else "not listed yet"
