"""``xdsctl ca``: whom the mesh trusts."""

from pathlib import Path

import click

from api.commands.ca_rotation import rotate
from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.output import DataFormat, print_data, print_table
from api.joining_client import JoiningClient


@click.group(cls=HintedGroup)
def ca() -> None:
    """Look at the mesh's certificate authority, and rotate its root."""


ca.add_command(rotate)


@ca.command()
@click.option("--out", type=click.Path(path_type=Path), help="A file for it, instead of printing it.")
@click.option(
    "--spiffe", is_flag=True, help="As SPIFFE publishes bundles (JSON), for others to trust the mesh."
)
@pass_connection
def bundle(connection: Connection, out: Path | None, spiffe: bool) -> None:
    """Print the certificates (PEM) of the roots that the mesh trusts; they are no secret.

    \b
    xdsctl ca bundle --out /etc/xdsd/root.pem
    xdsctl ca bundle --spiffe --out /srv/www/bundle.json
    """
    with connection.client() as client:
        found = JoiningClient(client).trust().bundle
    if spiffe:
        found = _published(found)
    if out is None:
        click.echo(found, nl=False)
        return
    try:
        out.write_bytes(found)
    except OSError as error:
        raise click.ClickException(
            f"{out} cannot be written: {(error.strerror or str(error)).lower()}"
        ) from error
    click.echo(f"written to {out}")


@ca.command()
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def show(connection: Connection, output: str | None) -> None:
    """Show the trust domain, the roots and who signs below them, when they expire, and where proxies prove who they are."""
    with connection.client() as client:
        trust = JoiningClient(client).trust()
    roots, issuers = _told(trust.bundle), _told(trust.issuers)
    data = {
        "trustDomain": trust.trust_domain,
        "serverIdentity": trust.server_identity,
        "xdsTlsAddress": trust.tls_address,
        "xdsMtlsAddress": trust.mtls_address,
        "roots": roots,
        "issuers": issuers,
    }
    if output:
        print_data(data, output)
        return
    click.echo(f"Trust domain:     {trust.trust_domain}")
    click.echo(f"Server identity:  {trust.server_identity}")
    click.echo(f"xDS with tokens:  {trust.tls_address or '<not served>'}")
    click.echo(f"xDS with certs:   {trust.mtls_address or '<not served>'}")
    click.echo()
    print_table(
        ("ROOT", "NOT AFTER", "SUBJECT"),
        [(r["fingerprint"][:16], r["notAfter"], r["subject"]) for r in roots],
    )
    if issuers:
        click.echo()
        print_table(
            ("SIGNS", "NOT AFTER", "SUBJECT"),
            [(r["fingerprint"][:16], r["notAfter"], r["subject"]) for r in issuers],
        )


def _told(pem: bytes) -> list[dict[str, str]]:
    """What may be told of certificates."""
    from xdsd.ca.issuer import fingerprint  # noqa: PLC0415 - cryptography takes a moment to import
    from xdsd.ca.reading import read_certificates  # noqa: PLC0415 - likewise

    return [
        {
            "subject": each.subject.rfc4514_string(),
            "fingerprint": fingerprint(each),
            "notAfter": each.not_valid_after_utc.isoformat(),
        }
        for each in (read_certificates(pem, "the bundle") if pem else ())
    ]


def _published(bundle: bytes) -> bytes:
    from xdsd.ca.bundles import write_bundle  # noqa: PLC0415 - cryptography takes a moment to import
    from xdsd.ca.reading import read_certificates  # noqa: PLC0415 - likewise

    return write_bundle(read_certificates(bundle, "the bundle")).encode() + b"\n"
