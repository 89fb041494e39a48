"""The public keys of a Kubernetes cluster in a file, taken anew when it is replaced."""

import asyncio
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from xdsd.ca.authority import CaError
from xdsd.ca.service_accounts import LARGEST_FILE, Cluster, UnreadableKeys, read_keys

_EVERY = 5.0


class ClusterKeys:
    """``cluster`` is None until the file was read once. While it cannot be used, the keys that were known hold."""

    def __init__(
        self, file: Path, issuer: str, audience: str, logger: FilteringBoundLogger, every: float = _EVERY
    ) -> None:
        self.cluster: Cluster | None = None
        self._file = file
        self._issuer = issuer
        self._audience = audience
        self._logger = logger
        self._every = every

    async def run(self) -> None:
        """Until cancelled. Raises CaError where the file cannot be used from the start."""
        taken = await asyncio.to_thread(self._content)
        self.cluster = self._read(taken)
        while True:
            await asyncio.sleep(self._every)
            try:
                now = await asyncio.to_thread(self._content)
                if now != taken:
                    taken, self.cluster = now, self._read(now)
                    self._logger.info("the keys of service account tokens are new", file=str(self._file))
            except CaError as error:
                self._logger.warning("the keys of service account tokens are as they were", why=str(error))

    def _content(self) -> bytes:
        try:
            with self._file.open("rb") as file:
                return file.read(LARGEST_FILE + 1)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise CaError(f"kubernetes-token-keys {self._file} cannot be read: {why}") from error

    def _read(self, content: bytes) -> Cluster:
        try:
            return Cluster(self._issuer, self._audience, read_keys(content))
        except UnreadableKeys as error:
            raise CaError(f"kubernetes-token-keys {self._file} {error}") from error
