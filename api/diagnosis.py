"""What to tell a person whom no daemon answers, told from gRPC's words for what went wrong."""

from api.credentials import Tls
from xdsd.setting_values import Address, TcpAddress, UnixAddress

_START = "Start one with `xdsd serve`, or say where it listens with --endpoint or XDSCTL_ENDPOINT."
_CERTIFICATE = {
    "certificate has expired": "has expired; renew the files of its admin-tls-cert and admin-tls-key",
    "not yet valid": "is not valid yet; compare the clocks of both machines",
    "CERTIFICATE_VERIFY_FAILED": "was not made by {by}; give the file of the CA that made it with --ca or XDSCTL_CA",
    "Hostname Verification": "is not for {name}; say a name that it has with --server-name, or make one for {name}",
}
"""By what gRPC says of a certificate; the first that fits."""


_STOPPED = "Cancelling all calls"
_ENDED = ("Socket closed", "Connection reset", "Broken pipe")
_BROKEN = (*_ENDED, _STOPPED, "Stream removed", "GOAWAY", "Endpoint closed", "End of file")


def broken(details: str) -> bool:
    """True where a connection was made, and ended while a call was under way."""
    return "failed to connect" not in details and any(word in details for word in _BROKEN)


def stopped(details: str) -> bool:
    """True where the daemon ended the call because it stops."""
    return _STOPPED in details


def unreachable(endpoint: Address, details: str, tls: Tls | None = None) -> str:
    """One sentence about what is wrong, and what to do."""
    if isinstance(endpoint, UnixAddress):
        why = details if endpoint.path.exists() else "there is no such socket"
        if endpoint.path.exists() and _hung_up(details):
            why = (
                "it hung up, as it does on users of this machine whom it does not know, or who are disabled; an admin can "
                "let you in: xdsctl user add NAME --uid UID"
            )
        return f"no daemon answers at {endpoint}: {why}\n{_START}"
    told = _handshake(endpoint, details, tls) if tls else _plaintext(endpoint, details)
    return told or f"no daemon answers at {endpoint}: {details}\n{_START}"


def _handshake(endpoint: TcpAddress, details: str, tls: Tls) -> str:
    """What went wrong between two that should speak TLS; empty for anything else."""
    name = tls.server_name or endpoint.host
    by = "the CA of --ca" if tls.ca else "a CA that this machine trusts"
    for word, sentence in _CERTIFICATE.items():
        if word in details:
            return f"the certificate of the daemon at {endpoint} {sentence.format(name=name, by=by)}"
    if "WRONG_VERSION_NUMBER" in details:
        return (
            f"what listens at {endpoint} speaks no TLS; set admin-tls-cert and admin-tls-key of the daemon, "
            "or on its own machine leave --ca, --cert and --server-name out"
        )
    if not _hung_up(details):
        return ""
    if tls.cert:
        why = (
            "it does not take the certificate of --cert, which may have expired, or be of another CA than its "
            "admin-client-ca"
        )
    else:
        why = "it may want a client certificate; give yours with --cert and --key"
    return f"the daemon at {endpoint} hung up: {why}"


def _plaintext(endpoint: TcpAddress, details: str) -> str:
    if not _hung_up(details):
        return ""
    return (
        f"the daemon at {endpoint} hung up: it may speak TLS; give the file of the CA that made its certificate "
        "with --ca or XDSCTL_CA"
    )


def _hung_up(details: str) -> bool:
    """True where a connection was made and ended before the first call."""
    return any(word in details for word in _ENDED) and "failed to connect" in details
