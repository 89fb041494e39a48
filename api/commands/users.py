"""Users, as people and programs read them."""

from collections.abc import Sequence
from typing import Any

import click

from api.commands.output import print_data, print_table
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

COLUMNS = ("NAME", "ROLES", "TOKENS", "CERTIFICATES", "UIDS", "PASSWORD", "STATE")
TOKEN_COLUMNS = ("ID", "CREATED", "EXPIRES", "DESCRIPTION")
DRY_RUN = " (server dry run)"


def user_row(user: pb.User) -> tuple[str, ...]:
    """Under ``COLUMNS``."""
    return (
        user.name,
        roles(user.bindings) or "<none>",
        str(len(user.tokens)),
        ",".join(user.certificates) or "<none>",
        ",".join(map(str, user.uids)) or "<none>",
        "yes" if user.has_password else "no",
        "disabled" if user.disabled else "ok",
    )


def token_row(token: pb.TokenInfo) -> tuple[str, ...]:
    """Under ``TOKEN_COLUMNS``."""
    return (token.id, token.created.ToJsonString(), expiry(token) or "never", token.description)


def roles(bindings: Sequence[pb.Binding]) -> str:
    """``viewer,editor(a,b)``: a role without namespaces is of all."""
    return ",".join(
        f"{each.role}({','.join(each.namespaces)})" if each.namespaces else each.role for each in bindings
    )


def expiry(token: pb.TokenInfo) -> str:
    """When it expires; empty for never."""
    return token.expires.ToJsonString() if token.HasField("expires") else ""


def bindings_data(bindings: Sequence[pb.Binding]) -> list[dict[str, Any]]:
    """As data; no namespaces means all of them."""
    return [{"role": each.role, "namespaces": list(each.namespaces)} for each in bindings]


def user_data(user: pb.User) -> dict[str, Any]:
    """As data."""
    return {
        "name": user.name,
        "disabled": user.disabled,
        "bindings": bindings_data(user.bindings),
        "certificates": list(user.certificates),
        "uids": list(user.uids),
        "password": user.has_password,
        "tokens": [
            {
                "id": token.id,
                "created": token.created.ToJsonString(),
                "expires": expiry(token) or None,
                "description": token.description,
            }
            for token in user.tokens
        ],
    }


def print_user(user: pb.User) -> None:
    """All of a user."""
    print_table(COLUMNS, [user_row(user)])
    if user.tokens:
        click.echo()
        print_table(TOKEN_COLUMNS, [token_row(token) for token in user.tokens])


def told(user: pb.User, done: str, output: str | None, *, dry_run: bool) -> None:
    """What became of a user: ``user "alice" disabled``, or the user as data."""
    if output:
        print_data(user_data(user), output)
    else:
        click.echo(f'user "{user.name}" {done}{DRY_RUN if dry_run else ""}')
