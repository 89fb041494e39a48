"""How an API server is reached, and as whom: from a kubeconfig, or from what a pod is given.

``kubernetes-asyncio`` reads both and knows the ways that users prove themselves there: tokens, files of tokens, programs
(``exec``) and OpenID Connect. It is imported when the first cluster is named, since it costs a quarter of a second and
37 MiB. Two things it would do stand here instead: it writes keys that a kubeconfig holds into files of their own and leaves
them, and it takes paths to be relative to the daemon's folder rather than to the kubeconfig's.
"""

import asyncio
import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DATA = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}


class CannotLogin(Exception):  # noqa: N818 - it is named after what is the matter
    """What says where the server is and who we are cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where the server is, how it is spoken to, and what proves who we are; ``token`` is the whole Authorization header."""

    url: str
    token: str = field(default="", repr=False)
    ca: bytes = b""
    cert: bytes = b""
    key: bytes = field(default=b"", repr=False)
    server_name: str = ""
    proxy: str = ""

    @property
    def connection(self) -> tuple[object, ...]:
        """What a connection is made from: with another, connections are made anew."""
        return (self.url, self.ca, self.cert, self.key, self.server_name, self.proxy)

    def tls(self) -> ssl.SSLContext | None:
        """How the server is spoken to; None for plaintext, which only this machine's own is. Raises CannotLogin."""
        if self.url.startswith("http://"):
            return None
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
            if self.cert:
                _load_pair(context, self.cert, self.key)
        except (ssl.SSLError, ValueError) as error:
            raise CannotLogin(f"its certificates or keys cannot be used: {error}") from error
        return context


async def in_cluster(folder: Path = _POD, environment: Mapping[str, str] = os.environ) -> Login:
    """As the pod that the daemon runs in. Raises CannotLogin."""
    host, port = (environment.get(f"KUBERNETES_SERVICE_{word}", "") for word in ("HOST", "PORT"))
    if not host or not port:
        raise CannotLogin("the daemon runs in no pod: write kubernetes:KUBECONFIG")
    token, ca = (
        await asyncio.to_thread(_read, folder / "token"),
        await asyncio.to_thread(_read, folder / "ca.crt"),
    )
    where = f"[{host}]" if ":" in host else host
    return Login(f"https://{where}:{port}", f"Bearer {token.decode().strip()}", ca)


async def from_kubeconfig(path: Path, context: str = "") -> Login:
    """As the user of a context, the current one by default. Raises CannotLogin."""
    library = await asyncio.to_thread(_library)
    config = await asyncio.to_thread(_parsed, path)
    found = await asyncio.to_thread(_take_files, config, path)
    with tempfile.TemporaryDirectory(prefix="xdsd-") as folder:
        try:
            loader = library.loader(
                config,
                active_context=context or None,
                config_base_path=str(path.parent),
                temp_file_path=folder,
            )
            chosen = library.configuration()
            await loader.load_and_set(chosen)
        except (library.error, OSError) as error:
            raise CannotLogin(f"{path}: {error}") from error
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            # The library takes for granted that a file has the form of a kubeconfig.
            raise CannotLogin(f"{path}: its contexts, clusters and users do not fit together") from error
        active = loader.current_context or {}
        part = active.get("context", {})
        cluster, user = (
            found.get(f"cluster {part.get('cluster')}", {}),
            found.get(f"user {part.get('user')}", {}),
        )
        cert = user.get("client-certificate", b"") or await asyncio.to_thread(_made, chosen.cert_file)
        key = user.get("client-key", b"") or await asyncio.to_thread(_made, chosen.key_file)
    login = Login(
        url=str(chosen.host),
        token=" ".join(str(chosen.api_key.get("BearerToken") or "").split()),
        ca=cluster.get("certificate-authority", b""),
        cert=cert,
        key=key,
        server_name=str(chosen.tls_server_name or ""),
        proxy=str(chosen.proxy or ""),
    )
    _check(login, verified=bool(chosen.verify_ssl), path=path)
    return login


class _Library(NamedTuple):
    """What is used of it; Any, since it is typed in part."""

    loader: Any
    configuration: Any
    error: type[Exception]


def _library() -> _Library:
    from kubernetes_asyncio.client.configuration import Configuration  # noqa: PLC0415 - see above
    from kubernetes_asyncio.config import ConfigException  # noqa: PLC0415
    from kubernetes_asyncio.config.kube_config import KubeConfigLoader  # noqa: PLC0415

    return _Library(KubeConfigLoader, Configuration, ConfigException)


def _check(login: Login, *, verified: bool, path: Path) -> None:
    if not verified:
        message = (
            "insecure-skip-tls-verify would let anybody be the server; give its certificate-authority instead"
        )
        raise CannotLogin(f"{path}: {message}")
    parts = urlsplit(login.url)
    if parts.scheme == "https":
        return
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise CannotLogin(f"{path}: the server {login.url} would be spoken to in plaintext; write https://")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parsed(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise CannotLogin(f"{path} is not YAML: {error}") from error
    if not isinstance(config, dict):
        raise CannotLogin(f"{path} is no kubeconfig")
    return config


def _take_files(config: dict[str, Any], path: Path) -> dict[str, dict[str, bytes]]:
    """Takes certificates and keys out of a kubeconfig; returns those of each cluster and user."""
    found: dict[str, dict[str, bytes]] = {}
    for kind in ("cluster", "user"):
        listed = config.get(f"{kind}s")
        for item in listed if isinstance(listed, list) else ():
            body = item.get(kind) if isinstance(item, dict) else None
            if not isinstance(body, dict):
                continue
            parts = found.setdefault(f"{kind} {item.get('name')}", {})
            for word, data in _DATA.items():
                file, text = body.pop(word, None), body.pop(data, None)
                if text:
                    parts[word] = _decoded(text, path, f"{kind}s[{item.get('name')}].{data}")
                elif file:
                    parts[word] = _read(path.parent / str(file))
    return found


def _decoded(text: object, path: Path, where: str) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error as error:
        raise CannotLogin(f"{path}: {where} is not base64") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotLogin(f"{path} cannot be read: {error.strerror}") from error


def _made(path: object) -> bytes:
    """What a program that proves who we are had written."""
    return _read(Path(str(path))) if path else b""


def _load_pair(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """Python reads keys from files alone: here it is one that stands in memory, and nobody else's."""
    file = os.memfd_create("xdsd", os.MFD_CLOEXEC)
    try:
        with suppress(InterruptedError):
            os.write(file, cert + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
