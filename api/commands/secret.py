"""``xdsctl secret``: certificates with their keys, and authorities, that the daemon keeps for proxies."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.output import DataFormat, print_data, print_table
from api.credentials_client import CredentialsClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

_COLUMNS = ("NAMESPACE", "NAME", "KIND", "NAMES", "EXPIRES", "AUTHORITIES", "CHANGED", "BY")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LARGEST = 1 << 20

output_option = click.option("-o", "--output", type=DataFormat, help="As data.")
namespace_option = click.option(
    "-n", "--namespace", default="default", show_default=True, help="Its namespace."
)


def _making_options(command: Any) -> Any:  # Any: click's decorators
    """What both ways of making one have in common."""
    for option in (
        output_option,
        click.option("--dry-run", is_flag=True, help="Check the files and keep nothing."),
        click.option("--replace", is_flag=True, help="Put it in the place of one that is there: rotate it."),
        click.option(
            "--service-account",
            "accounts",
            multiple=True,
            help="Who alone may have it; may be given several times. Else all of its namespace that use it, or who might "
            "have the one that it replaces.",
        ),
        click.option(
            "--any-service-account",
            is_flag=True,
            help="All of its namespace that use it may have it, also where it replaces one that few might have.",
        ),
        namespace_option,
        click.argument("name"),
    ):
        command = option(command)
    return command


class _Secrets(HintedGroup):
    hints = MappingProxyType(
        {"get": "secret list", "show": "secret describe NAME", "add": "secret create tls"}
    )


@click.group(cls=_Secrets)
def secret() -> None:
    """Keep certificates with their keys for gateways and sidecars. Nobody reads a key back."""


@secret.group(cls=HintedGroup)
def create() -> None:
    """Check files and keep them, sealed."""


@create.command()
@click.option("--cert", type=_FILE, required=True, help="The certificate, and those that signed it (PEM).")
@click.option("--key", type=_FILE, required=True, help="Its key (PEM).")
@click.option("--ca", type=_FILE, help="The authorities that vouch for the other side (PEM).")
@click.option("--crl", type=_FILE, help="Certificates of theirs that are revoked (PEM).")
@click.option("--ocsp-staple", type=_FILE, help="An OCSP response for the certificate (DER).")
@_making_options
@pass_connection
def tls(
    connection: Connection,
    name: str,
    namespace: str,
    accounts: tuple[str, ...],
    any_service_account: bool,
    replace: bool,
    dry_run: bool,
    output: str | None,
    cert: Path,
    key: Path,
    ca: Path | None,
    crl: Path | None,
    ocsp_staple: Path | None,
) -> None:
    """Keep a certificate and its key.

    \b
    xdsctl secret create tls shop -n edge --cert shop.crt --key shop.key
    """
    given = {"tls.crt": cert, "tls.key": key, "ca.crt": ca, "ca.crl": crl, "tls.ocsp-staple": ocsp_staple}
    files = {word: path for word, path in given.items() if path is not None}
    request = _request("tls", name, namespace, _whose(accounts, any_service_account), files)
    _put(connection, request, replace, dry_run, output)


@create.command()
@click.option(
    "--from-file",
    "given",
    multiple=True,
    required=True,
    metavar="[NAME=]FILE",
    help="tls.crt, tls.key, ca.crt, ca.crl, tls.ocsp-staple, or cert, key, cacert, crl; else the file's own name.",
)
@_making_options
@pass_connection
def generic(
    connection: Connection,
    name: str,
    namespace: str,
    accounts: tuple[str, ...],
    any_service_account: bool,
    replace: bool,
    dry_run: bool,
    output: str | None,
    given: tuple[str, ...],
) -> None:
    """Keep files by the names that they have in Kubernetes secrets; authorities alone are enough.

    \b
    xdsctl secret create generic callers --from-file=ca.crt=callers.pem
    """
    files: dict[str, Path] = {}
    for each in given:
        word, equals, path = each.partition("=")
        word, path = (word, path) if equals else (Path(each).name, each)
        if word in files:
            raise click.UsageError(f"{word} is given twice")
        files[word] = Path(path)
    request = _request("generic", name, namespace, _whose(accounts, any_service_account), files)
    _put(connection, request, replace, dry_run, output)


@secret.command(name="list")
@click.option("-n", "--namespace", default="", help="Of one namespace; else of all.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of every namespace; so it is without -n.")
@output_option
@pass_connection
def list_(connection: Connection, namespace: str, all_namespaces: bool, output: str | None) -> None:
    """List the secrets of the namespaces where you may write them."""
    if namespace and all_namespaces:
        raise click.UsageError("-n is of one namespace and -A of all; use one of the two")
    with connection.client() as client:
        found = CredentialsClient(client).all(namespace)
    if output:
        print_data({"secrets": [_data(each) for each in found]}, output)
    elif found:
        print_table(_COLUMNS, [_row(each) for each in found])
    else:
        click.echo("No secrets found", err=True)


@secret.command()
@click.argument("name")
@namespace_option
@output_option
@pass_connection
def describe(connection: Connection, name: str, namespace: str, output: str | None) -> None:
    """Show what may be known of a secret: subjects, names, validity, fingerprints; never a key."""
    with connection.client() as client:
        found = CredentialsClient(client).all(namespace, name)
    if not found:
        raise click.ClickException(
            f"there is no secret {namespace}/{name}; xdsctl secret list tells which are"
        )
    if output:
        print_data(_data(found[0]), output)
        return
    for label, value in _lines(found[0]):
        click.echo(f"{label + ':':<18}{value}")


@secret.command()
@click.argument("name")
@namespace_option
@pass_connection
def delete(connection: Connection, name: str, namespace: str) -> None:
    """Forget a secret; the servers that need it close."""
    with connection.client() as client:
        CredentialsClient(client).delete(namespace, name)
    click.echo(f'secret "{namespace}/{name}" deleted')


def _whose(accounts: Sequence[str], everybody: bool) -> Sequence[str] | None:
    """None: of any account."""
    if accounts and everybody:
        raise click.UsageError("name service accounts, or give --any-service-account")
    return None if everybody else accounts


def _request(
    kind: str, name: str, namespace: str, accounts: Sequence[str] | None, files: dict[str, Path]
) -> pb.PutCredentialRequest:
    request = pb.PutCredentialRequest(
        namespace=namespace,
        name=name,
        kind=kind,
        service_accounts=accounts,
        any_service_account=accounts is None,
    )
    for word, path in files.items():
        try:
            with path.open("rb") as file:
                request.files[word] = file.read(_LARGEST)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise click.ClickException(f"{path} cannot be read: {why}") from error
    return request


def _put(
    connection: Connection,
    request: pb.PutCredentialRequest,
    replace: bool,
    dry_run: bool,
    output: str | None,
) -> None:
    request.replace, request.dry_run = replace, dry_run
    with connection.client() as client:
        made = CredentialsClient(client).put(request)
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    if output:
        print_data(_data(made.credential), output)
        return
    verb = "replaced" if made.replaced else "created"
    click.echo(f'secret "{request.namespace}/{request.name}" {verb}{" (dry run)" if dry_run else ""}')


def _row(credential: pb.Credential) -> tuple[str, ...]:
    own = credential.certificates[0] if credential.certificates else None
    return (
        credential.namespace,
        credential.name,
        credential.kind,
        ",".join(own.names) or own.subject if own is not None else "<none>",
        own.ends.ToJsonString() if own is not None else "<none>",
        str(len(credential.authorities)),
        credential.changed.ToJsonString(),
        credential.author,
    )


def _lines(credential: pb.Credential) -> list[tuple[str, str]]:
    lines = [
        ("Name", f"{credential.namespace}/{credential.name}"),
        ("Kind", credential.kind),
        ("For", ", ".join(credential.service_accounts) or "all of its namespace that use it"),
        ("Created", credential.created.ToJsonString()),
        ("Changed", f"{credential.changed.ToJsonString()} by {credential.author}"),
    ]
    for title, found in (("Certificate", credential.certificates), ("Authority", credential.authorities)):
        for each in found:
            lines += [
                (title, each.subject or "<no subject>"),
                ("  Names", ", ".join(each.names) or "<none>"),
                ("  Issuer", each.issuer),
                ("  Valid", f"{each.begins.ToJsonString()} to {each.ends.ToJsonString()}"),
                ("  Key", each.key),
                ("  Serial", each.serial),
                ("  Fingerprint", each.fingerprint),
            ]
    if credential.lists:
        lines.append(("Revoked", f"{credential.revoked} certificates"))
    if credential.stapled:
        lines.append(("OCSP response", "yes"))
    return lines


def _data(credential: pb.Credential) -> dict[str, Any]:
    return {
        "namespace": credential.namespace,
        "name": credential.name,
        "kind": credential.kind,
        "serviceAccounts": list(credential.service_accounts),
        "created": credential.created.ToJsonString(),
        "changed": credential.changed.ToJsonString(),
        "author": credential.author,
        "certificates": [_certificate(each) for each in credential.certificates],
        "authorities": [_certificate(each) for each in credential.authorities],
        "revoked": credential.revoked if credential.lists else None,
        "stapled": credential.stapled,
    }


def _certificate(certificate: pb.CertificateInfo) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": list(certificate.names),
        "serial": certificate.serial,
        "fingerprint": certificate.fingerprint,
        "begins": certificate.begins.ToJsonString(),
        "ends": certificate.ends.ToJsonString(),
        "key": certificate.key,
    }
