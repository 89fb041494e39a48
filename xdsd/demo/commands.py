"""The programs that make up the demo: their command lines, logs and bootstraps, from a layout."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from xdsd.demo.bootstrap import gateway_bootstrap, sidecar_bootstrap
from xdsd.demo.layout import GATEWAY, Instance, Layout
from xdsd.demo.operator import clean_environment
from xdsd.demo.program import Program


@dataclass(frozen=True, slots=True)
class Folder:
    """The demo's state dir and what stands where in it."""

    path: Path

    @property
    def endpoint(self) -> str:
        """Where ``xdsctl`` finds the daemon."""
        return f"unix:{self.path / 'admin.sock'}"

    @property
    def machines(self) -> Path:
        return self.path / "machines"

    @property
    def initial(self) -> Path:
        return self.path / "initial"

    @property
    def exercises(self) -> Path:
        return self.path / "try"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def bootstraps(self) -> Path:
        return self.path / "bootstraps"

    def make(self) -> None:
        """Makes it and its parts."""
        for part in (self.path, self.machines, self.initial, self.exercises, self.logs, self.bootstraps):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Programs:
    """Everything that the demo starts."""

    daemon: Program
    apps: tuple[Program, ...]
    envoys: tuple[Program, ...]

    @property
    def all(self) -> tuple[Program, ...]:
        return (self.daemon, *self.apps, *self.envoys)


def build_programs(layout: Layout, folder: Folder, envoy: Path) -> Programs:
    """The programs, none of them started; writes the Envoys' bootstraps."""
    sidecars = [
        _envoy(folder, envoy, each.name, sidecar_bootstrap(layout, each)) for each in layout.instances
    ]
    return Programs(
        daemon=_daemon(layout, folder),
        apps=tuple(_app(layout, folder, each) for each in layout.instances),
        envoys=(*sidecars, _envoy(folder, envoy, GATEWAY, gateway_bootstrap(layout))),
    )


def _daemon(layout: Layout, folder: Folder) -> Program:
    flags = {
        "--state-dir": str(folder.path),
        "--xds-address": f"127.0.0.1:{layout.options.xds_port}",
        "--http-address": f"127.0.0.1:{layout.options.http_port}",
        "--admin-address": folder.endpoint,
        "--registry": f"machines:{folder.machines}",
        "--drain-time": "1s",
    }
    words = [word for flag in flags.items() for word in flag]
    return Program(
        "xdsd",
        [sys.executable, "-m", "xdsd", "serve", *words],
        folder.logs / "xdsd.log",
        clean_environment(),
    )


def _app(layout: Layout, folder: Folder, instance: Instance) -> Program:
    command = [sys.executable, "-m", "xdsd.demo.bookinfo", instance.service, "--version", instance.version]
    command += ["--port", str(instance.app_port), "--service-port", str(layout.options.service_port)]
    command += ["--proxy", f"{instance.address}:{layout.options.proxy_port}"]
    return Program(instance.name, command, folder.logs / f"{instance.name}.log")


def _envoy(folder: Folder, envoy: Path, name: str, bootstrap: object) -> Program:
    file = folder.bootstraps / f"{name}.json"
    file.write_text(json.dumps(bootstrap, indent=2))
    command: list[str | Path] = [envoy, "-c", file, "--concurrency", "1", "--disable-hot-restart"]
    command += ["--log-level", "warning", "--drain-time-s", "2"]
    return Program(f"{name} envoy", command, folder.logs / f"{name}-envoy.log")
