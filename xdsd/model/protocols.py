"""Which protocol a port speaks, by what is declared of it: the published rules."""

from xdsd.model.catalog import Protocol

SERVER_FIRST = frozenset({25, 53, 3306, 27017})
"""Ports of SMTP, DNS, MySQL and MongoDB: undeclared ones are opaque, since detection waits for a client that waits too."""

_APPLICATION = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}


def protocol_of(number: int, name: str = "", application: str = "") -> Protocol:
    """The protocol of a port by its application protocol if that is given, else by its name (``PROTOCOL[-SUFFIX]``).

    AUTO, which is found out for each connection, if neither names one.
    """
    said = application or name
    known = _APPLICATION.get(said) or _named(said)
    if known is not None:
        return known
    return Protocol.TCP if number in SERVER_FIRST else Protocol.AUTO


def _named(text: str) -> Protocol | None:
    upper = text.upper()
    if upper.startswith(Protocol.GRPC_WEB):
        return Protocol.GRPC_WEB
    word = upper.partition("-")[0]
    return next((each for each in Protocol if each == word and each is not Protocol.AUTO), None)
