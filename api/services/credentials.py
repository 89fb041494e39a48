"""Certificates with their keys that are kept for proxies: Credentials. Nobody reads a key back."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.access.caller import Right, current
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.ca.issuer import fingerprint
from xdsd.ca.reading import Unreadable, read_certificates
from xdsd.credentials.foreign import Joint
from xdsd.credentials.reading import (
    Credential,
    CredentialKind,
    InvalidCredential,
    check_name,
    read_lists,
)
from xdsd.credentials.register import AlreadyThereError, Credentials
from xdsd.model.credential import CredentialName
from xdsd.reconcile.declared import not_here

Context = grpc.aio.ServicerContext[object, object]

_OFF = "this daemon serves no identities, so it has nobody to give secrets to: set xds-tls-address or xds-mtls-address"


class CredentialsService:
    """xdsd.admin.v1.Credentials. ``credentials`` is None where the daemon serves no identities; ``joint`` has those of
    platforms too, which are shown, and changed where they are.
    """

    def __init__(
        self,
        credentials: Credentials | None,
        joint: Joint | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._credentials = credentials
        self._joint = joint
        self._now = now

    async def Put(self, request: pb.PutCredentialRequest, context: Context) -> pb.PutCredentialResponse:  # noqa: N802
        credentials = await self._on(context)
        current().require(Right.CREDENTIALS, request.namespace)
        name = CredentialName(request.namespace, request.name)
        replaced = credentials.get(name) is not None
        try:
            made, warnings = await credentials.put(
                name,
                _kind(request.kind),
                dict(request.files),
                self._now(),
                accounts=_accounts(request),
                author=current().name,
                replace=request.replace,
                dry_run=request.dry_run,
            )
        except InvalidCredential as error:
            await _end(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except AlreadyThereError as error:
            await _end(context, grpc.StatusCode.ALREADY_EXISTS, str(error))
        return pb.PutCredentialResponse(credential=_shown(made), warnings=warnings, replaced=replaced)

    async def List(self, request: pb.ListCredentialsRequest, context: Context) -> pb.ListCredentialsResponse:  # noqa: N802
        credentials = await self._on(context)
        if request.namespace or not current().somewhere(Right.CREDENTIALS):
            current().require(Right.CREDENTIALS, request.namespace)
        found = [
            _shown(each)
            for each in (self._joint or credentials).all()
            if current().may(Right.CREDENTIALS, each.name.namespace)
            and request.namespace in ("", each.name.namespace)
            and request.name in ("", each.name.name)
        ]
        return pb.ListCredentialsResponse(credentials=found)

    async def Delete(self, request: pb.DeleteCredentialRequest, context: Context) -> pb.Credential:  # noqa: N802
        credentials = await self._on(context)
        current().require(Right.CREDENTIALS, request.namespace)
        name = CredentialName(request.namespace, request.name)
        try:
            check_name(name)
        except InvalidCredential as error:
            await _end(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        held = await credentials.delete(name, current().name)
        if held is None:
            holder = self._joint.holder(name) if self._joint is not None else ""
            if holder:
                await _end(context, grpc.StatusCode.FAILED_PRECONDITION, not_here(holder))
            await _end(
                context,
                grpc.StatusCode.NOT_FOUND,
                f"there is no secret {name}; xdsctl secret list tells which are",
            )
        return _shown(held)

    async def _on(self, context: Context) -> Credentials:
        if self._credentials is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, _OFF)
        if not self._credentials.is_known:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the secrets are not known yet; try again")
        return self._credentials


def _kind(text: str) -> CredentialKind:
    """Raises InvalidCredential."""
    try:
        return CredentialKind(text)
    except ValueError:
        raise InvalidCredential(f"a secret is of the kind {' or '.join(CredentialKind)}") from None


def _accounts(request: pb.PutCredentialRequest) -> tuple[str, ...] | None:
    """Who may have it; None where nothing is said. Raises InvalidCredential."""
    if not request.any_service_account:
        return tuple(request.service_accounts) or None
    if request.service_accounts:
        raise InvalidCredential(
            "a secret is for the service accounts that are named, or for any; say one of both"
        )
    return ()


async def _end(context: Context, code: grpc.StatusCode, message: str) -> NoReturn:
    await context.abort(code, message)


def _shown(credential: Credential) -> pb.Credential:
    """What may be known of it."""
    material = credential.material
    lists = read_lists(material.revoked) if material.revoked else ()
    made = pb.Credential(
        namespace=credential.name.namespace,
        name=credential.name.name,
        kind=credential.kind.value,
        certificates=_certificates(material.chain),
        authorities=_certificates(material.authorities),
        revoked=sum(len(each) for each in lists),
        lists=bool(lists),
        stapled=bool(material.staple),
        service_accounts=credential.accounts,
        author=credential.author,
    )
    made.created.FromDatetime(credential.created)
    made.changed.FromDatetime(credential.changed)
    return made


def _certificates(data: bytes) -> Iterable[pb.CertificateInfo]:
    try:
        found = read_certificates(data, "what is kept") if data else ()
    except Unreadable:
        found = ()
    return [_certificate(each) for each in found]


def _certificate(certificate: x509.Certificate) -> pb.CertificateInfo:
    made = pb.CertificateInfo(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names(certificate),
        serial=f"{certificate.serial_number:x}",
        fingerprint=fingerprint(certificate),
        key=_key(certificate.public_key()),
    )
    made.begins.FromDatetime(certificate.not_valid_before_utc)
    made.ends.FromDatetime(certificate.not_valid_after_utc)
    return made


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    kinds: tuple[Any, ...] = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name)
    return [str(each) for kind in kinds for each in found.get_values_for_type(kind)]


def _key(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__
