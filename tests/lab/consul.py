"""A real Consul on loopback: a server with a data dir that outlives restarts, and client agents that join it."""

import json
import os
import shutil
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.lab.certificates import Authority, Pair
from tests.lab.etcd import run
from tests.lab.eventually import eventually
from tests.lab.missing import missing
from tests.lab.ports import free_port, free_ports
from xdsd.demo.program import Program

_READY_SECONDS = 180.0


def consul_binary() -> str:
    """``consul`` in the folder XDSD_CONSUL, else on the PATH; without one the test skips, and fails in CI."""
    found = shutil.which("consul", path=os.environ.get("XDSD_CONSUL"))
    if found is None:
        missing("consul", "install it, or name a folder with it in XDSD_CONSUL")
    return found


class ConsulAgent:
    """``async with ConsulAgent(tmp_path) as consul`` waits until its cluster answers.

    It is a server, or with ``join`` a client agent of that server. ``forgetful``, it keeps nothing over a restart, and
    elects itself at once. ``tls`` serves HTTPS alone, with a certificate of that authority, and asks clients for one;
    ``acl`` denies whatever no token allows, and sets ``root``, a token that may everything (``acl_config`` says more of
    that). With ``wan`` it can be joined by servers of another ``datacenter``, and joins those. ``config`` is merged into its
    configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "one",
        join: "ConsulAgent | None" = None,
        tls: Authority | None = None,
        acl: bool = False,
        acl_config: Mapping[str, Any] | None = None,
        forgetful: bool = False,
        config: Mapping[str, Any] | None = None,
        host: str = "127.0.0.1",
        datacenter: str = "dc1",
        wan: Sequence["ConsulAgent"] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.host = host
        self.port, self.serf, server = free_ports(3)
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self.root = "5e5ef0a0-0000-4000-8000-000000000001" if acl else ""
        self.client: Pair | None = None
        self.ca: Path | None = None
        self._join = join
        self.datacenter = datacenter
        self.wan = free_port() if wan is not None else -1
        settings = self._settings(server, tls, forgetful=forgetful)
        settings.setdefault("acl", {}).update(acl_config or {})
        if wan:
            settings["retry_join_wan"] = [f"{each.host}:{each.wan}" for each in wan]
            settings["retry_interval_wan"] = "1s"
        self.config = self.folder / "agent.json"
        self.config.write_text(json.dumps({**settings, **(config or {})}))
        command = [
            consul_binary(),
            "agent",
            "-config-file",
            str(self.config),
            *(["-dev"] if forgetful else []),
        ]
        self.program = Program(f"consul-{name}", command, self.folder / "consul.log", _environment())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if error is not None:
            error.add_note(f"--- {self.name}: {self.program.log}\n{self.program.tail(15)}")

    async def start(self) -> None:
        """Starts it and waits until it, and the leader of its cluster, answers."""
        await self.program.start()
        await eventually(self._answers, "Consul answers", timeout=_READY_SECONDS)

    async def stop(self) -> None:
        """Ends it at once, if it runs, as a power cut would."""
        if self.program.running:
            await self.program.kill()

    async def empty(self) -> None:
        """Ends it, takes all its data, and starts it."""
        await self.stop()
        shutil.rmtree(self.data)
        await self.start()

    async def save(self, file: Path) -> None:
        """``consul snapshot save``."""
        await self.run("snapshot", "save", str(file))

    async def restore(self, file: Path) -> None:
        """``consul snapshot restore``."""
        await self.run("snapshot", "restore", str(file))

    async def run(self, *words: str) -> str:
        """Runs ``consul WORDS…`` against it; what it printed."""
        env = ["env", f"CONSUL_HTTP_ADDR={self.url}", f"CONSUL_HTTP_TOKEN={self.root}"]
        if self.client is not None:
            env += [f"CONSUL_CACERT={self.ca}", f"CONSUL_CLIENT_CERT={self.client.cert}"]
            env += [f"CONSUL_CLIENT_KEY={self.client.key}"]
        return await run(*env, consul_binary(), *words)

    async def register(
        self,
        service: str,
        ident: str,
        *,
        address: str = "",
        port: int = 80,
        status: str = "passing",
        node: str = "machine",
        node_address: str = "10.9.9.9",
        node_meta: Mapping[str, str] | None = None,
        **more: Any,  # Any: whatever Consul's API takes, wrong values too
    ) -> None:
        """Registers an instance with a check, as a platform's own program would (``/v1/catalog/register``)."""
        entry = {"ID": ident, "Service": service, "Port": port, "Address": address, **more}
        check = {"CheckID": f"check:{ident}", "Name": "alive", "Status": status, "ServiceID": ident}
        body = {
            "Node": node,
            "Address": node_address,
            "NodeMeta": node_meta,
            "Service": entry,
            "Check": check,
        }
        await self.put("/v1/catalog/register", body)

    async def deregister(self, ident: str, node: str = "machine") -> None:
        """Takes an instance and its checks out."""
        await self.put("/v1/catalog/deregister", {"Node": node, "ServiceID": ident})

    async def check(self, ident: str, status: str, node: str = "machine") -> None:
        """Says how an instance is."""
        check = {"Node": node, "CheckID": f"check:{ident}", "ServiceID": ident, "Status": status}
        await self.txn([{"Check": {"Verb": "set", "Check": check}}])

    async def txn(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Several changes at once."""
        for start in range(0, len(operations), 64):
            await self.put("/v1/txn", operations[start : start + 64])

    async def put(self, path: str, body: object = None) -> Any:
        """A PUT with JSON; the answer, if it is JSON."""
        async with (
            aiohttp.ClientSession() as session,
            session.put(
                self.url + path,
                data=b"" if body is None else json.dumps(body),
                headers={"X-Consul-Token": self.root},
                ssl=self._tls(),
            ) as response,
        ):
            text = await response.text()
            assert response.status == 200, f"PUT {path}: {response.status} {text}"
            return json.loads(text) if text.strip() else None

    def _tls(self) -> ssl.SSLContext | bool:
        if self.client is None:
            return True
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.client.cert, self.client.key)
        return context

    def _settings(self, server: int, tls: Authority | None, *, forgetful: bool) -> dict[str, Any]:
        http, https = (-1, self.port) if tls else (self.port, -1)
        found: dict[str, Any] = {
            "node_name": self.name,
            "datacenter": self.datacenter,
            "bind_addr": self.host,
            "client_addr": self.host,
            "data_dir": str(self.data),
            "ports": {
                "http": http,
                "https": https,
                "dns": -1,
                "grpc": -1,
                "server": server,
                "serf_lan": self.serf,
                "serf_wan": self.wan,
            },
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
            "log_level": "warn",
        }
        if self._join is None:
            found |= {"server": True} if forgetful else {"server": True, "bootstrap_expect": 1}
        else:
            found |= {"retry_join": [f"{self._join.host}:{self._join.serf}"], "retry_interval": "1s"}
        if self.root:
            tokens = {"master": self.root, "agent": self.root}
            found["acl"] = {"enabled": True, "default_policy": "deny", "tokens": tokens}
        if tls is not None:
            pair = tls.issue(self.name, f"IP:{self.host}", "DNS:localhost")
            self.client = tls.issue(f"{self.name}-client")
            self.ca = tls.cert
            found |= {"ca_file": str(tls.cert), "cert_file": str(pair.cert), "key_file": str(pair.key)}
            found |= {"verify_incoming_https": True}
        return found

    async def _answers(self) -> bool:
        assert self.program.running, self.program.tail()
        words = await self.run("catalog", "services")
        return "consul" in words.split()


def operations(node: str, services: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What puts instances on a node, each with a check that passes, for ``txn``."""
    found: list[dict[str, Any]] = []
    for service in services:
        found.append({"Service": {"Verb": "set", "Node": node, "Service": service}})
        check = {"Node": node, "CheckID": f"check:{service['ID']}", "ServiceID": service["ID"]}
        found.append({"Check": {"Verb": "set", "Check": {**check, "Status": "passing"}}})
    return found


def _environment() -> dict[str, str]:
    """Ours without what would tell Consul's programs where to go."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CONSUL_")}
