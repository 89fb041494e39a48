"""Which cluster is watched, and how it is taken."""

from dataclasses import dataclass
from pathlib import Path

ALL = ("all",)
"""Intent of every namespace that is read."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster, and as whom: ``kubeconfig`` and ``context`` of it, without them the pod that the daemon runs in.

    ``name`` tells clusters apart and is a label of their endpoints, ``network`` is the one that their pods are on.
    ``namespaces`` are all that is read; none means every one. ``intent`` are those whose custom resources are intent of the
    mesh: none of them, unless it says so. ``secrets`` are those that proxies may be given, ``NAMESPACE/NAME`` or
    ``NAMESPACE/*``; ``ingress`` the namespaces whose Ingresses are gateways, and ``ingress_address`` where these are
    reached, which is written to the status of Ingresses. ``hold`` is for how many seconds objects are kept that a cluster
    forgot which lost its data.
    """

    kubeconfig: Path | None = None
    context: str = ""
    name: str = ""
    network: str = ""
    namespaces: tuple[str, ...] = ()
    intent: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    ingress: tuple[str, ...] = ()
    ingress_address: tuple[str, ...] = ()
    hold: float = 300.0

    @property
    def meant(self) -> dict[str, str]:
        """The namespaces that are named, each with the option that does."""
        named = {
            "secrets": tuple(each.partition("/")[0] for each in self.secrets),
            "ingress": self.ingress if self.ingress != ALL else (),
            "intent": self.intent if self.intent != ALL else (),
            "namespaces": self.namespaces,
        }
        return {each: option for option, words in named.items() for each in words}

    def __str__(self) -> str:
        """``kubernetes:NAME``, else as the setting says it."""
        where = self.name or (str(self.kubeconfig) if self.kubeconfig else "")
        return f"kubernetes:{where}" if where else "kubernetes"
