"""What the daemon can be told: every setting, how it is written, its default and its bounds.

What a later version brings is refused here by name, so that nobody believes to have what they have not.
"""

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from xdsd.model.problem import Reason

PREFIX = "XDSD_"
_LONGEST_SOCKET_PATH = 107
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


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


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """A platform to watch, as ``kind:location`` says it."""

    kind: str
    location: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.location}"


def _refuse(reason: Reason, message: str) -> PydanticCustomError:
    return PydanticCustomError(reason.value, "{message}", {"message": message})


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str):
        raise _refuse(Reason.WRONG_TYPE, f"{value!r} is not text")
    if not value:
        raise _refuse(Reason.INVALID_VALUE, "is empty; leave it out for its default")
    if "\0" in value:
        raise _refuse(Reason.INVALID_VALUE, f"{value!r} has a null character; take it out")
    return value


def parse_address(value: object) -> Address:
    """``HOST:PORT``, ``[V6]:PORT`` or ``unix:PATH``."""
    if isinstance(value, TcpAddress | UnixAddress):
        return value
    text = _text(value)
    if text.startswith("unix:"):
        path = "/" + text[5:].lstrip("/") if text.startswith("unix:/") else text[5:]
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            raise _refuse(
                Reason.TOO_LARGE,
                f"a socket's path has at most {_LONGEST_SOCKET_PATH} bytes; choose a shorter one than {path}",
            )
        return UnixAddress(Path(path))
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})", text)
    if match is None or int(match["port"]) > 65535:
        raise _refuse(
            Reason.INVALID_VALUE, f"{text!r} is not an address: write HOST:PORT, [V6]:PORT or unix:PATH"
        )
    return TcpAddress(match["v6"] or match["host"], int(match["port"]))


def _plaintext(value: object) -> Address:
    address = parse_address(value)
    if isinstance(address, TcpAddress) and not address.is_loopback:
        raise _refuse(
            Reason.NOT_SUPPORTED,
            f"{address} would speak plaintext beyond this machine; set 127.0.0.1:{address.port}, "
            f"[::1]:{address.port} or unix:PATH, and reach it from elsewhere through a tunnel",
        )
    return address


def _tls_address(value: object) -> None:
    if value is not None:
        raise _refuse(
            Reason.NOT_SUPPORTED, "the TLS port is not supported yet; leave it out and use xds-address"
        )


def _store(value: object) -> str:
    text = _text(value)
    if text.startswith("etcd://"):
        raise _refuse(Reason.NOT_SUPPORTED, "the etcd store is not supported yet; use embedded")
    if text != "embedded":
        raise _refuse(Reason.INVALID_VALUE, f"{text!r} is not a store; use embedded")
    return text


def _registry(value: object) -> RegistrySource:
    if isinstance(value, RegistrySource):
        return value
    text = _text(value)
    kind, _, location = text.partition(":")
    if kind in {"consul", "kubernetes"}:
        raise _refuse(Reason.NOT_SUPPORTED, f"the {kind} registry is not supported yet; use machines:PATH")
    if kind != "machines" or not location:
        raise _refuse(Reason.INVALID_VALUE, f"{text!r} is not a registry; write machines:PATH")
    return RegistrySource(kind, str(_path(location)))


def _registries(value: object) -> object:
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


def parse_duration(value: object) -> timedelta:
    """``10ms``, ``1.5s``, ``2m``, ``1h30m``."""
    if isinstance(value, timedelta):
        return value
    if value == "0":
        return timedelta()
    parts = re.fullmatch(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+", value) if isinstance(value, str) else None
    if parts is None:
        raise _refuse(
            Reason.INVALID_VALUE, f"{value!r} is not a duration: write it as 10ms, 1.5s, 2m or 1h30m"
        )
    found = re.findall(r"([0-9.]+)(ms|s|m|h)", parts[0])
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in found))
    except OverflowError:
        raise _refuse(Reason.OUT_OF_RANGE, f"{value!r} is longer than anybody can wait") from None


