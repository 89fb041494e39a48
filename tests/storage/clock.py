"""A clock that moves when it is told to."""


class ManualClock:
    """Counts seconds from 0."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def elapse(self, seconds: float) -> None:
        self.now += seconds
