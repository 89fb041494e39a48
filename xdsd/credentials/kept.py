"""Credentials as they are kept: sealed, all that matters to who may have what included. Pure but for the sealer's nonce."""

import base64
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from xdsd.ca.sealing import Sealer, SealingError
from xdsd.credentials.reading import Credential, CredentialKind, InvalidCredential, Material, check_name
from xdsd.model.credential import CredentialName

PREFIX = "/xdsd/secrets/"


def key_of(name: CredentialName) -> str:
    """``/xdsd/secrets/NAMESPACE/NAME``."""
    return f"{PREFIX}{name.namespace}/{name.name}"


class _Sealed(BaseModel):
    """What is sealed: bytes in base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: CredentialKind
    accounts: tuple[str, ...]
    chain: str
    key: str = Field(repr=False)
    authorities: str
    revoked: str
    staple: str


class _Kept(BaseModel):
    """As it stands in the store."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sealed: str
    created: Annotated[datetime, AwareDatetime]
    changed: Annotated[datetime, AwareDatetime]
    author: str


def encode(credential: Credential, sealer: Sealer) -> bytes:
    """As it is kept."""
    material = credential.material
    sealed = _Sealed(
        kind=credential.kind,
        accounts=credential.accounts,
        chain=_text(material.chain),
        key=_text(material.key),
        authorities=_text(material.authorities),
        revoked=_text(material.revoked),
        staple=_text(material.staple),
    )
    kept = _Kept(
        sealed=sealer.seal(sealed.model_dump_json().encode(), key_of(credential.name)),
        created=credential.created,
        changed=credential.changed,
        author=credential.author,
    )
    return kept.model_dump_json().encode()


def decode(name: CredentialName, value: bytes, sealer: Sealer) -> Credential:
    """What was kept. Raises InvalidCredential, which tells nothing of what is inside."""
    try:
        check_name(name)
        kept = _Kept.model_validate_json(value)
        found = _Sealed.model_validate_json(sealer.open(kept.sealed, key_of(name)))
        material = Material(
            *map(_bytes, (found.chain, found.key, found.authorities, found.revoked, found.staple))
        )
    except SealingError as error:
        raise InvalidCredential(str(error)) from error
    except (ValidationError, ValueError):
        raise InvalidCredential("what is kept of it is of no form that is known here") from None
    return Credential(name, found.kind, material, found.accounts, kept.created, kept.changed, kept.author)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
