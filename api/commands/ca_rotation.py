"""``xdsctl ca rotate``: one root follows another, and everybody can see how far it is."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.duration_type import DURATION
from api.commands.output import DataFormat, print_data, print_table
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

_STEPS = (
    ("trust", "all trust the root to come"),
    ("issue", "all have a certificate of the root to come"),
    ("retire", "nobody trusts the root that goes any more"),
)
_EVERY = 0.5
_SHOWN = 20
_Action = pb.RotateRequest.Action


@click.command()
@click.option(
    "--plan", "action", flag_value="plan", help="Tell what it would do, and whom it would wait for."
)
@click.option("--apply", "action", flag_value="apply", help="Make a new root, and begin.")
@click.option("--status", "action", flag_value="status", default=True, help="Tell how far it is.")
@click.option("--abort", "action", flag_value="abort", help="Go back to the old root.")
@click.option(
    "--roots-given",
    "action",
    flag_value="given",
    help="Say that proxies which connect by tokens have the new bundle in their files.",
)
@click.option(
    "--leave",
    "names",
    multiple=True,
    metavar="NAME",
    help="Do not wait for one that is away; again for each further one.",
)
@click.option(
    "--wait", "patience", type=DURATION, help="Wait for the end for as long; 1 is the exit code without it."
)
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def rotate(
    connection: Connection,
    action: str,
    names: tuple[str, ...],
    patience: timedelta | None,
    output: str | None,
) -> None:
    """Let a new root follow the one that issues, step by step, so that no connection is refused meanwhile.

    Whoever lags or refuses holds it; it goes on by itself when they are done. Any daemon on the store goes on with it.

    \b
    xdsctl ca rotate --plan
    xdsctl ca rotate --apply --wait 10m
    """
    if names and action != "status":
        raise click.UsageError("--leave stands alone: leave the other flags out")
    with connection.client() as client:
        joining = JoiningClient(client)
        found = _ask(joining, "leave" if names else action, names)
        if patience is not None:
            found = _wait(joining, patience.total_seconds(), found)
    if output:
        print_data(_data(found), output)
    elif action == "plan":
        _print_plan(found)
    else:
        _print_status(found)
    if patience is not None and _runs(found):
        raise SystemExit(1)


def _ask(joining: JoiningClient, action: str, names: Sequence[str]) -> pb.Rotation:
    wanted = {
        "apply": _Action.BEGIN,
        "abort": _Action.ABORT,
        "given": _Action.ROOTS_GIVEN,
        "leave": _Action.LEAVE,
    }.get(action)
    if wanted is None:
        return joining.rotation()
    return joining.rotate(pb.RotateRequest(action=wanted, names=names))


def _wait(joining: JoiningClient, seconds: float, found: pb.Rotation) -> pb.Rotation:
    deadline = time.monotonic() + seconds
    while _runs(found) and time.monotonic() < deadline:
        time.sleep(_EVERY)
        found = joining.rotation()
    return found


def _runs(found: pb.Rotation) -> bool:
    return found.step not in ("", "done")


def _print_plan(found: pb.Rotation) -> None:
    if _runs(found):
        click.echo("A rotation goes on:")
        _print_status(found)
        return
    issuing = next(root for root in found.roots if root.state == "issuing")
    click.echo(
        f"A new root would follow {issuing.id}, and {_count(found.asked)} would be asked at each step:"
    )
    for number, (name, what) in enumerate(_STEPS, 1):
        click.echo(f"  {number}. {name}: until {what}")
    if found.by_token:
        click.echo(
            f"{found.by_token} connect by tokens, and know the roots from files: in step 2 give them the new bundle "
            "(xdsctl ca bundle), then say --roots-given"
        )
    _print_holds(found, "It would wait for")


def _print_status(found: pb.Rotation) -> None:
    if not found.step:
        click.echo("No root was rotated yet")
    else:
        old, new = (found.new, found.old) if found.back else (found.old, found.new)
        back = " (it goes back)" if found.back and _runs(found) else " (it went back)" if found.back else ""
        click.echo(f"Rotation:  {old} to {new}{back}")
        click.echo(f"Begun:     {found.begun.ToJsonString()} by {found.author}")
        click.echo()
        print_table(("STEP", "UNTIL", "STATE"), [(name, what, _state(found, name)) for name, what in _STEPS])
    click.echo()
    print_table(
        ("ROOT", "STATE", "TRUSTED BY", "CERTIFICATES", "NOT AFTER"),
        [(r.id, r.state, str(r.trusting), str(r.certified), r.expires.ToJsonString()) for r in found.roots],
    )
    if _runs(found):
        _print_holds(found, "Waiting for")


def _state(found: pb.Rotation, step: str) -> str:
    order = [name for name, _ in _STEPS]
    at = order.index(found.step) if found.step in order else len(order)
    if order.index(step) < at:
        return "done"
    if order.index(step) > at:
        return ""
    return f"{len({each.name for each in found.holds})} of {found.asked} to come"


def _print_holds(found: pb.Rotation, title: str) -> None:
    if not found.holds:
        return
    click.echo()
    print_table((title.upper(), "WHY"), [(each.name, each.why) for each in found.holds[:_SHOWN]])
    if len(found.holds) > _SHOWN:
        click.echo(f"and {len(found.holds) - _SHOWN} more (-o json)")
    if any(each.away for each in found.holds):
        click.echo("Who is away and will not come back need not be waited for: xdsctl ca rotate --leave NAME")


def _count(number: int) -> str:
    return "1 proxy or daemon" if number == 1 else f"{number} proxies and daemons"


def _data(found: pb.Rotation) -> dict[str, Any]:
    return {
        "step": found.step or None,
        "back": found.back,
        "old": found.old or None,
        "new": found.new or None,
        "begun": found.begun.ToJsonString() if found.step else None,
        "entered": found.entered.ToJsonString() if found.step else None,
        "author": found.author or None,
        "asked": found.asked,
        "byToken": found.by_token,
        "rootsGiven": found.roots_given,
        "left": list(found.left),
        "holds": [{"name": each.name, "why": each.why, "away": each.away} for each in found.holds],
        "roots": [
            {
                "id": root.id,
                "state": root.state,
                "subject": root.subject,
                "notAfter": root.expires.ToJsonString(),
                "trustedBy": root.trusting,
                "certificates": root.certified,
            }
            for root in found.roots
        ],
    }
