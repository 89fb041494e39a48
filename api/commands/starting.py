"""What a proxy is started with beside its bootstrap: its command line and its environment, for ``xdsctl bootstrap``."""

import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click

from xdsd.model.started import ProxyStart

DRAIN = timedelta(seconds=45)
_LATER = timedelta(seconds=15)
_META = "ISTIO_META_"


def command_line(start: ProxyStart) -> str:
    """Environment and words of Envoy: workers, and a stop that lets connections end."""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in _own(start).items())
    drain = start.drain or DRAIN
    return (
        f"{variables}envoy -c FILE{_workers(start)} --drain-time-s {_seconds(drain)}"
        f" --parent-shutdown-time-s {_seconds(drain + _LATER)}"
    )


def environment_file(start: ProxyStart) -> str:
    """The same for the unit envoy-sidecar@.service, which reads it with ``EnvironmentFile``."""
    lines = dict(_own(start))
    if start.drain is not None:
        lines["ENVOY_DRAIN_TIME_S"] = str(_seconds(start.drain))
    if _workers(start):
        lines["ENVOY_OPTIONS"] = _workers(start).strip()
    return "".join(f"{name}={_quoted(value)}\n" for name, value in lines.items())


def warn_of_covered(start: ProxyStart, made: Mapping[str, Any]) -> None:
    """Tells of variables whose metadata says something else because an option of the command does."""
    metadata = made["node"]["metadata"]
    for name, value in start.metadata.items():
        if metadata.get(name) != value:
            click.echo(
                f"warning: {_META}{name} is {value!r} in a ProxyConfig or the MeshConfig, and has no effect:"
                f" the options of this command say {metadata.get(name)!r}",
                err=True,
            )


def _own(start: ProxyStart) -> dict[str, str]:
    """The environment but for what stands in the node's metadata."""
    return {name: value for name, value in sorted(start.environment.items()) if not name.startswith(_META)}


def _workers(start: ProxyStart) -> str:
    return f" --concurrency {start.concurrency}" if start.concurrency else ""


def _seconds(value: timedelta) -> int:
    return max(1, round(value.total_seconds()))


def _quoted(value: str) -> str:
    for each in '\\"$`':
        value = value.replace(each, f"\\{each}")
    return f'"{value}"'
