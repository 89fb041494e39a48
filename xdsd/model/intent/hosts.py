"""Host names, addresses and the names of namespaces and gateways, as the published API admits them."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from xdsd.model.intent.base import Str, invalid, shown

_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_FIRST = re.compile(r"\*|(?:\*-?)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")


def is_label(text: str) -> bool:
    """True for a DNS label: letters, digits and inner hyphens, 63 at most."""
    return _LABEL.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def name_fault(host: str, *, wildcard: bool = True) -> str | None:
    """Says why ``host`` is no host name, to follow its text, or None; a wildcard may be its first label."""
    if not host:
        return "is empty"
    if len(host) > 255:
        return "is longer than 255 characters"
    first, *rest = host.split(".")
    if rest and rest[-1] == "":
        rest.pop()
    if "*" in host and not wildcard:
        return "may not hold a wildcard"
    if not _FIRST.fullmatch(first) or len(first) > 63:
        return _label_fault(first)
    for label in rest:
        if not is_label(label):
            return _label_fault(label)
    last = rest[-1] if rest else None
    return f"is no host name: its last part, {last}, is a number" if last and last.isdecimal() else None


def _label_fault(label: str) -> str:
    if "*" in label:
        return "is no host name: a wildcard may only begin it, as in *.example.com"
    if not label.isascii() and (spelled := _ascii(label)):
        return f"is no host name: write {shown(label)} in letters of ASCII, as {spelled}"
    return f"is no host name: {shown(label)} is not made of letters, digits and inner hyphens (63 at most)"


def _ascii(label: str) -> str:
    """The label as it is looked up (RFC 3490), or nothing if it cannot be."""
    try:
        spelled = label.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return spelled if is_label(spelled) else ""


def _host(host: str) -> str:
    fault = name_fault(host)
    if fault and not is_address(host):
        raise invalid(f"{shown(host)} {fault}")
    return host


def _rule_host(host: str) -> str:
    fault = name_fault(host)
    if fault:
        raise invalid(f"{shown(host)} {fault}")
    return host


def _no_bare_wildcard(host: str) -> str:
    if host == "*":
        raise invalid("'*' is too wide; name a host, or a domain such as *.example.com")
    return _rule_host(host)


def _export(name: str) -> str:
    if name == "~":
        raise invalid("'~' (no one) is for ServiceEntry only; write . or a namespace")
    return _service_export(name)


def _service_export(name: str) -> str:
    if name not in (".", "*", "~") and not is_label(name):
        raise invalid(
            f"{shown(name)} is no namespace; write a namespace's name, . for this one, or * for all"
        )
    return name


def _label_named(what: str, text: str) -> str:
    if not is_label(text):
        raise invalid(f"{shown(text)} is no {what}: write letters, digits and inner hyphens, 63 at most")
    return text


def _namespace(name: str) -> str:
    return _label_named("namespace", name)


def _object_name(name: str) -> str:
    return _label_named("object name", name)


def _subset(name: str) -> str:
    return _label_named("subset name", name)


def _port_name(name: str) -> str:
    return _label_named("port name", name)


def _sni(host: str) -> str:
    if host.startswith("*") and host != "*" and not host.startswith("*."):
        raise invalid(
            f"{shown(host)} is a partial wildcard, which no server name is compared with; write *.DOMAIN"
        )
    return _host(host)


def _gateway(name: str) -> str:
    namespace, slash, rest = name.partition("/")
    if not slash:
        fault = name_fault(name, wildcard=False)
        if fault:
            raise invalid(f"{shown(name)} {fault}; a gateway is NAME, NAMESPACE/NAME or mesh")
        return name
    if not is_label(namespace) or not is_label(rest):
        raise invalid(f"{shown(name)} is no gateway; write NAME, NAMESPACE/NAME or mesh")
    return name


def _scoped_fault(host: str, *, addresses: bool) -> str | None:
    if host != "*" and "." not in host and not (addresses and is_address(host)):
        return "is a short name; write the full host name"
    if "*" in host and host != "*" and not host.startswith("*."):
        return "is a partial wildcard; write *.DOMAIN"
    fault = name_fault(host)
    return None if fault and addresses and is_address(host) else fault


def _server_host(text: str) -> str:
    namespace, slash, host = text.partition("/")
    if not slash:
        namespace, host = "*", text
    if namespace not in ("*", ".") and not is_label(namespace):
        raise invalid(
            f"{shown(text)}: {shown(namespace)} is no namespace; write NAMESPACE/HOST, ./HOST or */HOST"
        )
    fault = _scoped_fault(host, addresses=True)
    if fault:
        raise invalid(f"{shown(host)} {fault}")
    return text


def _egress_host(text: str) -> str:
    namespace, slash, host = text.partition("/")
    if not slash:
        raise invalid(f"{shown(text)} names no namespace; write NAMESPACE/HOST, ./HOST or */HOST")
    plain = namespace.removeprefix("~")
    if namespace == "" or (plain not in ("", "*", ".") and not is_label(plain)):
        raise invalid(
            f"{shown(namespace)} is no namespace; write its name, . for this one, * for all, ~ for none"
        )
    fault = _scoped_fault(host, addresses=False)
    if fault:
        raise invalid(f"{shown(host)} {fault}")
    return text


def _address(text: str) -> str:
    if not is_address(text):
        raise invalid(f"{shown(text)} is no IP address")
    return text


LONGEST_SOCKET = 107
"""Bytes of the path of a Unix socket on Linux, with the sign of an abstract one."""


def unix_fault(text: str) -> str | None:
    """Says why ``unix://…`` is no socket, to follow its text, or None."""
    path = text.removeprefix("unix://")
    if not path.startswith(("/", "@")):
        return "is no absolute path nor abstract socket; write unix:///path or unix://@name"
    if "\0" in path or len(path.encode()) > LONGEST_SOCKET:
        return f"is no path that a socket can have: {LONGEST_SOCKET} bytes at most, and none that is zero"
    return "is a folder; name a socket" if path.endswith("/") else None


