"""Registries as settings name them: ``KIND:LOCATION``, with options as ``?NAME=VALUE&…`` or, in a file, as a mapping."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from xdsd.model.catalog import Protocol
from xdsd.model.problem import Reason
from xdsd.registry.consul import Consistency, ConsulOptions, Hosts, Warned, source_name
from xdsd.registry.kubernetes import Cluster
from xdsd.setting_values import (
    TcpAddress,
    format_duration,
    parse_address,
    parse_choice,
    parse_duration,
    parse_path,
    refuse,
    split_list,
)

_CONSUL_PORT = 8500
_CONSUL_TLS_PORT = 8501
_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_GIVEN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/(\*|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$"
Form = TypeVar("Form", bound=BaseModel)
_NAME = r"^[A-Za-z0-9_][-A-Za-z0-9_]*$"


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """A platform to watch, as ``kind:location`` says it, and how."""

    kind: str
    location: str
    options: ConsulOptions | Cluster | None = None

    @property
    def name(self) -> str:
        """By what its source is known: what else it is told makes no other one of it."""
        if isinstance(self.options, ConsulOptions):
            return source_name(self.location, self.options)
        return str(self.options or self)

    def __str__(self) -> str:
        """The same as one text, which reads back to the same."""
        query = urlencode(_written(self.options), safe="/:,=") if self.options else ""
        where = f"{self.kind}:{self.location}" if self.location else self.kind
        return where + (f"?{query}" if query else "")


def _protocol(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


_File = Annotated[Path | None, BeforeValidator(parse_path)]
_Choice = BeforeValidator(parse_choice)
_Spoken = Annotated[Protocol | None, BeforeValidator(_protocol), BeforeValidator(parse_choice)]
_Names = Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], ...], BeforeValidator(split_list)]


class _Consul(BaseModel):
    """The options as users write them, with dashes."""

    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    token_file: _File = None
    ca: _File = None
    cert: _File = None
    key: _File = None
    datacenter: str = Field("", pattern=_NAME)
    namespace: str = Field("", pattern=_NAME)
    consistency: Annotated[Consistency, _Choice] = Consistency.DEFAULT
    warning: Annotated[Warned, _Choice] = Warned.HEALTHY
    tag_separators: str = ConsulOptions().tag_separators
    address: _Names = Field(ConsulOptions().address, min_length=1)
    hosts: Annotated[Hosts, _Choice] = Hosts.CONSUL
    mesh_namespace: str = Field(ConsulOptions().mesh_namespace, pattern=_LABEL)
    network: str = Field("", min_length=1)
    port: int = Field(0, ge=1, le=65535)
    protocol: _Spoken = None
    connections: int = Field(ConsulOptions().connections, ge=8, le=1_000_000)
    hold: Annotated[timedelta, BeforeValidator(parse_duration)] = timedelta(seconds=ConsulOptions().hold)


class _Kubernetes(BaseModel):
    """The same of a cluster."""

    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    context: str = Field("", min_length=1)
    name: str = Field("", pattern=_NAME)
    network: str = Field("", min_length=1)
    namespaces: Annotated[tuple[Annotated[str, Field(pattern=_LABEL)], ...], BeforeValidator(split_list)] = (
        Field((), min_length=1)
    )
    ingress: Annotated[tuple[Annotated[str, Field(pattern=_LABEL)], ...], BeforeValidator(split_list)] = (
        Field((), min_length=1)
    )
    ingress_address: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9:.-]+$")], ...], BeforeValidator(split_list)
    ] = Field((), min_length=1)
    secrets: Annotated[tuple[Annotated[str, Field(pattern=_GIVEN)], ...], BeforeValidator(split_list)] = (
        Field((), min_length=1)
    )
    intent: Annotated[tuple[Annotated[str, Field(pattern=_LABEL)], ...], BeforeValidator(split_list)] = Field(
        (), min_length=1
    )
    hold: Annotated[timedelta, BeforeValidator(parse_duration)] = timedelta(seconds=Cluster().hold)


_FORMS = "machines:PATH, consul:URL or kubernetes[:KUBECONFIG]"


def parse_registry(value: object) -> RegistrySource:
    """``machines:PATH``, ``consul:URL``, ``kubernetes[:KUBECONFIG]``, or ``{consul: {url: URL, …}}`` and
    ``{kubernetes: {kubeconfig: PATH, …}}``.
    """
    if isinstance(value, RegistrySource):
        return value
    if isinstance(value, Mapping):
        return _mapped(value)
    if not isinstance(value, str) or not value:
        raise refuse(Reason.WRONG_TYPE, f"{value!r} is not a registry; write {_FORMS}")
    where, _, query = value.partition("?")
    kind, colon, location = where.partition(":")
    if kind == "kubernetes" and bool(colon) == bool(location):
        return _kubernetes(location, _queried(query))
    if kind == "consul" and location:
        return _consul(location, _queried(query))
    if kind != "machines" or not location:
        raise refuse(Reason.INVALID_VALUE, f"{value!r} is not a registry; write {_FORMS}")
    return RegistrySource(kind, str(parse_path(value.partition(":")[2])))


def _mapped(value: Mapping[object, object]) -> RegistrySource:
    """``{consul: {url: URL, token-file: PATH}}``, ``{kubernetes: {kubeconfig: PATH, name: NAME}}``."""
    kind, body = next(iter(value.items()), ("", None))
    if len(value) != 1 or kind not in {"consul", "kubernetes"} or not isinstance(body, Mapping):
        message = "write consul: {url: URL, …} or kubernetes: {kubeconfig: PATH, …}"
        raise refuse(Reason.INVALID_VALUE, f"{dict(value)!r} is not a registry; {message}")
    options = {str(name): given for name, given in body.items()}
    if kind == "kubernetes":
        return _kubernetes(options.pop("kubeconfig", ""), options)
    url = options.pop("url", None)
    if not isinstance(url, str):
        raise refuse(Reason.MISSING_FIELD, "consul: url is missing; write http://127.0.0.1:8500")
    return _consul(url, options)


def _kubernetes(location: object, given: Mapping[str, object]) -> RegistrySource:
    path = parse_path(location) if location else None
    found = _checked("kubernetes", _Kubernetes, given)
    if found.context and path is None:
        raise refuse(
            Reason.CONFLICT, "kubernetes: a context is one of a kubeconfig; write kubernetes:KUBECONFIG"
        )
    if found.ingress_address and not _chosen("ingress", found.ingress):
        raise refuse(
            Reason.CONFLICT, "kubernetes: ingress-address is for Ingresses; set ingress, or leave this out"
        )
    options = Cluster(
        path,
        found.context,
        found.name,
        found.network,
        found.namespaces,
        _chosen("intent", found.intent),
        found.secrets,
        _chosen("ingress", found.ingress),
        found.ingress_address,
        found.hold.total_seconds(),
    )
    return RegistrySource("kubernetes", str(path or ""), options)


def _chosen(option: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """The namespaces that an option names: none where it is not said."""
    alone = next((word for word in ("all", "none") if word in given), None)
    if alone and len(given) > 1:
        message = f"kubernetes: {option}: {alone} stands alone; write all, none or names of namespaces"
        raise refuse(Reason.CONFLICT, message)
    return () if alone == "none" else given


def _queried(query: str) -> dict[str, object]:
    pairs = parse_qsl(query, keep_blank_values=True)
    given: dict[str, object] = dict(pairs)
    if len(given) != len(pairs):
        raise refuse(Reason.CONFLICT, f"?{query} says an option twice; keep one of the two")
    return given


def _consul(text: str, given: Mapping[str, object]) -> RegistrySource:
    url = _url(text)
    found = _checked("consul", _Consul, given)
    options = ConsulOptions(**{name: getattr(found, name) for name in _Consul.model_fields if name != "hold"})
    options = _with_hold(options, found.hold)
    plain = url.startswith(("http://", "unix://"))
    if plain and (options.ca or options.cert or options.key):
        raise refuse(
            Reason.CONFLICT, "consul: ca, cert and key are for TLS; write https://, or leave them out"
        )
    if options.hosts is Hosts.DATACENTER and not options.datacenter:
        raise refuse(Reason.CONFLICT, "consul: hosts=datacenter needs a datacenter beside it")
    for present, absent in (("cert", "key"), ("key", "cert")):
        if getattr(options, present) and not getattr(options, absent):
            raise refuse(Reason.CONFLICT, f"consul: {present} needs {absent} beside it")
    return RegistrySource("consul", url, options)


def _with_hold(options: ConsulOptions, hold: timedelta) -> ConsulOptions:
    values = {each.name: getattr(options, each.name) for each in fields(options)}
    return ConsulOptions(**{**values, "hold": hold.total_seconds()})


def _url(text: str) -> str:
    """``http://HOST:PORT`` on loopback, ``https://HOST:PORT`` anywhere, or ``unix:///PATH``."""
    scheme, _, rest = text.partition("://")
    where = rest.removesuffix("/")
    if "@" in text and scheme != "unix":
        # Whatever stands before it may be a secret, and this goes to the journal.
        message = f"a Consul at {text.rpartition('@')[2]!r} takes no user and password in its address: leave them out"
        raise refuse(Reason.NOT_SUPPORTED, f"{message}; a token stands in token-file")
    if scheme == "unix" and where.startswith("/"):
        return f"unix://{where}"
    port = {"http": _CONSUL_PORT, "https": _CONSUL_TLS_PORT}.get(scheme)
    address = None
    if port is not None and where and "/" not in where:
        try:
            address = parse_address(where if where.rpartition(":")[2].isdigit() else f"{where}:{port}")
        except PydanticCustomError:
            address = None
    if not isinstance(address, TcpAddress):
        raise refuse(
            Reason.INVALID_VALUE,
            f"{text!r} is not the address of a Consul: write http://127.0.0.1:8500, https://HOST:PORT or unix:///PATH; "
            "a token stands in token-file",
        )
    if scheme == "http" and not address.is_loopback:
        raise refuse(
            Reason.NOT_SUPPORTED,
            f"{text!r} would be believed, and show the token, in plaintext beyond this machine; write https://{address}, "
            "or ask an agent on this machine",
        )
    return f"{scheme}://{address}"


