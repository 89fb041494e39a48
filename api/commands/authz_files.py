"""Who may reach whom by the policies of files, for ``xdsctl authz -f``: no daemon is asked."""

from pathlib import Path
from typing import Any

import click

from api.commands.manifests import read
from api.commands.problems import report
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services.authorization import question_of
from api.verdicts import cells_to_wire, verdicts_to_wire
from xdsd.analysis import Subject, catalog_of
from xdsd.authorization.parties import UnknownError
from xdsd.authorization.reach import can, matrix
from xdsd.authorization.sites import Site, site_of
from xdsd.model.mesh import MeshSettings
from xdsd.registry.machine_list import MachineList


def can_of(request: pb.CanRequest, **site: Any) -> pb.CanResponse:
    """The verdicts of a question; ``site`` are the command's options. Whom nobody knows ends the command."""
    try:
        return verdicts_to_wire(can(_site(request.namespace, **site), question_of(request)))
    except UnknownError as error:
        raise click.ClickException(str(error)) from None


def matrix_of(namespace: str, **site: Any) -> pb.MatrixResponse:
    """What callers may expect at targets of a namespace, or of all; ``site`` are the command's options."""
    return cells_to_wire(matrix(_site(namespace or "default", **site), namespace))


def _site(
    namespace: str,
    *,
    filenames: tuple[str, ...],
    recursive: bool,
    machines: Path | None,
    mesh_domain: str,
    trust_domain: str,
    **_: Any,
) -> Site:
    manifests = read(filenames, recursive=recursive, namespace=namespace)
    if manifests.problems:
        report(manifests.problems)
        raise click.exceptions.Exit(1)
    change = None
    if machines is not None:
        news = MachineList(machines, f"machines:{machines}", mesh_domain).look()
        if news.unavailable:
            raise click.ClickException(news.unavailable)
        change = news.change
    settings = MeshSettings(domain=mesh_domain, trust_domain=trust_domain)
    objects = [parsed.object for parsed in manifests.objects.values()]
    catalog = catalog_of(Subject(objects, change, settings))
    services = dict(catalog.services())
    return site_of(objects, services, {key: catalog.endpoints(key) for key in services}, settings)
