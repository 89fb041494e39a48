"""Starts the demo, shows what can be done with it, keeps it running, and takes everything down again."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from rich.console import Console

from xdsd.demo import manifests
from xdsd.demo.commands import Folder, Programs, build_programs
from xdsd.demo.envoy import EnvoyUnavailableError, fetch_envoy
from xdsd.demo.layout import DemoOptions, Layout, LayoutError, check_ports, lay_out
from xdsd.demo.operator import XDSCTL, clean_environment
from xdsd.demo.program import Program
from xdsd.demo.welcome import welcome

_LONGEST_SOCKET_PATH = 107
_START_SECONDS = 60.0
_REST_SECONDS = 1.0


class DemoError(Exception):
    """The demo cannot run; the text is for the user."""


async def run_demo(options: DemoOptions, console: Console) -> int:
    """Runs the demo until Ctrl-C or SIGTERM; the exit code. Nothing that it started outlives it."""
    work = asyncio.ensure_future(_run(options, console))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        return 0
    except (DemoError, LayoutError, EnvoyUnavailableError) as error:
        console.print(f"[red]xdsd demo:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    return 0


async def _run(options: DemoOptions, console: Console) -> None:
    layout = lay_out(options)
    check_ports(layout)
    with console.status("looking for Envoy") as status:
        envoy = await asyncio.to_thread(fetch_envoy, status.update)
    with _folder(options, console) as folder:
        _write(folder, layout)
        programs = build_programs(layout, folder, envoy)
        try:
            await _start(layout, folder, programs, console)
            welcome(layout, folder, console)
            await _keep_running(programs, console)
        finally:
            console.print("stopping")
            await asyncio.gather(*(each.stop(5) for each in programs.all if each.running))


@contextmanager
def _folder(options: DemoOptions, console: Console) -> Iterator[Folder]:
    if options.state_dir:
        path = Path(options.state_dir).absolute()
        if len(str(path / "admin.sock").encode()) > _LONGEST_SOCKET_PATH:
            raise DemoError(f"--state-dir {path} is too long for a socket in it: choose a shorter path")
        yield _made(path)
        return
    if options.keep:
        folder = _made(Path(tempfile.mkdtemp(prefix="xdsd-demo-")))
        try:
            yield folder
        finally:
            console.print(f"kept {folder.path}", soft_wrap=True)
        return
    with tempfile.TemporaryDirectory(prefix="xdsd-demo-", ignore_cleanup_errors=True) as temporary:
        yield _made(Path(temporary))


def _made(path: Path) -> Folder:
    folder = Folder(path)
    try:
        folder.make()
    except OSError as error:
        raise DemoError(f"{path} cannot hold the demo's state: {error.strerror}") from error
    return folder


def _write(folder: Folder, layout: Layout) -> None:
    parts: Mapping[Path, Mapping[str, str]] = {
        folder.machines: manifests.machines(layout),
        folder.initial: manifests.initial(layout),
        folder.exercises: manifests.exercises(),
    }
    for path, files in parts.items():
        for name, text in files.items():
            (path / name).write_text(text, encoding="utf-8")


async def _start(layout: Layout, folder: Folder, programs: Programs, console: Console) -> None:
    """Starts everything in an order in which each part finds what it needs.

    Raises:
        DemoError: a part ended or did not become ready; carries the end of its log.
    """
    options = layout.options
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        with console.status("starting the daemon"):
            await programs.daemon.start()
            await _ready(session, f"{layout.http_url}/readyz", programs.daemon)
            await _apply(folder)
        console.print("[green]✓[/] the daemon is ready and has its objects")
        with console.status("starting the services"):
            for each in (*programs.apps, *programs.envoys):
                await each.start()
            for instance, app in zip(layout.instances, programs.apps, strict=True):
                await _ready(session, f"http://127.0.0.1:{instance.app_port}/health", app)
        console.print(f"[green]✓[/] {len(programs.apps)} services answer")
        with console.status("waiting for the Envoys"):
            addresses = [*(each.address for each in layout.instances), layout.gateway_address]
            for address, envoy in zip(addresses, programs.envoys, strict=True):
                await _ready(session, f"http://{address}:{options.envoy_port}/ready", envoy)
            await _ready(session, f"{layout.gateway_url}/productpage", programs.envoys[-1])
        console.print(f"[green]✓[/] {len(programs.envoys)} Envoys have their configuration")


async def _ready(session: aiohttp.ClientSession, url: str, program: Program) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await _answers(session, url):
                if not program.running:
                    raise DemoError(f"{program.name} ended while it started:\n{program.tail(15)}")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise DemoError(f"{url} does not answer; the end of {program.log}:\n{program.tail(15)}") from None


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def _apply(folder: Folder) -> None:
    apply = await asyncio.create_subprocess_exec(
        *(*XDSCTL, "--endpoint", folder.endpoint, "apply", "-f", str(folder.initial)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=clean_environment(),
    )
    output, _ = await apply.communicate()
    if apply.returncode != 0:
        raise DemoError(f"the demo's objects were refused:\n{output.decode(errors='replace')}")


async def _keep_running(programs: Programs, console: Console) -> None:
    """Starts again whatever ends, so that a part may be killed to see what the rest does without it."""
    async with asyncio.TaskGroup() as group:
        for each in programs.all:
            group.create_task(_revive(each, console))


async def _revive(program: Program, console: Console) -> None:
    while True:
        code = await program.wait()
        console.print(f"{program.name} ended with {code}; starting it again", highlight=False)
        await asyncio.sleep(_REST_SECONDS)
        await program.start()
