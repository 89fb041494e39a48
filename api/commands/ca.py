"""``xdsctl ca``: whom the mesh trusts."""

from pathlib import Path

import click

from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.output import DataFormat, print_data, print_table
from api.joining_client import JoiningClient


@click.group(cls=HintedGroup)
def ca() -> None:
    """Look at the mesh's certificate authority."""


@ca.command()
@click.option("--out", type=click.Path(path_type=Path), help="A file for it, instead of printing it.")
@pass_connection
def bundle(connection: Connection, out: Path | None) -> None:
    """Print the certificates (PEM) of the roots that the mesh trusts; they are no secret.

    \b
    xdsctl ca bundle --out /etc/xdsd/root.pem
    """
    with connection.client() as client:
        trust = JoiningClient(client).trust()
    if out is None:
        click.echo(trust.bundle, nl=False)
        return
    try:
        out.write_bytes(trust.bundle)
    except OSError as error:
        raise click.ClickException(
            f"{out} cannot be written: {(error.strerror or str(error)).lower()}"
        ) from error
    click.echo(f"written to {out}")


@ca.command()
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def show(connection: Connection, output: str | None) -> None:
    """Show the trust domain, the roots, and where proxies prove who they are."""
    from xdsd.ca.issuer import fingerprint  # noqa: PLC0415 - cryptography takes a moment to import
    from xdsd.ca.reading import read_certificates  # noqa: PLC0415 - likewise

    with connection.client() as client:
        trust = JoiningClient(client).trust()
    roots = [
        {
            "subject": each.subject.rfc4514_string(),
            "fingerprint": fingerprint(each),
            "notAfter": each.not_valid_after_utc.isoformat(),
        }
        for each in read_certificates(trust.bundle, "the bundle")
    ]
    data = {
        "trustDomain": trust.trust_domain,
        "serverIdentity": trust.server_identity,
        "xdsTlsAddress": trust.tls_address,
        "xdsMtlsAddress": trust.mtls_address,
        "roots": roots,
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
