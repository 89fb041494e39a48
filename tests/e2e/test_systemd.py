"""xdsd as a service, on a machine with a real systemd: installed, started, watched, restarted under traffic, removed.

The tests share one machine and come in the order of the file; the last one takes xdsd away again.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.lab.envoy import envoy_binary
from tests.lab.eventually import eventually
from tests.lab.nspawn import REPO, WHEELHOUSE, CommandError, Machine, booted
from tests.lab.pages import Command, File, steps
from xdsd.demo.program import Program

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

XDS = "127.0.0.1:15010"
SITE = "http://127.0.0.1:8080/"
INSTALL = f"scripts/install --wheelhouse {WHEELHOUSE}"
SETTINGS = "/etc/xdsd/xdsd.yaml"
DROP_IN = "/run/systemd/system/xdsd.service.d/50-test.conf"

MESH = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: site}
spec:
  selector: {app: gateway}
  servers:
    - port: {number: 8080, name: http, protocol: HTTP}
      bind: 127.0.0.1
      hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: site}
spec:
  hosts: [site.default.svc.cluster.local]
  ports:
    - {number: 80, name: http, protocol: HTTP}
  resolution: STATIC
  endpoints:
    - {address: 127.0.0.1, ports: {http: 9081}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: site}
spec:
  hosts: ["*"]
  gateways: [site]
  http:
    - route:
        - destination: {host: site}
      headers: {response: {set: {x-round: "0"}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """A machine on which xdsd was installed, from the wheelhouse alone, and nothing else was done."""
    binds = {envoy_binary(): "/usr/local/bin/envoy"}
    async with booted(tmp_path_factory.mktemp("machine"), binds) as made:
        said = await made.sh(INSTALL)
        assert "start it:  systemctl enable --now xdsd" in said
        yield made


@dataclass(slots=True)
class Count:
    """What became of clients, as they say it in ``log``; ``failed`` is filled when they have ended."""

    log: Path
    failed: dict[str, int] = field(default_factory=dict)

    async def more(self, visits: int) -> None:
        """Returns once so many further visits were served."""
        wanted = self.said()["served"] + visits
        await eventually(lambda: self.said()["served"] >= wanted, f"{visits} more visits")

    def said(self) -> dict[str, Any]:
        """What they said last; Any: numbers and texts."""
        whole = self.log.read_text().rpartition("\n")[0].splitlines()
        lines = [line for line in whole if line.startswith("{")]
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {"served": 0, "failed": {}}
        return found


@asynccontextmanager
async def knocking(machine: Machine, target: str, folder: Path, clients: int = 3) -> AsyncIterator[Count]:
    """Clients of this host's that come all the time, on the machine's network."""
    log = folder / f"knocking-{abs(hash(target))}.log"
    log.unlink(missing_ok=True)
    program = Program(
        "knocking",
        machine.here(sys.executable, "-m", "tests.lab.knocking", target, str(clients)),
        log,
    )
    found = Count(log)
    await program.start()
    try:
        yield found
        assert await program.stop(150) == 0, program.tail()
        found.failed = found.said()["failed"]
    finally:
        await program.stop()


async def pid_of(machine: Machine, unit: str = "xdsd") -> int:
    return int((await machine.unit(unit, "MainPID"))[0])


@asynccontextmanager
async def dropped_in(machine: Machine, text: str) -> AsyncIterator[None]:
    """The service with a drop-in, running; afterwards without it again."""
    await machine.write(DROP_IN, f"[Service]\n{text}\n")
    try:
        await machine.sh("systemctl daemon-reload; systemctl restart xdsd")
        yield
    finally:
        await machine.sh(f"rm -f {DROP_IN}; systemctl daemon-reload; systemctl restart xdsd")


async def test_the_units_are_right_and_safe(machine: Machine) -> None:
    """systemd finds nothing to say against them, and their exposure is low."""
    units = ("xdsd.service", "envoy-sidecar@any.service", "xdsd-cert@any.service")
    assert await machine.run("systemd-analyze", "verify", *units, "xdsd.socket", "xdsd-cert@any.timer") == ""
    for unit in units:
        said = await machine.run("systemd-analyze", "security", "--no-pager", unit)
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+) (\w+)", said)
        assert level is not None, said
        assert level[2] in {"OK", "SAFE"}, said
        assert float(level[1]) < 2, said
        code, said = await machine.attempt("systemd-analyze", "security", "--threshold=20", unit)
        assert code == 0, said


async def test_it_is_active_when_its_sources_have_reported(machine: Machine) -> None:
    """Not before; who connects meanwhile waits and is served then. xdsctl finds it without being told where."""
    settings = await machine.read(SETTINGS)
    await machine.write(SETTINGS, settings + "  - machines:/etc/xdsd/later\n")
    await machine.run("systemctl", "start", "--no-block", "xdsd")
    try:
        await eventually(lambda: _is_stored(machine), "the daemon listens")
        early = asyncio.create_task(machine.sh("exec 3<>/dev/tcp/127.0.0.1/15010"))
        state, status = await machine.unit("xdsd", "ActiveState", "SubState")
        assert (state, status) == ("activating", "start")
        await early
        await machine.sh("mkdir /etc/xdsd/later")
        await machine.run("systemctl", "start", "xdsd")
        assert await machine.unit("xdsd", "ActiveState", "SubState") == ["active", "running"]
        assert " is ready" in await machine.run("xdsctl", "status")
    finally:
        await machine.write(SETTINGS, settings)
        await machine.sh("rmdir /etc/xdsd/later; systemctl restart xdsd")


async def _is_stored(machine: Machine) -> bool:
    return await machine.unit("xdsd", "NFileDescriptorStore") == ["1"]


async def test_it_runs_without_any_privilege(machine: Machine) -> None:
    """As a user of its own, with no capability, behind a filter of system calls; its state is nobody else's. That does not
    keep it from anything it does.
    """
    status = await machine.sh(f"cat /proc/{await pid_of(machine)}/status")
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(values[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")
    assert values["Uid"].split()[0] != "0"
    assert await machine.sh("stat -c '%U %a' /var/lib/xdsd") == "xdsd 700\n"
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:15014/metrics').read().decode())"
    assert "xdsd_ready 1.0" in await machine.run("python3", "-c", script)
    logged = (await machine.journal("xdsd")).lower()
    for word in ("traceback", "denied", "not permitted", '"level": "error"'):
        assert word not in logged


async def test_a_reload_takes_new_settings_in(machine: Machine) -> None:
    """Once it returns they hold; what is wrong with them stands in the journal, and the old ones hold."""
    settings, pid = await machine.read(SETTINGS), await pid_of(machine)
    try:
        await machine.write(SETTINGS, settings + "settle-quiet: 5ms\n")
        await machine.run("systemctl", "reload", "xdsd")
        assert '"changed": ["settle_quiet"], "event": "settings reloaded"' in await machine.journal("xdsd")
        await machine.write(SETTINGS, settings + "settle-quiet: soon\n")
        await machine.run("systemctl", "reload", "xdsd")
        assert "settle-quiet: 'soon' is not a duration" in await machine.journal("xdsd")
    finally:
        await machine.write(SETTINGS, settings)
    await machine.run("systemctl", "reload", "xdsd")
    assert await machine.unit("xdsd", "ActiveState") == ["active"]
    assert await pid_of(machine) == pid


async def test_wrong_settings_stop_a_start_once(machine: Machine) -> None:
    """The journal says what is wrong; systemd does not try again and again what cannot work."""
    settings = await machine.read(SETTINGS)
    try:
        await machine.write(SETTINGS, settings + "no-such-setting: 1\n")
        with pytest.raises(CommandError):
            await machine.run("systemctl", "restart", "xdsd")
        found = await machine.unit("xdsd", "ActiveState", "Result", "ExecMainStatus")
        assert found == ["failed", "exit-code", "2"]
        assert "no-such-setting" in await machine.journal("xdsd")
    finally:
        await machine.write(SETTINGS, settings)
    await machine.run("systemctl", "start", "xdsd")


async def test_a_stalled_daemon_is_ended_and_begins_again(machine: Machine, tmp_path: Path) -> None:
    """Nobody who comes meanwhile is turned away: the next one serves whom it had not let in yet. The journal tells where its
    threads stood.
    """
    async with dropped_in(machine, "WatchdogSec=2s"):
        pid = await pid_of(machine)
        await machine.sh(f"kill -STOP {pid}")
        async with knocking(machine, XDS, tmp_path) as clients:
            await eventually(lambda: _has_restarted(machine, pid), "the daemon was restarted")
            await clients.more(20)
        # On its way to be ended it runs once more, and may let some in, who then lose their connection.
        assert [why for why in clients.failed if "closed" not in why and "reset" not in why.lower()] == []
        journal = await machine.journal("xdsd")
        assert "Watchdog timeout (limit 2s)!" in journal
        assert "Fatal Python error: Aborted" in journal


async def _has_restarted(machine: Machine, before: int) -> bool:
    return await machine.unit("xdsd", "ActiveState") == ["active"] and await pid_of(machine) != before


async def test_a_crash_is_followed_by_a_new_start(machine: Machine) -> None:
    """Soon, and with the same socket."""
    pid = await pid_of(machine)
    await machine.sh(f"kill -KILL {pid}")
    await eventually(lambda: _has_restarted(machine, pid), "the daemon was restarted")
    assert await _is_stored(machine)


async def test_restarts_under_traffic_fail_nobody(machine: Machine, tmp_path: Path) -> None:
    """Connections of proxies wait, requests flow on through an Envoy, which is told every change around a restart."""
    await machine.sh(
        "systemd-run --quiet --unit=site python3 -m http.server --bind 127.0.0.1 9081 -d /etc/xdsd"
    )
    await machine.sh(
        "xdsctl bootstrap --type router --name gateway --labels app=gateway --concurrency 1 "
        "--environment-file /etc/xdsd/envoy/gateway.env "
        "| install -m 640 -g envoy /dev/stdin /etc/xdsd/envoy/gateway.yaml; systemctl start envoy-sidecar@gateway"
    )
    await machine.write("/root/mesh.yaml", MESH)
    await machine.sh("xdsctl apply -f /root/mesh.yaml")
    await eventually(lambda: _round(machine, "0"), "the gateway serves")
    async with knocking(machine, XDS, tmp_path) as proxies, knocking(machine, SITE, tmp_path, 2) as visitors:
        for number in range(1, 4):
            await machine.run("systemctl", "restart", "xdsd")
            await machine.sh(f"sed -i 's/x-round: .*/x-round: \"{number}\"}}}}}}/' /root/mesh.yaml")
            await machine.sh("xdsctl apply -f /root/mesh.yaml")
            await eventually(partial(_round, machine, str(number)), "the change has arrived")
            await asyncio.gather(proxies.more(20), visitors.more(20))
    assert proxies.failed == visitors.failed == {}
    assert await machine.unit("envoy-sidecar@gateway", "NRestarts", "ActiveState") == ["0", "active"]


async def _round(machine: Machine, number: str) -> None:
    script = f"import urllib.request as u; print(u.urlopen('{SITE}').headers['x-round'])"
    said = await machine.run("python3", "-c", script, check=False)
    assert said.splitlines()[-1:] == [number]


async def test_an_envoy_is_as_bare_as_the_daemon(machine: Machine) -> None:
    """Its own user, one capability (gateways have low ports), the words of its environment file, and it comes back when
    it is killed.
    """
    pid = await pid_of(machine, "envoy-sidecar@gateway")
    words = (await machine.sh(f"tr '\\0' ' ' < /proc/{pid}/cmdline")).split()
    assert words[words.index("--drain-time-s") + 1] == "10"
    assert words[words.index("--concurrency") + 1] == "1"
    status = await machine.sh(f"cat /proc/{pid}/status; stat -c 'Owner:\t%U' /proc/{pid}")
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(values[name], 16) for name in ("CapEff", "CapBnd")} == {1 << 10}
    assert (values["NoNewPrivs"], values["Seccomp"], values["Owner"]) == ("1", "2", "envoy")
    await machine.sh(f"kill -KILL {pid}")
    await eventually(lambda: _round(machine, "3"), "the gateway serves again")


async def test_the_socket_unit_does_the_same(machine: Machine, tmp_path: Path) -> None:
    """It listens before the daemon runs, a first connection starts it, and a restart refuses nobody."""
    await machine.sh("systemctl stop envoy-sidecar@gateway xdsd; systemctl start xdsd.socket")
    try:
        assert await machine.unit("xdsd", "ActiveState") == ["inactive"]
        async with knocking(machine, XDS, tmp_path) as clients:
            await eventually(lambda: _has_restarted(machine, 0), "a connection starts the daemon")
            await clients.more(10)
            await machine.run("systemctl", "restart", "xdsd")
            await clients.more(10)
        assert not clients.failed
        assert await machine.unit("xdsd", "NFileDescriptorStore") == ["0"]
    finally:
        await machine.sh("systemctl stop xdsd.socket xdsd; systemctl start xdsd")


async def test_installing_again_changes_nothing_that_runs(machine: Machine) -> None:
    """Settings are kept, the service runs on; only --restart restarts it."""
    pid = await pid_of(machine)
    await machine.sh("echo '# mine' >> /etc/xdsd/xdsd.yaml")
    before = await machine.sh("readlink /opt/xdsd/venv; ls /opt/xdsd/releases")
    assert "still runs as it was" in await machine.sh(INSTALL)
    assert await machine.sh("readlink /opt/xdsd/venv; ls /opt/xdsd/releases") == before
    assert await pid_of(machine) == pid
    await machine.sh(f"{INSTALL} --restart")
    assert await pid_of(machine) != pid
    assert "# mine\n" in await machine.read(SETTINGS)


async def test_an_upgrade_that_cannot_be_is_refused_before_anything_changes(machine: Machine) -> None:
    """Settings that the new version does not take, a wheelhouse without packages, a place that is another's."""
    settings = await machine.read(SETTINGS)
    link = await machine.sh("readlink /opt/xdsd/venv")
    await machine.sh("cp -r /src /root/next; echo >> /root/next/xdsd/notify.py; mkdir /root/empty")
    await machine.write(SETTINGS, settings + "no-such-setting: 1\n")
    code, said = await machine.attempt("/root/next/scripts/install", "--wheelhouse", WHEELHOUSE)
    assert code == 1
    assert "no-such-setting" in said
    assert "nothing was changed" in said
    await machine.write(SETTINGS, settings)
    await machine.sh("echo >> /root/next/xdsd/notify.py")
    code, said = await machine.attempt("/root/next/scripts/install", "--wheelhouse", "/root/empty")
    assert code == 1
    assert "/root/empty lacks packages" in said
    code, said = await machine.attempt("scripts/install", "--prefix", "/usr")
    assert code == 1
    assert "/usr is there and was not made by this script" in said
    assert await machine.sh("readlink /opt/xdsd/venv") == link
    await machine.sh("systemctl restart xdsd; xdsctl status")