def _bind(text: str) -> str:
    if not text.startswith("unix://"):
        return _address(text)
    fault = unix_fault(text)
    if fault:
        raise invalid(f"{shown(text)} {fault}")
    return text


def _endpoint_address(text: str) -> str:
    if text.startswith("unix://"):
        return _bind(text)
    if not is_address(text) and name_fault(text, wildcard=False):
        raise invalid(f"{shown(text)} is no IP address, host name or unix:///path")
    return text


def subnet_fault(text: str) -> str | None:
    """Says why ``text`` is neither an address nor a range, to follow its text, or None."""
    address, slash, bits = text.partition("/")
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is no IP address or CIDR range"
    if "%" in address or (slash and not bits.isdecimal()):
        return "is no IP address or CIDR range"
    return None


def _subnet(text: str) -> str:
    fault = subnet_fault(text)
    if fault:
        raise invalid(f"{shown(text)} {fault}")
    return text


Host = Annotated[Str, AfterValidator(_host)]
SniHost = Annotated[Str, AfterValidator(_sni)]
RuleHost = Annotated[Str, AfterValidator(_rule_host)]
DestinationHost = Annotated[Str, AfterValidator(_no_bare_wildcard)]
ServiceHost = Annotated[Str, AfterValidator(_no_bare_wildcard)]
ServerHost = Annotated[Str, AfterValidator(_server_host)]
EgressHost = Annotated[Str, AfterValidator(_egress_host)]
Address = Annotated[Str, AfterValidator(_address)]
BindAddress = Annotated[Str, AfterValidator(_bind)]
EndpointAddress = Annotated[Str, AfterValidator(_endpoint_address)]
Subnet = Annotated[Str, Field(max_length=64), AfterValidator(_subnet)]
NamespaceName = Annotated[Str, AfterValidator(_namespace)]
ObjectName = Annotated[Str, AfterValidator(_object_name)]
SubsetName = Annotated[Str, AfterValidator(_subset)]
PortName = Annotated[Str, AfterValidator(_port_name)]
EndpointPortName = Annotated[Str, AfterValidator(_port_name)]
ExportTo = Annotated[Str, AfterValidator(_export)]
ServiceExportTo = Annotated[Str, AfterValidator(_service_export)]
GatewayName = Annotated[Str, AfterValidator(_gateway)]
