"""``xdsd demo`` as a command."""

import asyncio
import sys
from typing import Any

import click

from xdsd.demo.layout import DemoOptions

_PORT = click.IntRange(1, 65535)
_DEFAULT = DemoOptions()


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the state dir, logs included, when the demo ends.")
@click.option("--state-dir", default="", help="Folder for state and logs; by default a temporary one.")
@click.option("--address", default=_DEFAULT.address, show_default=True, help="Where the gateway listens.")
@click.option("--port", type=_PORT, default=_DEFAULT.port, show_default=True, help="The gateway's port.")
@click.option(
    "--xds-port", type=_PORT, default=_DEFAULT.xds_port, show_default=True, help="The daemon's xDS."
)
@click.option(
    "--http-port", type=_PORT, default=_DEFAULT.http_port, show_default=True, help="The daemon's metrics."
)
@click.option(
    "--network", default=_DEFAULT.network, show_default=True, help="Instances get NETWORK.1, NETWORK.2, …"
)
@click.option(
    "--service-port",
    type=_PORT,
    default=_DEFAULT.service_port,
    show_default=True,
    help="The port of every service, on its instances' addresses.",
)
@click.option(
    "--proxy-port",
    type=_PORT,
    default=_DEFAULT.proxy_port,
    show_default=True,
    help="The HTTP proxy through which an instance calls others, on its address.",
)
@click.option(
    "--envoy-port",
    type=_PORT,
    default=_DEFAULT.envoy_port,
    show_default=True,
    help="Every Envoy's admin pages, on its address.",
)
@click.option(
    "--app-port",
    type=_PORT,
    default=_DEFAULT.app_port,
    show_default=True,
    help="The first of six ports of 127.0.0.1 on which the services serve their Envoys.",
)
def demo_command(**options: Any) -> None:
    """Run a small service mesh on this machine, to see and to play with.

    Starts the daemon, the six instances of the Bookinfo sample, an Envoy beside each, and a gateway, all on
    loopback and without root. Ctrl-C stops everything.
    """
    # The daemon has this command too, and does not need what it imports.
    from rich.console import Console  # noqa: PLC0415

    from xdsd.demo.run import run_demo  # noqa: PLC0415

    # Any: click has checked every value against the options above.
    sys.exit(asyncio.run(run_demo(DemoOptions(**options), Console())))
