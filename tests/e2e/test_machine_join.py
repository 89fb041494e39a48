"""A bare Debian with a real systemd joins a mesh, is called by name and calls, boots, and leaves as it was."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.echo import first_line
from tests.lab.envoy import envoy_binary
from tests.lab.eventually import eventually
from tests.lab.netns import Machine as Wired
from tests.lab.netns import two_machines
from tests.lab.nspawn import REPO, Machine, booted, disk
from tests.lab.pages import Reader

pytestmark = pytest.mark.e2e

PAGE = REPO / "docs" / "machine-join.md"
STATE = """
iptables-save | sed -n /^-A/p
ip6tables-save | sed -n /^-A/p
find /etc /usr/local /var/lib -xdev -not -path '/etc/.pwd.lock' -not -name '*-' -not -path '/var/lib/systemd/*' | sort
cat /etc/passwd /etc/group
systemctl list-unit-files --no-legend 'xdsd*' || true
"""
STRANGER = 7777
# Whoever calls here is to be of the mesh.
ONLY = """
```yaml file=only.yaml
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: istio-system}
spec:
  egress: [{hosts: ["*/*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
```
```console
$ xdsctl apply -f only.yaml
```
"""
# A program that calls whom it must not reach, again and again, and serves; as early as any service may start.
PROGRAM = """
import http.server, socket, socketserver, threading, time
socketserver.TCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer(("", 8080), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever).start()
while True:
    try:
        with socket.create_connection(("{address}", 7777), 1) as called:
            print("said", called.recv(100) or "nothing", flush=True)
    except OSError as error:
        print("told", error.strerror, flush=True)
    time.sleep(0.02)
"""
# Who is where SSH would be.
SSHD = """
import socket
server = socket.create_server(("", 22))
while True:
    called, _ = server.accept()
    called.sendall(b"SSH-2.0-none\\r\\n")
    called.close()
"""
UNIT = """
[Unit]
DefaultDependencies=no
Requires=sysinit.target
After=sysinit.target
Before=basic.target
[Service]
ExecStart=/usr/bin/python3 /root/early.py
WorkingDirectory=/usr/share/base-files
[Install]
WantedBy=basic.target
"""
# As nftables of Debian is, which forgets everybody's rules when its own are loaded.
FIREWALL = """
[Unit]
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c "printf '*nat\\\\nCOMMIT\\\\n' | iptables-restore"
ExecReload=/bin/sh -c "printf '*nat\\\\nCOMMIT\\\\n' | iptables-restore"
[Install]
WantedBy=sysinit.target
"""
CALLED = """
```console
$ until curl -sf --proxy http://127.0.0.2:15080 http://shop.default:8080/ > /dev/null; do sleep 0.2; done
```
```console on=vm-1
$ until python3 -c "import urllib.request as u; u.urlopen('http://reviews.default:9080/')"; do sleep 0.2; done
```
"""
REFUSED = """
```console on=vm-1
$ sed 's/^xdsdj_.*/xdsdj_0123456789ab_nobody-knows-this-one-it-is-made-up-here-so/' shop.bundle > stranger.bundle
$ ./machine-join stranger.bundle > said 2>&1 && exit 1; grep -o 'is there again: the join token is not known' said
is there again: the join token is not known
```
"""
GONE = """
```console
$ while xdsctl get workloadentries | grep shop-; do sleep 0.2; done
```
"""


def shell(machine: Machine) -> list[str]:
    """The words by which a shell on the machine runs a script."""
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    inside = ["nsenter", "--all", "--target", str(machine.pid), "--"]
    return [*inside, "env", "-i", "--chdir=/root", path, "HOME=/root", "bash", "-o", "pipefail", "-ec"]


def run(machine: Machine, script: str) -> str:
    done = subprocess.run([*shell(machine), script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copying(machine: Machine, folder: Path) -> None:
    """A program ``scp`` that knows one machine."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scp"
    words = " ".join(f"'{word}'" for word in shell(machine))
    copy = "cat > /root/${name}; chmod 700 /root/${name}"
    file.write_text(
        '#!/bin/bash\nset -e\nfor each in "${@:1:$#-1}"; do\n'
        f'name="$(basename "$each")"; {words} "{copy}" < "$each"\ndone\n'
    )
    file.chmod(0o755)


