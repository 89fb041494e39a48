"""How a TLS client begins, for tests in which only the server's name matters."""

import contextlib
import ssl


def client_hello(server_name: str | None) -> bytes:
    """The first bytes of a TLS client that asks for a server by name, or for nobody in particular."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    if server_name is None:
        context.check_hostname = False
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
