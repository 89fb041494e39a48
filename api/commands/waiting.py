"""What a list of the catalog lacks: sources that have not reported yet. A late mesh must not look like an empty one."""

import click

from api.client import ApiError, Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb


def tell_of_waiting(client: Client) -> None:
    """Says on standard error which sources have not reported all they have; nothing to whom that is not told."""
    try:
        found = client.registries()
    except ApiError:
        return
    for each in found:
        if each.state in {"SYNCING", "MISSING"}:
            click.echo(_sentence(each), err=True)


def _sentence(registry: pb.RegistryStatus) -> str:
    why = f" ({registry.stale})" if registry.stale else ""
    if registry.state == "MISSING":
        return f"{registry.name} is left out: it has not reported yet{why}"
    return f"waiting for {registry.name}{why}: nothing is served yet"
