"""A machine with a real systemd: Debian in a container of systemd-nspawn, thrown away afterwards.

The root folder is made once by debootstrap, from the mirror that this host itself uses, and kept in the cache; a machine
writes into an overlay of it, which is gone when it is off, or is there again at its next boot (``disk``). Its network is
its own, with nothing but loopback, so that well-known ports are free there. Packages come from a wheelhouse, filled once
as well. All of it needs root.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.eventually import eventually
from tests.lab.missing import missing
from xdsd.demo.envoy import cache_folder
from xdsd.demo.program import Program

REPO = Path(__file__).parents[2]
# The oldest Debian that we promise to run on; XDSD_SUITE may name another.
SUITE = os.environ.get("XDSD_SUITE", "bookworm")
SOURCE = "/src"
WHEELHOUSE = "/wheelhouse"
_PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,iproute2,iptables"
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "NO_COLOR": "1",
    "COLUMNS": "200",
}


class CommandError(AssertionError):
    """A command on the machine failed; carries what it said."""


class Machine:
    """A booted machine. ``pid`` is that of its systemd as this host sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def run(self, *words: str | Path, text: str = "", check: bool = True, timeout: float = 120) -> str:
        """What a command printed, both streams together, as root in ``/src``.

        Raises:
            CommandError: it failed, and ``check`` is set.
        """
        code, output = await self.attempt(*words, text=text, timeout=timeout)
        if code and check:
            raise CommandError(f"{' '.join(map(str, words))} ended with {code}:\n{output}")
        return output

    async def attempt(self, *words: str | Path, text: str = "", timeout: float = 120) -> tuple[int, str]:
        """The exit code and the output of a command that may fail."""
        process = await asyncio.create_subprocess_exec(
            *(
                "nsenter",
                "--all",
                "--target",
                str(self.pid),
                "--",
                "env",
                "--chdir",
                SOURCE,
                *map(str, words),
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_ENVIRONMENT,
        )
        try:
            async with asyncio.timeout(timeout):
                output, _ = await process.communicate(text.encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"{' '.join(map(str, words))} goes on after {timeout} s") from None
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace")

    async def sh(self, script: str, *, timeout: float = 120) -> str:
        """What a script for bash printed; it ends at the first failure."""
        return await self.run("bash", "-o", "pipefail", "-ec", script, timeout=timeout)

    async def write(self, path: str, text: str) -> None:
        """A file of root's, and the folders above it."""
        await self.run("install", "-D", "-m", "644", "/dev/stdin", path, text=text)

    async def read(self, path: str) -> str:
        return await self.run("cat", path)

    async def unit(self, name: str, *properties: str) -> list[str]:
        """Properties of a unit, in the order asked for."""
        found = dict(
            line.split("=", 1)
            for line in (
                await self.run("systemctl", "show", name, *(f"--property={each}" for each in properties))
            ).splitlines()
        )
        return [found[each] for each in properties]

    async def journal(self, unit: str) -> str:
        """What a unit, and systemd about it, has logged until now."""
        await self.run("journalctl", "--sync")
        return await self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def here(self, *words: str | Path) -> list[str | Path]:
        """A command for a program of this host that is to see the machine's network."""
        return ["nsenter", "--net", "--target", str(self.pid), "--", *words]


# Mounted where nobody else sees it, so that it is gone with the machine.
_WITH_DISK = 'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"; shift 2; exec "$@"'


@contextmanager
def disk() -> Iterator[Path]:
    """What a machine writes, for its next boot to find; in memory, where any kernel lets an overlay write. What the cache
    lacks is fetched now, from the network that this thread is on.
    """
    _require()
    with _alone():
        _wheelhouse(_root())
    with TemporaryDirectory(prefix="xdsd-", dir="/dev/shm") as made:
        for name in ("upper", "work", "root"):
            (Path(made) / name).mkdir(mode=0o755)
        yield Path(made)


@asynccontextmanager
async def booted(
    folder: Path,
    bind: Mapping[Path, str] | None = None,
    network: Path | None = None,
    disk: Path | None = None,
) -> AsyncIterator[Machine]:
    """A machine that is up, with the checkout, the wheelhouse and ``bind`` to look at; its console's log and,
    afterwards, its journal are in ``folder``. Its network is its own, with loopback alone, or the namespace ``network``.
    """
    _require()
    with _alone():
        root = _root()
        binds = {REPO: SOURCE, _wheelhouse(root): WHEELHOUSE, **(bind or {})}
        command: list[str | Path] = []
        if disk:
            command += ["unshare", "--mount", "sh", "-ec", _WITH_DISK, "sh", root, disk]
        command += ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe"]
        command += ["--directory", disk / "root"] if disk else ["--directory", root, "--volatile=overlay"]
        command += [f"--network-namespace-path={network}" if network else "--private-network"]
        command += ["--capability=CAP_NET_ADMIN"]
        command += ["--machine", f"xdsd-{os.getpid()}", "--settings=no", "--link-journal=no"]
        command += [f"--bind-ro={path.absolute()}:{target}" for path, target in binds.items()]
        program = Program("nspawn", command, folder / "console.log")
        await program.start()
        try:
            machine = Machine(await eventually(lambda: _leader(program), "the machine's systemd"))
            await eventually(lambda: _is_up(program, machine), "the machine is up", timeout=300)
            try:
                yield machine
            finally:
                said = await machine.run("journalctl", "--no-pager", "--boot", check=False)
                with (folder / "journal.log").open("a") as journal:
                    journal.write(said)
        finally:
            await program.stop(20)


def _require() -> None:
    if os.geteuid() != 0:
        missing("a machine of systemd-nspawn", "only root can boot one")
    for name, package in (
        ("systemd-nspawn", "systemd-container"),
        ("debootstrap", "debootstrap"),
        ("nsenter", "util-linux"),
    ):
        if shutil.which(name) is None:
            missing(name, f"install {package}")


async def _is_up(program: Program, machine: Machine) -> bool:
    if not program.running:
        missing("a machine of systemd-nspawn", f"it does not boot here: {program.tail()}")
    # "degraded": a unit of Debian's own that cannot work in a container is no business of ours.
    return (await machine.attempt("systemctl", "is-system-running"))[1].strip() in {"running", "degraded"}


def _leader(program: Program) -> int:
    """The child of nspawn that has become the machine's init; 0 as long as there is none."""
    if not program.running:
        missing("a machine of systemd-nspawn", f"it does not boot here: {program.tail()}")
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            status = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue  # it ended meanwhile
        if status["PPid"] == str(program.pid) and status["Name"] == "systemd":
            return int(status["Pid"])
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """One machine at a time: nspawn locks the root, and says no to the second."""
    folder = cache_folder() / "nspawn"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _root() -> Path:
    """The root folder, made on first use."""
    key = hashlib.blake2b(f"{SUITE} {_PACKAGES}".encode(), digest_size=6).hexdigest()
    root = cache_folder() / "nspawn" / f"{SUITE}-{key}"
    if not root.exists():
        unfinished = root.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        _made(
            f"Debian {SUITE}",
            *("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", SUITE, unfinished, _mirror()),
        )
        unfinished.rename(root)
    return root


def _wheelhouse(root: Path) -> Path:
    """What requirements.lock names, for the Python of ``root``."""
    (python,) = (path.name.removeprefix("python") for path in (root / "usr/bin").glob("python3.[0-9]*[0-9]"))
    lock = REPO / "requirements.lock"
    key = hashlib.blake2b(lock.read_bytes() + python.encode(), digest_size=6).hexdigest()
    folder = cache_folder() / "wheelhouse" / key
    if not folder.exists():
        unfinished = folder.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        _made(
            "the wheelhouse",
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary=:all:", f"--python-version={python}", "--dest", unfinished, "-r", lock),
        )
        unfinished.rename(folder)
    return folder


def _made(what: str, *command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode != 0:
        missing(what, f"{command[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")


def _mirror() -> str:
    """The archive that this host installs Debian's packages from; Debian's own, where it installs another system's."""
    if shutil.which("apt-get"):
        listed = subprocess.run(
            [
                "apt-get",
                "indextargets",
                "--format",
                "$(ORIGIN) $(COMPONENT) $(REPO_URI)",
                "Created-By: Packages",
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for line in listed.splitlines():
            origin, _, rest = line.partition(" ")
            component, _, uri = rest.partition(" ")
            if (origin, component) == ("Debian", "main") and "security" not in uri:
                return uri
    return "http://deb.debian.org/debian"
