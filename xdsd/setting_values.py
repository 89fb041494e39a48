"""What settings are written as: addresses, durations, sizes, stores; each parsed from text, each mistake with
a sentence of its own.
"""

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from pydantic_core import PydanticCustomError

from xdsd.model.identity import InvalidIdentity, check_trust_domain
from xdsd.model.problem import Reason
from xdsd.model.virtual_addresses import IPV4_RANGE

_LONGEST_SOCKET_PATH = 107
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ETCD_PORT = 2379
_REDIS_PORT = 6379
_VAULT_PORT = 8200
_DNS_PORT = 53
_NARROWEST = 16


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """As gRPC and URLs write it: ``127.0.0.1:15010``, ``[::1]:15010``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True where only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: Path

    def __str__(self) -> str:
        """As gRPC writes it: ``unix:/var/lib/xdsd/admin.sock``."""
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


class LogFormat(StrEnum):
    """How log lines are written; ``auto`` is console on a terminal, else json."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severe lines that are still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class OutboundPolicy(StrEnum):
    """What a sidecar does with traffic to destinations that the mesh does not know."""

    ALLOW_ANY = "ALLOW_ANY"
    REGISTRY_ONLY = "REGISTRY_ONLY"


class VirtualHosts(StrEnum):
    """Where sidecars find the virtual hosts of a route configuration."""

    INLINE = "inline"
    DISCOVERED = "discovered"


class Http3(StrEnum):
    """Whether gateways speak HTTP/3 beside HTTP/1.1 and HTTP/2."""

    OFF = "off"
    ON = "on"


class Anonymous(StrEnum):
    """What callers without credentials may do on a plaintext loopback port of the admin API."""

    NONE = "none"
    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where objects are kept: in these etcds, or in a file of the state dir where there are none."""

    etcd: tuple[TcpAddress, ...] = ()

    def __str__(self) -> str:
        return f"etcd://{','.join(map(str, self.etcd))}" if self.etcd else "embedded"

    @property
    def is_loopback(self) -> bool:
        """True where nothing of it leaves this machine."""
        return all(address.is_loopback for address in self.etcd)


@dataclass(frozen=True, slots=True)
class RedisLocation:
    """A Redis: a socket (``path``) or a host and port; beyond this machine over TLS."""

    address: TcpAddress | None = None
    path: str = ""
    database: int = 0
    tls: bool = False

    def __str__(self) -> str:
        if self.address is None:
            return f"unix://{self.path}" + (f"?db={self.database}" if self.database else "")
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{self.address}" + (f"/{self.database}" if self.database else "")


def refuse(reason: Reason, message: str) -> PydanticCustomError:
    """A mistake in a value, for pydantic to report."""
    return PydanticCustomError(reason.value, "{message}", {"message": message})


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str):
        raise refuse(Reason.WRONG_TYPE, f"{value!r} is not text")
    if not value:
        raise refuse(Reason.INVALID_VALUE, "is empty; leave it out for its default")
    if "\0" in value:
        raise refuse(Reason.INVALID_VALUE, f"{value!r} has a null character; take it out")
    return value


def parse_address(value: object) -> Address:
    """``HOST:PORT``, ``[V6]:PORT`` or ``unix:PATH``."""
    if isinstance(value, TcpAddress | UnixAddress):
        return value
    text = _text(value)
    if text.startswith("unix:"):
        path = "/" + text[5:].lstrip("/") if text.startswith("unix:/") else text[5:]
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            raise refuse(
                Reason.TOO_LARGE,
                f"a socket's path has at most {_LONGEST_SOCKET_PATH} bytes; choose a shorter one than {path}",
            )
        return UnixAddress(Path(path))
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})", text)
    if match is None or int(match["port"]) > 65535:
        raise refuse(
            Reason.INVALID_VALUE, f"{text!r} is not an address: write HOST:PORT, [V6]:PORT or unix:PATH"
        )
    return TcpAddress(match["v6"] or match["host"], int(match["port"]))


def parse_plaintext(value: object) -> Address:
    """An address that only this machine can reach."""
    address = parse_address(value)
    if isinstance(address, TcpAddress) and not address.is_loopback:
        raise refuse(
            Reason.NOT_SUPPORTED,
            f"{address} would speak plaintext beyond this machine; set 127.0.0.1:{address.port}, "
            f"[::1]:{address.port} or unix:PATH, and reach it from elsewhere through a tunnel",
        )
    return address


def parse_trust_domain(value: object) -> str:
    """A trust domain's name, as SPIFFE wants it."""
    text = _text(value)
    try:
        check_trust_domain(text)
    except InvalidIdentity as error:
        raise refuse(Reason.INVALID_VALUE, str(error)) from None
    return text