def format_duration(value: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back: ``10ms``, ``1.5s``, ``2m``."""
    microseconds = value // timedelta(microseconds=1)
    for unit, size in (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)):
        if microseconds % size == 0:
            return f"{microseconds // size}{unit}" if microseconds else "0s"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.3f}".rstrip("0").rstrip(".") + "ms"
    return f"{microseconds / 1_000_000:.6f}".rstrip("0") + "s"


def _size(value: object) -> int:
    match = re.fullmatch(r"([0-9]+)(|KiB|MiB|GiB)", str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise _refuse(Reason.INVALID_VALUE, f"{value!r} is not a size: write bytes, or 512KiB, 64MiB, 1GiB")
    return int(match[1]) * _SIZES[match[2]]


def _directory(value: object) -> Path:
    return _path(_text(value))


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        raise _refuse(
            Reason.INVALID_VALUE, f"{user} is the home of nobody here; write the whole path, or ./{text}"
        ) from None


def _choice(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


_Plaintext = Annotated[Address, BeforeValidator(_plaintext)]
_Registry = Annotated[RegistrySource, BeforeValidator(_registry)]
_Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
_Size = Annotated[int, BeforeValidator(_size)]
_DNS_LABELS = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


class Settings(BaseModel):
    """All settings, valid in themselves and together. The descriptions are the help of the flags."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    state_dir: Annotated[Path, BeforeValidator(_directory)] = Field(
        description="Folder that holds all state."
    )
    store: Annotated[str, BeforeValidator(_store)] = Field(
        "embedded", description="Where objects are kept: embedded (one file in the state dir)."
    )
    xds_address: _Plaintext = Field(
        TcpAddress("127.0.0.1", 15010), description="Plaintext xDS, on loopback or unix:PATH alone."
    )
    xds_tls_address: Annotated[None, BeforeValidator(_tls_address)] = Field(
        None, description="xDS over TLS (not supported yet)."
    )
    admin_address: _Plaintext = Field(description="The admin API; by default unix:STATE_DIR/admin.sock.")
    http_address: _Plaintext = Field(
        TcpAddress("127.0.0.1", 15014),
        description="Metrics and health over HTTP, on loopback or unix:PATH alone.",
    )
    registry: Annotated[tuple[_Registry, ...], BeforeValidator(_registries)] = Field(
        (), description="A source of services, machines:PATH; may be given several times."
    )
    settle_quiet: _Duration = Field(
        timedelta(milliseconds=10),
        ge=timedelta(),
        description="Publish once nothing has changed for this long…",
    )
    settle_max: _Duration = Field(
        timedelta(milliseconds=100),
        ge=timedelta(),
        description="…but at most this long after the first change.",
    )
    outbound_traffic_policy: Annotated[OutboundPolicy, BeforeValidator(_choice)] = Field(
        OutboundPolicy.ALLOW_ANY,
        description="Traffic to unknown destinations, where no Sidecar says otherwise.",
    )
    mesh_domain: str = Field(
        "cluster.local",
        pattern=_DNS_LABELS,
        description="reviews in namespace n is reviews.n.svc.MESH_DOMAIN.",
    )
    root_namespace: str = Field(
        "istio-system", pattern=_DNS_LABELS, description="Objects in this namespace hold for the whole mesh."
    )
    log_format: Annotated[LogFormat, BeforeValidator(_choice)] = Field(
        LogFormat.AUTO, description="How log lines look; auto is console on a terminal, else json."
    )
    log_level: Annotated[LogLevel, BeforeValidator(_choice)] = Field(
        LogLevel.INFO, description="The least severe log lines to write."
    )
    max_message_size: _Size = Field(
        64 << 20,
        ge=1 << 16,
        le=1 << 30,
        description="The largest request taken from a client, such as 64MiB.",
    )
    max_streams: int = Field(10_000, ge=1, description="xDS streams served at once; more are turned away.")
    max_subscriptions: int = Field(
        100_000, ge=1, description="Resource names that one xDS stream may ask for; it is ended beyond them."
    )
    ack_wait: _Duration = Field(
        timedelta(seconds=20),
        ge=timedelta(),
        description="How long a removal waits for a proxy to accept what precedes it.",
    )
    drain_time: _Duration = Field(
        timedelta(seconds=5),
        ge=timedelta(),
        description="How long streams have to end when the daemon stops.",
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's names, and what its flag needs to know."""

    field: str
    help: str
    repeatable: bool
    choices: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.field.replace("_", "-")

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        return PREFIX + self.field.upper()


def settings() -> tuple[Setting, ...]:
    """Every setting, in the order of ``Settings``: the daemon's flags are made from it."""
    return tuple(
        Setting(
            field=name,
            help=info.description or "",
            repeatable=name == "registry",
            choices=tuple(info.annotation) if isinstance(info.annotation, type(StrEnum)) else (),
        )
        for name, info in Settings.model_fields.items()
    )
