"""``scripts/bench [NAME …] [--json]``."""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from tests.bench.compile import compile_bench
from tests.bench.edit import edit_bench
from tests.bench.failover import failover
from tests.bench.fanout import fanout
from tests.bench.issue import issue_bench
from tests.bench.lifetimes import lifetimes
from tests.bench.noop import noop
from tests.bench.peer import peer_bench
from tests.bench.registries.measuring import PLATFORMS, SECONDS, registry_bench
from tests.bench.rotate import rotate
from tests.bench.store import store
from tests.bench.storm import memory, storm
from tests.bench.zero_loss import zero_loss

BENCHES: Mapping[str, Callable[[], Any]] = {
    "fanout": lambda: [fanout(proxies, names) for proxies in (100, 1000, 4000) for names in (100, 1000)],
    "compile": compile_bench,
    "storm": lambda: {"storms": [storm(1000, 1000), storm(4000, 1000, 3)], "memory": memory()},
    "edit": edit_bench,
    "failover": failover,
    "issue": issue_bench,
    "lifetimes": lifetimes,
    "noop": noop,
    "peer": peer_bench,
    "registry": registry_bench,
    "rotate": rotate,
    "store": store,
    "zero-loss": zero_loss,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHES)))
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.option("--only", type=click.Choice(list(PLATFORMS)), help="Of registry, this platform alone.")
@click.option("--seconds", default=SECONDS, show_default=True, help="Of registry, how long the storm is.")
def main(names: tuple[str, ...], as_json: bool, only: str | None, seconds: float) -> None:
    """Measure; with no NAME everything."""
    benches: dict[str, Callable[[], Any]] = {
        **BENCHES,
        "registry": lambda: registry_bench(only or "", seconds),
    }
    found: dict[str, Any] = {"machine": machine()}
    for name in names or tuple(BENCHES):
        if not as_json:
            click.echo(f"# {name}")
        found[name] = benches[name]()
        if not as_json:
            for line in lines(found[name]):
                click.echo(line)
    if as_json:
        click.echo(json.dumps(found, indent=2))


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def lines(value: Any, path: str = "") -> Iterator[str]:
    """A line a figure: where it stands, its median, its spread."""
    if isinstance(value, Mapping) and value.keys() == {"median", "least", "most"}:
        yield f"{path:60} {value['median']:>10}   ({value['least']} to {value['most']})"
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from lines(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from lines(each, f"{path}[{index}]")
    else:
        yield f"{path:60} {value!s:>10}"


if __name__ == "__main__":
    main()
