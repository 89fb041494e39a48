"""Nothing that holds a secret prints it: what is printed ends up in logs, errors and traces."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

from pydantic import BaseModel

import api
import storage
import xdsd
from tests.lab.forgetting import holders
from xdsd.ca.authority import Credential as Issued
from xdsd.ca.issuer import Ca
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.proving import Shown
from xdsd.ca.sealing import Sealer
from xdsd.credentials.kept import _Sealed
from xdsd.credentials.reading import CredentialKind, Material
from xdsd.protocol.commands import Send
from xdsd.protocol.events import Entrusted
from xdsd.secrets.messages import own_secret
from xdsd.snapshot import SECRET

SECRETS = re.compile(
    r"(^|_)(key|token|password|secret|authorization|encoded|private|hash|sealed|passphrase|body)$"
)
NO_SECRETS = {
    # Names of values.
    "xdsd.registry.kubernetes.ingress.Tls.secret",
    *(
        "storage.base.KeyValue.key",
        "storage.base.Compare.key",
        "storage.base.Put.key",
        "storage.base.Delete.key",
    ),
    *("storage.base.Get.key", "storage.bolt_writer._Element.key", "api.commands.kv.dry_run.Effect.key"),
    # What is sealed.
    "xdsd.credentials.kept._Kept.sealed",
    # Answers of other programs, and to clients.
    *("xdsd.demo.bookinfo.service.Response.body", "xdsd.registry.consul.client.Answer.body"),
    "xdsd.compile.limits.terms.Answer.body",
    # Addresses of endpoints.
    "xdsd.compile.pieces.Piece.body",
}


def modules(root: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
        if "_pb2" not in found.name and not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def shown_fields(kind: type) -> Iterator[str]:
    """The fields of a value that its representation shows, if they are text or bytes; a key that is text is a name."""
    if dataclasses.is_dataclass(kind):
        generated = hasattr(kind.__repr__, "__wrapped__")
        found = [(each.name, each.type) for each in dataclasses.fields(kind) if each.repr and generated]
    elif issubclass(kind, BaseModel):
        found = [(name, each.annotation) for name, each in kind.model_fields.items() if each.repr]
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        written = kind.__repr__ is not tuple.__repr__ and kind.__repr__.__module__ == kind.__module__
        found = [] if written else list(inspect.get_annotations(kind).items())
    else:
        return
    for name, annotation in found:
        text = str(annotation)
        if re.search(r"\bbytes\b", text) or (name != "key" and re.search(r"\bstr\b", text)):
            yield name


def test_no_class_prints_what_may_be_a_secret() -> None:
    """A field that is called like a secret is left out of its class's representation, or is none for a reason that stands
    above.
    """
    offending = {
        f"{module.__name__}.{name}.{field}"
        for root in (api, storage, xdsd)
        for module in modules(root)
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and kind.__module__ == module.__name__
        for field in shown_fields(kind)
        if SECRETS.search(field)
    }
    published = {each for each in offending if ".model.intent." in each}
    assert offending - published == NO_SECRETS


def test_values_with_a_key_in_them_do_not_print_it() -> None:
    """Each value that holds a private key on its way from its making to the wire."""
    key = new_key()
    text = private_pem(key)
    resource = own_secret(b"chain", text, "fingerprint")
    values = [
        Issued(None, text),  # type: ignore[arg-type]  # its certificate does not matter
        Ca((), key),
        Material(key=text),
        Shown("1.2.3.4", f"Bearer {text.decode()}", text),
        Sealer(b"k" * 32),
        resource,
        Entrusted((resource,), 0.0),
        Send(SECRET, (resource.encoded,), 1, 0),
        _Sealed(
            kind=CredentialKind.TLS,
            accounts=(),
            chain="",
            key=text.decode(),
            authorities="",
            revoked="",
            staple="",
        ),
    ]
    body = text.decode().splitlines()[1]
    for value in values:
        for printed in (repr(value), str(value), repr([value])):
            assert body not in printed, type(value)
            assert "PRIVATE KEY" not in printed, type(value)
            assert repr(b"k" * 32) not in printed, type(value)


def test_what_looks_for_secrets_finds_them() -> None:
    """A secret in the depths of a value that lives is found."""
    secret = private_pem(new_key())
    inside = {"a": [("b", Issued(None, secret))]}  # type: ignore[arg-type]  # its certificate does not matter
    assert holders(secret.splitlines()[1])
    del inside
    needle = bytes(secret.splitlines()[1])
    del secret
    assert holders(needle) == []