def _checked(kind: str, form: type[Form], given: Mapping[str, object]) -> Form:
    try:
        return form.model_validate(given)
    except ValidationError as error:
        raise refuse(_reason(error), "; ".join(_sentences(kind, form, error))) from None


def _reason(error: ValidationError) -> Reason:
    kinds = {detail["type"] for detail in error.errors(include_url=False)}
    if "extra_forbidden" in kinds:
        return Reason.UNKNOWN_FIELD
    try:
        return Reason(next(iter(kinds)))
    except ValueError:
        return Reason.INVALID_VALUE


def _sentences(kind: str, form: type[BaseModel], error: ValidationError) -> list[str]:
    known = [name.replace("_", "-") for name in form.model_fields]
    found = []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0])
        if detail["type"] == "extra_forbidden":
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            found.append(f"{kind}: {name} is not an option; {hint}")
        elif detail["type"] in Reason._value2member_map_:
            found.append(f"{kind}: {name}: {detail['msg']}")
        else:
            why = detail["msg"][0].lower() + detail["msg"][1:]
            found.append(f"{kind}: {name}: {detail['input']!r} is refused: {why}")
    return found


def _written(options: ConsulOptions | Cluster) -> dict[str, str]:
    """What differs from the defaults, as users write it."""
    default = type(options)()
    found = {}
    for each in fields(options):
        if each.name == "kubeconfig":
            continue  # It is the location.
        value = getattr(options, each.name)
        if value == getattr(default, each.name):
            continue
        if each.name == "hold":
            text = format_duration(timedelta(seconds=value))
        elif isinstance(value, tuple):
            text = ",".join(value)
        else:
            text = value.value if isinstance(value, StrEnum) else str(value)
        found[each.name.replace("_", "-")] = text
    return found