def parse_api(value: object) -> str:
    """``https://HOST[:PORT]``, the port 443 if it is left out."""
    text = _text(value).rstrip("/")
    match = re.fullmatch(r"https://([^/?#@\s]+)", text)
    where = (match[1] if re.search(r":[0-9]+$", match[1]) else f"{match[1]}:443") if match else ""
    try:
        address = parse_address(where)
    except PydanticCustomError:
        address = UnixAddress(Path(where))
    if not isinstance(address, TcpAddress):
        raise refuse(Reason.INVALID_VALUE, "is not the address of a Kubernetes API: write https://HOST:PORT")
    return f"https://{address}"


def parse_vault(value: object) -> str:
    """``https://HOST:PORT``; ``http://`` on loopback alone."""
    text = _text(value).rstrip("/")
    match = re.fullmatch(r"(https?)://([^/?#@\s]+)", text)
    where = (match[2] if re.search(r":[0-9]+$", match[2]) else f"{match[2]}:{_VAULT_PORT}") if match else ""
    try:
        address = parse_address(where)
    except PydanticCustomError:
        address = UnixAddress(Path(where))
    if match is None or not isinstance(address, TcpAddress):
        raise refuse(
            Reason.INVALID_VALUE,
            "is not the address of a Vault: write https://HOST:PORT; the path of its engine stands in vault-mount, "
            "a token in vault-token-file",
        )
    if match[1] == "http" and not address.is_loopback:
        raise refuse(
            Reason.NOT_SUPPORTED,
            f"{text!r} would show the token beyond this machine; write https://{match[2]}",
        )
    return f"{match[1]}://{address}"


def parse_store(value: object) -> "StoreAddress":
    """``embedded``, or ``etcd://HOST:PORT,HOST:PORT``; an IPv6 address stands in brackets, the port may be left out."""
    if isinstance(value, StoreAddress):
        return value
    text = _text(value)
    if text == "embedded":
        return StoreAddress()
    scheme, found, hosts = text.partition("://")
    if scheme != "etcd" or not found or not hosts.strip("/"):
        raise refuse(
            Reason.INVALID_VALUE, f"{text!r} is not a store: write embedded, or etcd://HOST:PORT,HOST:PORT"
        )
    return StoreAddress(tuple(_etcd_endpoint(part) for part in hosts.rstrip("/").split(",")))


def _etcd_endpoint(text: str) -> TcpAddress:
    bare = text.strip()
    if re.fullmatch(r"[^:\[\]/@]+|\[[0-9a-fA-F:.]+\]", bare):
        bare = f"{bare}:{_ETCD_PORT}"
    try:
        address = parse_address(bare)
    except PydanticCustomError:
        address = UnixAddress(Path(bare))
    if not isinstance(address, TcpAddress) or "@" in bare or "/" in bare:
        raise refuse(
            Reason.INVALID_VALUE,
            f"{text!r} is not an etcd endpoint: write HOST:PORT; who we are to it stands in store-user and "
            "store-password-file, or in store-cert and store-key",
        )
    return address


def parse_limiter(value: object) -> TcpAddress:
    """``HOST:PORT`` of a service that speaks Envoy's rate limit protocol."""
    address = parse_address(value)
    if not isinstance(address, TcpAddress) or not address.port:
        raise refuse(
            Reason.INVALID_VALUE, f"{value!r} is not an address that proxies can ask: write HOST:PORT"
        )
    if not address.is_loopback:
        raise refuse(
            Reason.NOT_SUPPORTED,
            f"proxies would speak plaintext to {address} beyond their machine, and TLS to it is not supported yet; "
            f"set 127.0.0.1:{address.port}, and reach it from elsewhere through a tunnel",
        )
    return address


def parse_resolver(value: object) -> str:
    """``IP`` or ``IP:PORT`` (``[IPv6]:PORT``) of a DNS server, as ``IP:PORT``."""
    text = _text(value)
    host, colon, port = text.rpartition(":") if re.search(r"^\[.*\]:|^[^:]*:[^:]*$", text) else (text, "", "")
    port = port if colon else str(_DNS_PORT)
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        address = None
    if address is None or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise refuse(
            Reason.INVALID_VALUE, f"{value!r} is not the address of a DNS server: write IP or IP:PORT"
        )
    return f"[{address}]:{int(port)}" if address.version == 6 else f"{address}:{int(port)}"


def parse_virtual(value: object) -> IPv4Network:
    """An IPv4 range for addresses that the mesh gives, ``240.0.0.0/5``: wide, so that hosts hardly meet in it."""
    if isinstance(value, IPv4Network):
        return value
    text = _text(value)
    try:
        network = IPv4Network(text)
    except ValueError:
        raise refuse(Reason.INVALID_VALUE, f"{value!r} is not an IPv4 range: write {IPV4_RANGE}") from None
    if network.prefixlen > _NARROWEST:
        message = f"{value!r} is too narrow, hosts would meet in it: write /{_NARROWEST} or wider"
        raise refuse(Reason.OUT_OF_RANGE, message)
    return network


