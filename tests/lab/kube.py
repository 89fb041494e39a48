"""A real kube-apiserver on loopback, with its data in a real etcd. Tests are its controllers: they write what those would.

There is no kubelet and no endpoint controller: who wants Pods and EndpointSlices creates them, with a ``nodeName`` and an
address as if somebody had started something there.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.lab.certificates import Authority
from tests.lab.etcd import EtcdServer, run
from tests.lab.eventually import eventually
from tests.lab.missing import missing
from tests.lab.ports import free_port
from xdsd.demo.program import Program

ADMIN_TOKEN = "admin-of-the-lab"
AUDIENCE = "lab"
ISSUER = "https://kubernetes.default.svc"
_READY_SECONDS = 300.0
_GATES = "EndpointSliceTerminatingCondition=true"


def kubernetes_program(name: str) -> str:
    """``kube-apiserver`` or the ``kubectl`` of its release, in the folder XDSD_KUBERNETES or in the cache of the scripts;
    without it the test skips, and fails in CI.
    """
    cache = os.environ.get("XDSD_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "xdsd"
    )
    folder = os.environ.get("XDSD_KUBERNETES") or Path(cache, "kubernetes-1.20.2-2", "usr", "bin")
    found = shutil.which(name, path=str(folder))
    if found is None:
        missing(name, "scripts/test builds it, or name a folder with it in XDSD_KUBERNETES")
    return found


class KubeServer:
    """``async with KubeServer(tmp_path, etcd) as kube`` waits until it answers; it may be stopped and started again.

    ``kubeconfig`` is the file of an administrator. Several servers on one etcd are one cluster if their ``prefix`` is equal.
    """

    def __init__(self, folder: Path, etcd: EtcdServer, *, prefix: str = "/registry") -> None:
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.etcd = etcd
        self.kubeconfig = folder / "kubeconfig.yaml"
        self.ca = folder / "tls" / "apiserver.crt"
        self._session: aiohttp.ClientSession | None = None
        self._clients: Authority | None = None
        self.program = Program("kube-apiserver", self._command(etcd, prefix), folder / "kube-apiserver.log")

    def _command(self, etcd: EtcdServer, prefix: str) -> list[str]:
        key, users = self.folder / "accounts.key", self.folder / "users.csv"
        options = {
            "etcd-servers": etcd.url,
            "etcd-prefix": prefix,
            "secure-port": self.port,
            "bind-address": "127.0.0.1",
            "cert-dir": self.folder / "tls",
            "service-account-issuer": ISSUER,
            "api-audiences": f"{AUDIENCE},{ISSUER}",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "token-auth-file": users,
            "client-ca-file": self.folder / "clients" / "ca.pem",
            "authorization-mode": "RBAC",
            "service-cluster-ip-range": "10.96.0.0/16",
            "disable-admission-plugins": "ServiceAccount",
            "endpoint-reconciler-type": "none",
            "feature-gates": _GATES,
            # An etcd of one member on a slow disk is not to end the watches of everybody.
            "etcd-healthcheck-timeout": "20s",
        }
        return [
            kubernetes_program("kube-apiserver"),
            *(f"--{name}={value}" for name, value in options.items()),
        ]

    async def __aenter__(self) -> Self:
        (self.folder / "accounts.key").write_bytes(_key())
        (self.folder / "users.csv").write_text(f'{ADMIN_TOKEN},admin,1,"system:masters"\n')
        self._clients = Authority(self.folder / "clients")
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        if error is not None:
            error.add_note(f"--- kube-apiserver: {self.program.log}\n{self.program.tail(15)}")

    async def close(self) -> None:
        """Ends everything."""
        await self.stop()
        if self._session is not None:
            await self._session.close()

    async def start(self) -> None:
        """Starts it, again if it has ended, and waits until it is ready."""
        await self.program.start()
        await eventually(self._is_ready, "the kube-apiserver is ready", timeout=_READY_SECONDS, every=0.1)
        self.write_kubeconfig(self.kubeconfig, ADMIN_TOKEN)

    async def stop(self) -> None:
        """Ends it at once, if it runs."""
        if self.program.running:
            self.resume()
            await self.program.kill()

    def pause(self) -> None:
        """Lets it hang: connections stay, nothing is answered."""
        self.program.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        self.program.signal(signal.SIGCONT)

    async def empty(self) -> None:
        """Ends it, and starts it again on nothing: another cluster at the same address, that takes the same certificates."""
        await self.stop()
        await self.etcd.stop()
        shutil.rmtree(self.etcd.data)
        await self.etcd.start()
        await self.start()

    def certify(self, path: Path, *, port: int = 0) -> Path:
        """The kubeconfig of an administrator who has a certificate, which outlives the cluster's data."""
        assert self._clients is not None
        pair = self._clients.issue(path.name, organization="system:masters")
        user = {"client-certificate": str(pair.cert), "client-key": str(pair.key)}
        return self._write_kubeconfig(path, user, port)

    def write_kubeconfig(self, path: Path, token: str, *, port: int = 0) -> Path:
        """The file by which a user with this token finds the server, behind ``port`` if that is given."""
        return self._write_kubeconfig(path, {"token": token}, port)

    def _write_kubeconfig(self, path: Path, user: Mapping[str, str], port: int) -> Path:
        ca = base64.b64encode(self.ca.read_bytes()).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [
                {
                    "name": "lab",
                    "cluster": {
                        "server": f"https://127.0.0.1:{port or self.port}",
                        "certificate-authority-data": ca,
                    },
                }
            ],
            "users": [{"name": "user", "user": dict(user)}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user"}}],
        }
        path.write_text(yaml.safe_dump(content))
        path.chmod(0o600)
        return path

    async def kubectl(self, *words: str | Path, text: str = "", check: bool = True) -> str:
        """Runs ``kubectl`` as an administrator; what it printed on both streams."""
        command = [kubernetes_program("kubectl"), "--kubeconfig", str(self.kubeconfig)]
        return await run(*command, *(str(word) for word in words), text=text, check=check)

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        """``kubectl apply`` of these objects."""
        await self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all([dict(each) for each in objects]))

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, check: bool = True
    ) -> dict[str, Any]:
        """One call of the API as an administrator, which is much quicker than a ``kubectl``; the answer."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        call = self._client().request(
            method,
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": kind},
        )
        async with call as response:
            text = await response.text()
            assert response.status < 300 or not check, f"{method} {path}: {response.status} {text}"
            return dict(json.loads(text)) if text.startswith("{") else {"text": text}

    @contextlib.asynccontextmanager
    async def watch(self, path: str, revision: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """A watch of a collection as an administrator, raw."""
        asked = {"watch": "true", "resourceVersion": revision, "timeoutSeconds": "3600"}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._client().get(f"{self.url}{path}", params=asked, timeout=timeout) as response:
            assert response.status == 200, await response.text()
            yield response

    async def status(self, path: str, token: str) -> int:
        """The status that whoever has this token is answered."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self._client().get(f"{self.url}{path}", headers=headers) as response:
            return response.status

    async def put(self, path: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Creates the object ``name`` in the collection at ``path``, or replaces what differs in it (maps are merged)."""
        patched = await self.request("PATCH", f"{path}/{name}", body, check=False)
        if patched.get("code") == 404:
            return await self.request("POST", path, body)
        assert patched.get("kind") != "Status", patched
        return patched

    async def delete(self, path: str) -> None:
        """Deletes one object at once, or all of a collection; nothing if it is not there."""
        answer = await self.request("DELETE", f"{path}?gracePeriodSeconds=0", check=False)
        assert answer.get("code") in {None, 404}, answer

    async def namespace(self, name: str) -> None:
        """Makes it exist."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        answer = await self.request("POST", "/api/v1/namespaces", body, check=False)
        assert answer.get("kind") == "Namespace" or answer.get("code") == 409, answer

    async def account(self, namespace: str, name: str, audience: str = ISSUER) -> str:
        """A token of the service account, which is created if it is not there."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        await self.put(path, name, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        ask = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 3600},
        }
        answer = await self.request("POST", f"{path}/{name}/token", ask)
        return str(answer["status"]["token"])

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            context = ssl.create_default_context(cafile=str(self.ca))
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
                timeout=aiohttp.ClientTimeout(total=30),
            )
        return self._session

    async def _is_ready(self) -> bool:
        if not self.program.running:
            raise RuntimeError(
                f"the kube-apiserver ended with {self.program.returncode}:\n{self.program.tail()}"
            )
        if not self.ca.exists():
            return False
        answer = await self.request("GET", "/readyz", check=False)
        # The namespaces are made by one of its own controllers, a moment after it is ready.
        return answer.get("text") == "ok" and "metadata" in await self.request(
            "GET", "/api/v1/namespaces/default", check=False
        )


@contextlib.asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[KubeServer]:
    """A cluster with an etcd of its own."""
    async with EtcdServer(folder) as etcd, KubeServer(folder / "kube", etcd) as kube:
        yield kube


def _key() -> bytes:
    """A key that service accounts' tokens are signed with."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
