"""What of an object the machine of a proxy decides: files that are to be read or written there, and addresses to listen on.

Whoever admits the object cannot know. A proxy that cannot have one of these refuses the whole resource, and tells which file
or address it was, but not who asked for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from xdsd.model.intent import (
    ClientTLSMode,
    ClientTLSSettings,
    DestinationRule,
    Gateway,
    IstioEgressListener,
    IstioIngressListener,
    MeshConfig,
    Server,
    ServerTLSSettings,
    Sidecar,
    TLSCertificate,
)
from xdsd.model.intent.base import Message, published_name
from xdsd.model.intent.telemetry_provider import EnvoyFileAccessLogProvider

_UNIX = "unix://"
_BIND = re.compile(r"cannot bind '([^']*)'")
_NOT_HERE = "Cannot assign requested address"

_FILES: Mapping[type[Message], tuple[str, ...]] = MappingProxyType(
    {
        ClientTLSSettings: ("client_certificate", "private_key", "ca_certificates", "ca_crl"),
        ServerTLSSettings: ("server_certificate", "private_key", "ca_certificates", "ca_crl"),
        TLSCertificate: ("server_certificate", "private_key", "ca_certificates"),
        MeshConfig: ("access_log_file",),
        EnvoyFileAccessLogProvider: ("path",),
    }
)
"""The fields that name files."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something of a machine that the field ``path`` asks for: a ``file``, or a place to listen, whose ``port`` is 0 for a
    Unix socket (``file``) and whose ``bind`` is empty where any address will do.
    """

    path: str
    file: str = ""
    bind: str = ""
    port: int = 0

    def is_named(self, words: str) -> bool:
        """Whether a proxy's words are about this."""
        if self.file:
            return names_file(words, self.file)
        return any(self._is_bound(place) for place in _BIND.findall(words))

    def _is_bound(self, place: str) -> bool:
        address, _, port = place.rpartition(":")
        return port == str(self.port) and (not self.bind or address.strip("[]") == _compressed(self.bind))


def names_file(words: str, file: str) -> bool:
    """Whether a file's whole path stands in the words."""
    return re.search(rf"(?<![\w./-]){re.escape(file)}(?![\w/-]|\.\w)", words) is not None


def needs(spec: Any, words: str, system_ca: str) -> Iterator[Need]:  # Any: the spec of any object
    """What a spec asks for that a proxy's words are about. ``system_ca`` is the file of the authorities that vouch for
    servers where none is named.
    """
    if isinstance(spec, DestinationRule | Gateway | Sidecar | MeshConfig):
        yield from (need for need in _needs(spec, "spec", words, system_ca) if need.is_named(words))


def _needs(message: Message, path: str, words: str, system_ca: str) -> Iterator[Need]:
    kind = type(message)
    for attribute in next((_FILES[each] for each in kind.__mro__ if each in _FILES), ()):
        file = getattr(message, attribute)
        if file:
            yield Need(f"{path}.{published_name(attribute)}", file=file)
    if isinstance(message, ClientTLSSettings) and _trusts_system(message):
        yield Need(f"{path}.caCertificates", file=system_ca)
    if isinstance(message, Server | IstioIngressListener | IstioEgressListener) and message.port is not None:
        yield from _place(path, message.bind or "", message.port.number or 0, words)
    for attribute in kind.model_fields:
        value = getattr(message, attribute)
        name = f"{path}.{published_name(attribute)}"
        if isinstance(value, Message):
            yield from _needs(value, name, words, system_ca)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Message):
                    yield from _needs(item, f"{name}[{index}]", words, system_ca)


def _place(path: str, bind: str, port: int, words: str) -> Iterator[Need]:
    """Where something listens: the address is to blame if the machine does not have it, else the port."""
    if bind.startswith(_UNIX):
        yield Need(f"{path}.bind", file=bind.removeprefix(_UNIX))
    elif bind:
        yield Need(f"{path}.bind" if _NOT_HERE in words else f"{path}.port.number", bind=bind, port=port)
    elif _NOT_HERE not in words:
        yield Need(f"{path}.port.number", port=port)


def _trusts_system(tls: ClientTLSSettings) -> bool:
    if tls.mode not in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL):
        return False
    return not (tls.ca_certificates or tls.credential_name or tls.insecure_skip_verify)


def _compressed(address: str) -> str:
    try:
        return ip_address(address).compressed
    except ValueError:
        return address