def parse_network(value: object) -> IPv4Network | IPv6Network:
    """A network, ``10.0.0.0/8``, or one address."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = _text(value)
    try:
        return ip_network(text)
    except ValueError:
        message = f"{value!r} is not a network such as 10.0.0.0/8"
        raise refuse(Reason.INVALID_VALUE, message) from None


def parse_redis(value: object) -> "RedisLocation":
    """``redis://HOST:PORT/DATABASE``, ``rediss://…`` (TLS) or ``unix:///PATH?db=DATABASE``."""
    if isinstance(value, RedisLocation):
        return value
    text = _text(value)
    match = re.fullmatch(r"(redis|rediss)://([^/?#@]+)(?:/([0-9]{1,4})?)?", text)
    if match is not None:
        where = match[2] if re.search(r":[0-9]+$", match[2]) else f"{match[2]}:{_REDIS_PORT}"
        address = parse_address(where)
        if isinstance(address, TcpAddress):
            tls = match[1] == "rediss"
            if not tls and not address.is_loopback:
                raise refuse(
                    Reason.NOT_SUPPORTED,
                    f"{text!r} would speak plaintext beyond this machine; write rediss://{address}",
                )
            return RedisLocation(address, database=int(match[3] or 0), tls=tls)
    socket = re.fullmatch(r"unix://(/[^?#]+)(?:\?db=([0-9]{1,4}))?", text)
    if socket is not None:
        return RedisLocation(path=socket[1], database=int(socket[2] or 0))
    raise refuse(
        Reason.INVALID_VALUE,
        "is not a Redis: write redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH; "
        "a password stands in rate-limit-redis-password-file",
    )


def split_list(value: object) -> object:
    """Text of several values with commas between them, as a list; what is a list already stays."""
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


def parse_duration(value: object) -> timedelta:
    """``10ms``, ``1.5s``, ``2m``, ``1h30m``, ``30d``."""
    if isinstance(value, timedelta):
        return value
    if value == "0":
        return timedelta()
    parts = re.fullmatch(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+", value) if isinstance(value, str) else None
    if parts is None:
        bare = str(value) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(value)) else ""
        how = f"write {bare}s for seconds" if bare else "write it as 10ms, 1.5s, 2m, 1h30m or 30d"
        raise refuse(Reason.INVALID_VALUE, f"{value!r} is not a duration: {how}")
    found = re.findall(r"([0-9.]+)(ms|s|m|h|d)", parts[0])
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in found))
    except OverflowError:
        raise refuse(Reason.OUT_OF_RANGE, f"{value!r} is longer than anybody can wait") from None


def format_duration(value: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back: ``10ms``, ``1.5s``, ``2m``."""
    microseconds = value // timedelta(microseconds=1)
    for unit, size in (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)):
        if microseconds % size == 0:
            return f"{microseconds // size}{unit}" if microseconds else "0s"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.3f}".rstrip("0").rstrip(".") + "ms"
    return f"{microseconds / 1_000_000:.6f}".rstrip("0") + "s"


def parse_size(value: object) -> int:
    """Bytes: ``512``, ``512KiB``, ``64MiB``, ``1GiB``."""
    match = re.fullmatch(r"([0-9]+)(|KiB|MiB|GiB)", str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise refuse(Reason.INVALID_VALUE, f"{value!r} is not a size: write bytes, or 512KiB, 64MiB, 1GiB")
    return int(match[1]) * _SIZES[match[2]]


def parse_path(value: object) -> Path:
    """A path; ``~`` is a home."""
    return _expanded(_text(value))


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        raise refuse(
            Reason.INVALID_VALUE, f"{user} is the home of nobody here; write the whole path, or ./{text}"
        ) from None


def parse_tcp(value: object) -> TcpAddress | None:
    """A TCP address; None stays."""
    if value is None:
        return None
    address = parse_address(value)
    if not isinstance(address, TcpAddress):
        raise refuse(Reason.INVALID_VALUE, f"{address} is a socket of this machine; write HOST:PORT")
    return address


def parse_foreign_prefix(value: object) -> str:
    """A prefix of keys that are not ours."""
    text = _text(value)
    if "," in text:
        raise refuse(Reason.INVALID_VALUE, f"{text!r} are several prefixes; name each by a flag of its own")
    if text.startswith("/xdsd/") or "/xdsd/".startswith(text):
        raise refuse(Reason.INVALID_VALUE, f"{text!r} holds keys of xdsd itself; name a prefix beside /xdsd/")
    return text


def parse_name(value: object) -> str:
    """A name of letters, digits, dots, dashes and underlines."""
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,61}[A-Za-z0-9])?", text):
        raise refuse(
            Reason.INVALID_VALUE,
            f"{text!r} is not a name: write at most 63 letters, digits, dashes, dots or underlines",
        )
    return text


def parse_choice(value: object) -> object:
    """One of several words."""
    return value.strip() if isinstance(value, str) else value
