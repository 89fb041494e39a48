"""How ``xdsctl bootstrap`` is told of the daemon's TLS ports, and what fits together of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from api.daemon_tls import XdsTls
from xdsd.model.identity import InvalidIdentity, SpiffeID
from xdsd.setting_values import Address, TcpAddress

SERVER_ACCOUNT = "xdsd"
PLAIN, WITH_TOKEN, WITH_CERTIFICATE = (TcpAddress("127.0.0.1", port) for port in (15010, 15012, 15013))


def tls_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options."""
    for option in reversed(
        (
            click.option(
                "--certificates",
                type=click.Path(path_type=Path, file_okay=False),
                help="The folder of the proxy's certificate (xdsctl cert issue), by which it proves who it is over TLS.",
            ),
            click.option(
                "--root",
                type=click.Path(path_type=Path, dir_okay=False),
                help="The mesh's roots (xdsctl ca bundle), for TLS with a join token.",
            ),
            click.option(
                "--join-token-file",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Where the proxy finds its join token (xdsctl token create --out); it is not read now.",
            ),
            click.option(
                "--trust-domain",
                default="cluster.local",
                show_default=True,
                help="The daemon's setting, by which a proxy knows it over TLS.",
            ),
        )
    ):
        command = option(command)
    return command


def xds_tls(
    certificates: Path | None, root: Path | None, token: Path | None, trust_domain: str, root_namespace: str
) -> XdsTls | None:
    """None for plaintext."""
    if certificates is not None and (root is not None or token is not None):
        raise click.UsageError(
            "--certificates holds all that TLS needs; leave out --root and --join-token-file, or --certificates"
        )
    if (root is None) != (token is None):
        raise click.UsageError("TLS with a join token needs --root and --join-token-file, both")
    if certificates is None and root is None:
        return None
    try:
        server = SpiffeID(trust_domain, root_namespace, SERVER_ACCOUNT)
    except InvalidIdentity as error:
        raise click.BadParameter(str(error), param_hint="--trust-domain") from error
    return XdsTls(
        str(server),
        certificates.absolute() if certificates else None,
        root.absolute() if root else None,
        token.absolute() if token else None,
    )


def daemons(said: Sequence[Address], tls: XdsTls | None) -> tuple[Address, ...]:
    """Where the daemon is reached. Plaintext stays on this machine."""
    if tls is not None:
        found = tuple(said) or (WITH_TOKEN if tls.folder is None else WITH_CERTIFICATE,)
        return _ports(found)
    for address in said:
        if isinstance(address, TcpAddress) and not address.is_loopback:
            raise click.BadParameter(
                f"{address} would be reached in plaintext, which stays on this machine, such as at 127.0.0.1:15010; "
                "add --certificates, or --root and --join-token-file, to reach it over TLS",
                param_hint="--xds-address",
            )
    return _ports(tuple(said) or (PLAIN,))


def _ports(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    for address in addresses:
        if isinstance(address, TcpAddress) and not address.port:
            raise click.BadParameter(f"{address} has no port", param_hint="--xds-address")
    return addresses