@dataclass(slots=True)
class Outside:
    """What goes past the sidecar: calls of the program that arrived here, and answers of it to nobody of the mesh."""

    vm: Wired
    arrived: list[str] = field(default_factory=list)
    answered: int = 0
    asked: int = 0

    async def arrive(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived.append(writer.get_extra_info("peername")[0])
        writer.write(b"stranger\n")
        writer.close()

    async def ask(self) -> None:
        while True:
            self.asked += 1
            try:
                async with asyncio.timeout(1):
                    reader, writer = await asyncio.open_connection(self.vm.address, 8080)
                    writer.write(b"GET / HTTP/1.0\r\n\r\n")
                    self.answered += (await reader.readline()).startswith(b"HTTP/1.0 200")
                    writer.close()
            except OSError:
                pass  # as it should be
            await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(vm: Wired, house: Wired) -> AsyncIterator[Outside]:
    """From the other machine, all the time."""
    outside = Outside(vm)
    with house.entered():
        server = await asyncio.start_server(outside.arrive, house.address, STRANGER)
        asking = asyncio.create_task(outside.ask())
    try:
        yield outside
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        server.close()
        await server.wait_closed()


@dataclass(slots=True)
class Place:
    """A machine that is switched on and off, with its neighbour, where someone reads the page."""

    vm: Wired
    house: Wired
    folder: Path
    disk: Path
    reader: Reader
    places: dict[str, list[str]]

    @asynccontextmanager
    async def on(self) -> AsyncIterator[Machine]:
        """Its kernel starts without rules, as one does; the namespace would remember them."""
        for tool in ("iptables", "ip6tables"):
            for table in ("nat", "filter"):
                for what in ("-F", "-X"):
                    self.vm.run(tool, "--wait", "-t", table, what)
        binds, network = {envoy_binary(): "/usr/local/bin/envoy"}, Path("/run/netns") / self.vm.name
        async with booted(self.folder, binds, network, self.disk) as machine:
            self.places["vm-1"] = shell(machine)
            copying(machine, self.folder / "reader" / ".bin")
            yield machine

    async def do(self, page: str) -> int:
        """What is watched goes on meanwhile."""
        page = page.replace("10.0.0.1", self.house.address).replace("10.0.0.5", self.vm.address)
        return await asyncio.to_thread(self._do, page)

    def _do(self, page: str) -> int:
        with self.house.entered():
            return self.reader.do(page)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    with two_machines() as (vm, house), disk() as kept, house.entered():
        reader = folder / "reader"
        reader.mkdir()
        (reader / "scripts").symlink_to(REPO / "scripts")
        places: dict[str, list[str]] = {}
        with Reader(reader, {}, places=places) as someone:
            yield Place(vm, house, folder, kept, someone, places)


async def test_a_bare_machine_joins_boots_and_leaves_as_the_page_says(tmp_path: Path) -> None:
    """From nothing to requests by name with mutual TLS in both directions, on a machine that a real systemd runs. It goes
    off and boots, and while it does nothing goes past its sidecar, not even what starts as early as it may; with
    rules that are broken it is closed. What is left at last is what was there before.
    """
    text = PAGE.read_text()
    joining, rest = text[: (cut := text.index("## A program that is not well"))], text[cut:]
    with place(tmp_path) as at:
        async with watching(at.vm, at.house) as outside:
            async with at.on() as machine:
                await machine.write("/etc/resolv.conf", "nameserver 192.0.2.53\n")
                before = run(machine, STATE)
                await bare(at, machine, outside)
                assert await at.do(joining + ONLY) > 20
                await early(at, machine, outside)
            async with at.on() as machine:
                await at.do(CALLED)
                await in_order(machine)
                await at.do(REFUSED + CALLED)
                assert (outside.arrived, outside.answered) == ([], 0)
                await another_firewall(machine)
                await at.do(CALLED)
                await passed(outside)
                run(machine, "sed -i s/^INBOUND=.*/INBOUND=22,99999/ /etc/xdsd/machine/rules.conf")
            async with at.on() as machine:
                await closed(at, machine)
                assert (outside.arrived, outside.answered) == ([], 0)
                await at.do("```console on=vm-1\n$ ./machine-join shop.bundle\n```\n" + CALLED + rest)
                run(machine, "systemctl disable --quiet --now shop nftables")
                run(machine, "rm /etc/systemd/system/{shop,nftables}.service")
                assert run(machine, STATE) == before


async def bare(at: Place, machine: Machine, outside: Outside) -> None:
    """What is watched for happens on a machine of no mesh."""
    await machine.write("/root/early.py", PROGRAM.replace("{address}", at.house.address))
    run(machine, "systemd-run --quiet --unit bare python3 /root/early.py")
    await eventually(lambda: outside.answered > 0 and outside.arrived, "it answers, and calls")
    run(machine, "systemctl stop bare")


async def early(at: Place, machine: Machine, outside: Outside) -> None:
    """Nothing of the program gets past the sidecar any more."""
    run(machine, "systemctl stop shop")
    await machine.write("/etc/systemd/system/shop.service", UNIT)
    await machine.write("/etc/systemd/system/nftables.service", FIREWALL)
    run(
        machine,
        "systemctl daemon-reload; systemctl enable --quiet nftables; systemctl enable --quiet --now shop",
    )
    await at.do(CALLED)
    await passed(outside)


async def passed(outside: Outside) -> None:
    """Returns once nobody gets past the sidecar, and what was before is forgotten."""

    async def quiet() -> bool:
        outside.arrived.clear()
        outside.answered = 0
        asked = outside.asked
        await eventually(lambda: outside.asked > asked + 10, "it was asked again")
        return not outside.arrived and not outside.answered

    await eventually(quiet, "the sidecar lets nobody through")


async def in_order(machine: Machine) -> None:
    """The rules, then everything else; the program has tried before the sidecar was there, and was refused."""
    (rules,) = await machine.unit("xdsd-machine-rules", "ActiveEnterTimestampMonotonic")
    (network,) = await machine.unit("network-pre.target", "ActiveEnterTimestampMonotonic")
    (program,) = await machine.unit("shop", "ExecMainStartTimestampMonotonic")
    (sidecar,) = await machine.unit("xdsd-machine", "ExecMainStartTimestampMonotonic")
    assert 0 < int(rules) <= min(int(network), int(program))
    assert int(program) < int(sidecar)
    log = await machine.run("journalctl", "--no-pager", "--boot", "--output=cat", "--unit=shop")
    assert "told Connection refused" in log


async def another_firewall(machine: Machine) -> None:
    """It is loaded again, and the rules come after it; for a moment there are none."""
    for action in ("reload", "restart"):
        run(machine, f"systemctl {action} nftables")
        there = "iptables -t nat -S XDSD_OUT 2>/dev/null | grep -q 'to-ports 15001'"
        run(machine, f"until {there} && systemctl is-active --quiet xdsd-machine-rules; do sleep 0.1; done")


async def closed(at: Place, machine: Machine) -> None:
    """The program calls and is called in vain, the machine is of no service, and SSH would be reached."""
    assert await machine.unit("xdsd-machine-rules", "ActiveState") == ["failed"]
    assert await machine.unit("xdsd-machine", "ActiveState") == ["inactive"]
    assert "99999" in await machine.journal("xdsd-machine-rules")
    refused = "journalctl --no-pager --boot --output=cat --unit=shop | grep -c 'told Connection refused'"

    async def tried() -> bool:
        return int(await machine.sh(refused)) > 10

    await eventually(tried, "the program has tried")
    await machine.write("/root/sshd.py", SSHD)
    run(machine, "systemd-run --quiet --unit ssh python3 /root/sshd.py")
    await eventually(lambda: first_line(at.vm.address, 22), "SSH is served")
    await at.do(GONE)
    run(machine, "systemctl stop ssh")
