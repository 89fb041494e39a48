"""What the demo says once it runs: where things are, and what to try."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from xdsd.demo.commands import Folder
from xdsd.demo.layout import Layout


def welcome(layout: Layout, folder: Folder, console: Console) -> None:
    """Prints the addresses, then commands that can be copied as they stand."""
    table = Table(title="Bookinfo is running", title_justify="left", show_header=False)
    for what, where in _addresses(layout, folder):
        table.add_row(what, where)
    console.print()
    console.print(table, soft_wrap=True)
    console.print("\nTry, in another terminal, and reload the page:\n", style="bold")
    for what, command in _commands(layout, folder):
        console.print(f"[dim]# {what}[/]\n{command}", highlight=False, soft_wrap=True)
    console.print("\nCtrl-C stops everything.", style="bold")


def _addresses(layout: Layout, folder: Folder) -> Iterator[tuple[str, str]]:
    yield "the page, through the gateway", f"{layout.gateway_url}/productpage"
    yield "the daemon's metrics and health", f"{layout.http_url}/metrics  {layout.http_url}/readyz"
    yield "the daemon's admin API", folder.endpoint
    yield "the gateway's Envoy", layout.admin_url(layout.gateway_address)
    for instance in layout.instances:
        yield f"the Envoy of {instance.name}", layout.admin_url(instance.address)
    yield "logs", str(folder.logs)


def _commands(layout: Layout, folder: Folder) -> Iterator[tuple[str, str]]:
    xdsctl = f"{_xdsctl()} --endpoint {folder.endpoint}"
    for what, file in (
        ("every service by its first version: no stars", "all-v1.yaml"),
        ("one request in ten sees black stars", "reviews-90-10.yaml"),
        ("sign in as jason to see black stars", "reviews-jason-v2.yaml"),
        ("ratings take seven seconds for jason", "ratings-delay.yaml"),
        ("ratings fail for jason", "ratings-abort.yaml"),
    ):
        yield what, f"{xdsctl} apply -f {folder.exercises / file}"
    yield "what every Envoy has", f"{xdsctl} proxies"
    sidecar = layout.instances[0]
    node = f"sidecar~{sidecar.address}~{sidecar.name}.default~default.svc.cluster.local"
    yield "the routes of the page's Envoy", f"{xdsctl} config route {node}"


def _xdsctl() -> str:
    if shutil.which("xdsctl"):
        return "xdsctl"
    beside = Path(sys.executable).parent / "xdsctl"
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
