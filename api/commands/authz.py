"""``xdsctl authz``: who may reach whom, and why not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import MessageToDict

from api.commands.connection import Connection, pass_connection
from api.commands.manifests import manifest_options
from api.commands.output import DataFormat, print_data, print_table
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.hosts import DEFAULT_DOMAIN


@click.group()
def authz() -> None:
    """Tell who may reach whom, as AuthorizationPolicies say."""


def _site_options(command: Any) -> Any:  # Any: click's own decorators are typed so
    for option in (
        click.option(
            "--machines", type=click.Path(path_type=Path), help="With -f: a machine list beside the files."
        ),
        click.option(
            "--mesh-domain", default=DEFAULT_DOMAIN, show_default=True, help="With -f: the daemon's setting."
        ),
        click.option(
            "--trust-domain", default=DEFAULT_DOMAIN, show_default=True, help="With -f: the daemon's setting."
        ),
        click.option("-o", "--output", type=DataFormat, help="As data."),
    ):
        command = option(command)
    return manifest_options(command)


@authz.command("can")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "-n",
    "--namespace",
    envvar="XDSCTL_NAMESPACE",
    default="default",
    show_default=True,
    help="Of services that are named without one.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the service; its first one if left out.")
@click.option("--method", default="GET", show_default=True, help="Method of the request.")
@click.option("--path", default="/", show_default=True, help="Path of the request, as it is sent.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header of the request.")
@click.option(
    "--jwt-claim",
    "claims",
    multiple=True,
    metavar="NAME=VALUE",
    help="A claim of the caller's token; NAME.NAME for one within another, and again for a list.",
)
@_site_options
@pass_connection
def can_command(
    connection: Connection,
    /,
    source: str,
    target: str,
    namespace: str,
    port: int | None,
    method: str,
    path: str,
    headers: tuple[str, ...],
    claims: tuple[str, ...],
    **site: Any,
) -> None:
    """Tell whether FROM may reach TO, which rule decides, and what the nearest other rule misses.

    FROM is a SPIFFE id, NAMESPACE/ACCOUNT, a service, an IP address, or anonymous; TO is a service. An identity counts where
    the proxy of FROM would send mutual TLS to TO and that takes it; that an issuer signed its token is taken for granted.
    Ends with 0 if everything is allowed, and with 1 otherwise.
    """
    request = pb.CanRequest(
        source=source,
        target=target,
        namespace=namespace,
        port=port or 0,
        method=method,
        path=path,
        headers=[_header(each) for each in headers],
        claims=json.dumps(_claims(claims)) if claims else "",
    )
    if site["filenames"]:
        from api.commands.authz_files import can_of  # noqa: PLC0415 - half a second of imports

        answer = can_of(request, **site)
    else:
        with connection.client() as client:
            answer = client.can(request)
    if site["output"]:
        print_data({"verdicts": [_data(each) for each in answer.verdicts]}, site["output"])
    else:
        for verdict in answer.verdicts:
            _print(verdict)
    if not all(verdict.allowed for verdict in answer.verdicts):
        raise click.exceptions.Exit(1)


@authz.command("matrix")
@click.option("-n", "--namespace", help="Of targets; all namespaces if left out.")
@_site_options
@pass_connection
def matrix_command(connection: Connection, /, namespace: str | None, **site: Any) -> None:
    """Print what the callers of each service may expect at each port of each other: ALLOW, DENY, or SOME where it depends on
    the request.
    """
    if site["filenames"]:
        from api.commands.authz_files import matrix_of  # noqa: PLC0415 - half a second of imports

        answer = matrix_of(namespace or "", **site)
    else:
        with connection.client() as client:
            answer = client.matrix(pb.MatrixRequest(namespace=namespace or ""))
    cells = [MessageToDict(each, always_print_fields_with_no_presence=True) for each in answer.cells]
    if site["output"]:
        print_data({"cells": cells}, site["output"])
        return
    targets = list(dict.fromkeys(f"{each.target}:{each.port}" for each in answer.cells))
    rows: dict[str, dict[str, str]] = {}
    for each in answer.cells:
        rows.setdefault(each.source, {})[f"{each.target}:{each.port}"] = each.outlook
    print_table(
        ["FROM", *targets], [[name, *(row.get(to, "-") for to in targets)] for name, row in rows.items()]
    )


def _header(text: str) -> pb.Header:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise click.BadParameter(f"{text!r} is no NAME:VALUE", param_hint="--header")
    return pb.Header(name=name.strip(), value=value.strip())


def _claims(given: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is no NAME=VALUE", param_hint="--jwt-claim")
        # An issuer is an address; dots part the names of all other claims.
        *outer, last = name.split(".")
        at = found
        for step in outer:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                raise click.BadParameter(f"{step!r} has a value already", param_hint="--jwt-claim")
        before = at.get(last)
        at[last] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
    return found


def _data(verdict: pb.AuthorizationVerdict) -> Mapping[str, Any]:
    made: dict[str, Any] = MessageToDict(verdict, always_print_fields_with_no_presence=True)
    return made


def _print(verdict: pb.AuthorizationVerdict) -> None:
    source, target = verdict.source, verdict.target
    who = source.identity or (
        f"{source.name} without an identity" if source.name != "anonymous" else source.name
    )
    labels = ",".join(f"{name}={value}" for name, value in sorted(target.labels.items()))
    where = f"{target.name} ({labels})" if labels else target.name
    word = "ALLOW" if verdict.allowed else "DENY"
    by = f": {_rule(verdict.by)}" if verdict.HasField("by") else ""
    click.echo(f"{word}  {who} -> {where} port {verdict.port}")
    click.echo(f"  because {verdict.why}{by}")
    if verdict.identity_lost and verdict.identity_lost not in verdict.why:
        click.echo(f"  no identity arrives: {verdict.identity_lost}")
    for rule in verdict.asked:
        click.echo(f"  if provider {rule.provider} agrees: {_rule(rule)}")
    for rule in verdict.audited:
        click.echo(f"  audited: {_rule(rule)}")
    for rule in verdict.tried:
        click.echo(f"  dry run that matches: {_rule(rule)}")
    if verdict.HasField("nearest"):
        click.echo(f"  nearest {verdict.nearest.action}: {_rule(verdict.nearest)}")
        for failure in verdict.failures:
            wanted = ", ".join(failure.wants)
            has = failure.has or "not there"
            none = "none of " if failure.negated else ""
            click.echo(f"    {failure.path} wants {none}{wanted}; it is {has}")


def _rule(rule: pb.AuthorizationRule) -> str:
    return f"{rule.action} {rule.policy.namespace}/{rule.policy.name} rules[{rule.rule}]"
