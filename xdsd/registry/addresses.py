"""What kind of address an endpoint has. Asked for every endpoint of every change, so it is fast."""

import re
import socket

from xdsd.model.intent.hosts import LONGEST_SOCKET

UNIX_SCHEME = "unix://"
_LABEL = re.compile(r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?")


def is_ip(address: str) -> bool:
    """True for an IPv4 or IPv6 address in the form that Envoy reads."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.inet_pton(family, address)
    except (OSError, ValueError):
        return False
    return True


def is_unix(address: str) -> bool:
    """True for ``unix:///path`` and for ``unix://@name`` of the abstract namespace, as long as the kernel takes it."""
    if not address.startswith((f"{UNIX_SCHEME}/", f"{UNIX_SCHEME}@")):
        return False
    path = address.removeprefix(UNIX_SCHEME).encode(errors="surrogatepass")
    return 1 < len(path) <= LONGEST_SOCKET and b"\0" not in path


def is_host(address: str) -> bool:
    """True for a name that DNS can look up; what ends in a number is a mistaken address."""
    labels = address.removesuffix(".").split(".")
    return (
        len(address) <= 253 and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    )
