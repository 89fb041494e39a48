"""An endpoint with who reports it."""

from dataclasses import dataclass

from xdsd.model.catalog import Endpoint


@dataclass(frozen=True, slots=True)
class Reported:
    """An endpoint as one source has it for its part of a service; ``workload`` is the name of the one that it is, and
    ``origin`` the source of that. Both are empty where the source lists it.
    """

    source: str
    workload: str
    endpoint: Endpoint
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.source} ({self.workload})" if self.workload else self.source
