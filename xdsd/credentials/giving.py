"""Which credentials a proxy may have. Pure but for what it remembers: the messages of each credential, once made, while
there is somebody to give them to.

A gateway may have those of its own namespace, a sidecar those of its own namespace that rules tell sidecars to use; where a
credential names service accounts, nobody else has it. Whose namespace and account it is was proven; that it is a gateway
a proxy says itself, so what no sidecar may ever have is to name its service accounts.
"""

from collections.abc import Callable, Collection, Iterable

from xdsd.credentials.messages import secrets_of
from xdsd.credentials.reading import Credential
from xdsd.model.credential import AUTHORITIES, CredentialName
from xdsd.model.identity import SpiffeID
from xdsd.snapshot import Resource


class Giver:
    """``of`` says which credentials a namespace has, and ``whole`` gives one with its key."""

    def __init__(
        self,
        of: Callable[[str], Iterable[Credential]],
        whole: Callable[[Credential], Credential] = lambda each: each,
    ) -> None:
        self._of = of
        self._whole = whole
        self._used: frozenset[CredentialName] = frozenset()
        self._made: dict[CredentialName, tuple[Credential, tuple[Resource, ...]]] = {}

    def use(self, used: frozenset[CredentialName]) -> frozenset[str]:
        """These are what sidecars use from now on; returns the namespaces in which that is another answer."""
        changed, self._used = used ^ self._used, used
        return frozenset(name.namespace for name in changed)

    def __call__(self, identity: SpiffeID, gateway: bool) -> tuple[Resource, ...]:
        """All that an identity may have."""
        found: dict[str, Resource] = {}
        for credential in sorted(self._of(identity.namespace), key=_rank):
            if self._may(credential, identity, gateway):
                found.update({each.name: each for each in self._messages(credential)})
        return tuple(found.values())

    def forget(self, names: Iterable[CredentialName]) -> None:
        """These are gone: nothing of them is kept."""
        for name in names:
            self._made.pop(name, None)

    def release(self, namespace: str, left: Collection[tuple[SpiffeID, bool]] = ()) -> None:
        """Of a namespace these are ``left``, with whether they are gateways; what none of them may have is forgotten."""
        held = [each for name, (each, _) in self._made.items() if name.namespace == namespace]
        self.forget(
            each.name
            for each in held
            if not any(self._may(each, identity, gateway) for identity, gateway in left)
        )

    def _may(self, credential: Credential, identity: SpiffeID, gateway: bool) -> bool:
        if credential.accounts and identity.service_account not in credential.accounts:
            return False
        return gateway or not self._used.isdisjoint(_asked_as(credential.name))

    def _messages(self, credential: Credential) -> tuple[Resource, ...]:
        held = self._made.get(credential.name)
        if held is None or held[0] is not credential:
            held = self._made[credential.name] = (credential, secrets_of(self._whole(credential)))
        return held[1]


def _rank(credential: Credential) -> tuple[bool, CredentialName]:
    """A credential of authorities alone is the last word on its name."""
    return credential.name.name.endswith(AUTHORITIES), credential.name


def _asked_as(name: CredentialName) -> tuple[CredentialName, ...]:
    """Under which names rules ask for it: one of authorities also without the end of its name."""
    bare = name._replace(name=name.name.removesuffix(AUTHORITIES))
    return (name, bare)