async def test_the_page_does_what_it_says_and_leaves_only_the_state(machine: Machine) -> None:
    """docs/systemd.md, from the installation to the removal; afterwards only state and users are left."""
    await machine.sh("systemctl stop site; rm -r /etc/xdsd/envoy/gateway.* /root/*")
    await machine.sh(
        "cp deploy/systemd/xdsd.yaml /etc/xdsd/xdsd.yaml; scripts/install --uninstall; rm -r /var/lib/xdsd"
    )
    count = 0
    for step in steps((REPO / "docs" / "systemd.md").read_text()):
        if isinstance(step, File):
            await machine.write(f"/root/{step.name}", step.text)
            continue
        count += 1
        await _type(machine, step)
    assert count > 10
    left = await machine.sh(
        "find / -xdev -name '*xdsd*' -not -path '/src*' -not -path '/var/log/*' -not -path '/tmp/*'"
    )
    assert "/var/lib/xdsd/xdsd.db" in left.split()
    assert [path for path in left.split() if not path.startswith("/var/lib/xdsd")] == []
    _, units = await machine.attempt("systemctl", "list-unit-files", "--no-legend", "xdsd*", "envoy-sidecar*")
    assert units == ""
    assert "xdsd" in await machine.read("/etc/passwd")


async def _type(machine: Machine, command: Command) -> None:
    text = command.text.replace("scripts/install --wheelhouse wheelhouse", INSTALL)
    lines = [line.rstrip() for line in (await machine.sh(text)).splitlines()]
    for line in command.output:
        assert line.rstrip() in lines, f"$ {text}\ndid not print {line!r} but {lines}"
