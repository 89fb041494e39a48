"""``xdsctl analyze``: all that is wrong, with a live mesh or with files that no daemon has seen."""

from collections.abc import Sequence
from pathlib import Path

import click

from api.commands.connection import Connection, pass_connection
from api.commands.manifests import Manifests, manifest_options, read
from api.commands.output import print_data
from api.commands.problems import problem_json, sentences
from api.wire import problem_from_wire
from xdsd.analysis import Subject, analyze_objects
from xdsd.model.hosts import DEFAULT_DOMAIN
from xdsd.model.intent import DestinationRule, Sidecar, VirtualService
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import Problem, Severity
from xdsd.registry.machine_list import MachineList


@click.command()
@manifest_options
@click.option(
    "-n",
    "--namespace",
    envvar="XDSCTL_NAMESPACE",
    help="Only of this one; with -f, of objects that name none.",
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces, which is the default.")
@click.option(
    "--machines",
    type=click.Path(path_type=Path),
    help="With -f: a machine list that is served beside the files.",
)
@click.option(
    "--mesh-domain", default=DEFAULT_DOMAIN, show_default=True, help="With -f: the daemon's setting."
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="warning",
    show_default=True,
    help="The least that makes the exit code 1.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "yaml"]),
    help="As data: problems, as `xdsctl problems` has them.",
)
@pass_connection
def analyze(
    connection: Connection,
    filenames: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    all_namespaces: bool,
    machines: Path | None,
    mesh_domain: str,
    fail_on: str,
    output: str | None,
) -> None:
    """Tell everything that is wrong or odd: with the mesh as it runs, or with files, before any daemon has them.

    With -f no daemon is asked: the files are read, checked by themselves and beside each other, and compiled for the
    proxies that they are meant for. Ends with 0 where nothing is found, and with 1 otherwise.
    """
    if namespace and all_namespaces and not filenames:
        raise click.UsageError("-A is all namespaces and -n one; use one of the two")
    if not filenames and (machines or recursive):
        raise click.UsageError("--machines and -R go with -f")
    if filenames:
        manifests = read(filenames, recursive=recursive, namespace=namespace)
        found = _of_files(manifests, machines, mesh_domain)
        if machines is None and _name_hosts(manifests):
            click.echo("hosts of registries were not checked; name --machines", err=True)
    else:
        with connection.client() as client:
            found = [problem_from_wire(problem) for problem in client.analyze(namespace or "")]
    _print(found, output)
    grave = [problem for problem in found if problem.severity is Severity.ERROR or fail_on == "warning"]
    if grave:
        raise click.exceptions.Exit(1)


def _of_files(manifests: Manifests, machines: Path | None, domain: str) -> list[Problem]:
    found = list(manifests.problems)
    change = None
    if machines is not None:
        news = MachineList(machines, f"machines:{machines}", domain).look()
        if news.unavailable:
            raise click.ClickException(news.unavailable)
        change = news.change
        found += [problem for listed in news.problems.values() for problem in listed]
    objects = [parsed.object for parsed in manifests.objects.values()]
    return found + manifests.placed(analyze_objects(Subject(objects, change, MeshSettings(domain=domain))))


def _name_hosts(manifests: Manifests) -> bool:
    """True where objects name hosts that none of the files declares."""
    specs = [parsed.object.spec for parsed in manifests.objects.values()]
    naming = any(isinstance(spec, VirtualService | DestinationRule | Sidecar) for spec in specs)
    return naming and not Subject([parsed.object for parsed in manifests.objects.values()]).knows_hosts


def _print(found: Sequence[Problem], output: str | None) -> None:
    if output:
        print_data({"problems": [problem_json(problem) for problem in found]}, output)
        return
    for line in sentences(found):
        click.echo(line)
    if not found:
        click.echo("No problems found.")
