"""Filter chains whose TLS needs a file that a proxy's machine does not have, or that holds something else.

Envoy refuses the whole listener for one, so the chain is closed, and all others serve. It stays in its place, without
filters: whatever asks for its server name is turned away, rather than led to a chain of wider names.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.transport_sockets.quic.v3.quic_transport_pb2 import QuicDownstreamTransport
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from xdsd.model.machine import names_file

_MISFIT = "_MISMATCH"

CLOSED = ":closed"
"""How the names of filter chains end that let nobody in."""


class LostFile(NamedTuple):
    """A file that cannot be used, and the TLS (by its hash) that needs it: once that is another, it is tried again."""

    file: str
    tls: str


def lost_files(listener: bytes, words: str) -> Iterator[LostFile]:
    """The files of a listener's TLS that a proxy's words are about.

    A file that cannot be read is lost to all that need it. A key that does not fit may fit another certificate: Envoy takes
    chains in their order, so it is the first one's that does not.
    """
    for chain in Listener.FromString(listener).filter_chains:
        files = [file for file in files_of(chain.transport_socket) if names_file(words, file)]
        if files:
            tls = fingerprint(chain.transport_socket)
            yield from (LostFile(file, tls) for file in files)
            if _MISFIT in words:
                return


def close_chains(listener: Any, lost: Iterable[LostFile]) -> bool:
    """Closes the chains that need such files; False if that leaves none that lets anybody in."""
    hashes = {each.tls for each in lost}
    needing = [each for each in listener.filter_chains if fingerprint(each.transport_socket) in hashes]
    for chain in needing:
        chain.ClearField("filters")
        chain.ClearField("transport_socket")
        chain.name += CLOSED
    if not needing:
        return True
    if listener.HasField("udp_listener_config"):
        # QUIC has no chains without TLS.
        open_chains = [each for each in listener.filter_chains if each.filters]
        del listener.filter_chains[:]
        listener.filter_chains.extend(open_chains)
    return listener.HasField("default_filter_chain") or any(each.filters for each in listener.filter_chains)


def fingerprint(socket: TransportSocket) -> str:
    """The hash of a transport socket."""
    return blake2b(socket.SerializeToString(deterministic=True), digest_size=6).hexdigest()


def files_of(socket: TransportSocket) -> tuple[str, ...]:
    """The files that a transport socket of a server needs, each once."""
    context = _context(socket)
    if context is None:
        return ()
    common: Any = context.common_tls_context
    found: dict[str, None] = {}
    for own in common.tls_certificates:
        found[own.certificate_chain.filename] = None
        found[own.private_key.filename] = None
    for validation in (
        common.validation_context,
        common.combined_validation_context.default_validation_context,
    ):
        found[validation.trusted_ca.filename] = None
        found[validation.crl.filename] = None
    found.pop("", None)
    return tuple(found)


def _context(socket: TransportSocket) -> DownstreamTlsContext | None:
    config = socket.typed_config
    if config.Is(QuicDownstreamTransport.DESCRIPTOR):
        return QuicDownstreamTransport.FromString(config.value).downstream_tls_context
    if config.Is(DownstreamTlsContext.DESCRIPTOR):
        return DownstreamTlsContext.FromString(config.value)
    return None
