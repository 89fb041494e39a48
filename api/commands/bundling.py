"""The join bundle that ``xdsctl machine join-bundle`` makes of what a daemon said, and where it goes."""

from pathlib import Path
from typing import cast

import click

from api.bootstrap import BootstrapOptions, bootstrap_json
from api.daemon_tls import XdsTls
from api.join_bundle import ADDRESS, NAME, ROOTS, TOKEN, Bundle, contents, written
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.secret_files import write_secret
from xdsd.intents import parse
from xdsd.model.intent import Object, WorkloadGroup
from xdsd.model.role import Interception, Role
from xdsd.setting_values import TcpAddress


def group_of(declared: bytes) -> Object[WorkloadGroup]:
    """The group, as a daemon has it; one that this program does not know ends the command."""
    found = parse(declared)
    if isinstance(found, list):
        raise click.ClickException("; ".join(map(str, found)))
    return cast("Object[WorkloadGroup]", found)


def bundle(
    group: Object[WorkloadGroup],
    name: str,
    daemons: tuple[TcpAddress, ...],
    trust: pb.Trust,
    made: pb.CreateJoinTokenResponse,
    *,
    dns: bool,
) -> Bundle:
    """The bundle for a machine of a group (``name`` is empty where that is its host name), with its token."""
    namespace, account = group.metadata.namespace, group.spec.service_account
    return Bundle(
        group=group,
        name=name,
        daemons=daemons,
        identity=f"spiffe://{trust.trust_domain}/ns/{namespace}/sa/{account}",
        token_id=made.info.id,
        expires=made.info.expires.ToJsonString(),
        token=made.token,
        roots=trust.bundle.decode(),
        bootstrap=_bootstrap(group, name, daemons, trust, dns=dns),
    )


def give(made: Bundle, out: Path | None) -> None:
    """Prints it, or writes it into a file of its owner alone; what is in it is told."""
    if out is None:
        click.echo(written(made), nl=False)
    else:
        try:
            write_secret(out, written(made).encode())
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise click.ClickException(
                f"{out} cannot be written: {why}; its token is lost: xdsctl token revoke {made.token_id}"
            ) from error
    for what, text in (("bundle", str(out) if out else "printed"), *contents(made)):
        click.echo(f"{what + ':':<12}{text}", err=True)


def _bootstrap(
    group: Object[WorkloadGroup], name: str, daemons: tuple[TcpAddress, ...], trust: pb.Trust, *, dns: bool
) -> dict[str, object]:
    template = group.spec.template
    options = BootstrapOptions(
        role=Role.SIDECAR,
        name=name or NAME,
        namespace=group.metadata.namespace,
        address=ADDRESS,
        xds_addresses=daemons,
        xds_tls=XdsTls(trust.server_identity, root=ROOTS, token=TOKEN),
        domain=trust.mesh_domain,
        labels=group.spec.labels,
        service_account=group.spec.service_account,
        interception=Interception.REDIRECT,
        network=template.network or "",
        locality=template.locality or "",
        dns_capture=dns,
        group=group.metadata.name,
    )
    return bootstrap_json(options)
