"""A failure tells what became of the programs that it may be about."""

from dataclasses import dataclass

import pytest

from tests.conftest import pytest_runtest_makereport
from tests.lab.remains import forget, watch


@dataclass(eq=False)
class Fallen:
    """A program that has ended."""

    state: str = "xdsd ended with -6"

    def tail(self) -> str:
        return "what it said last"


def reported(outcome: str) -> list[tuple[str, str]]:
    """The sections of a test's report with this outcome."""
    report = pytest.TestReport("test", ("test.py", 1, "test"), {}, outcome, None, "call")  # type: ignore[arg-type]
    making = pytest_runtest_makereport()
    next(making)
    with pytest.raises(StopIteration):
        making.send(report)
    return report.sections


def test_a_failure_shows_what_is_watched() -> None:
    """Its state and the end of its log, as long as its block is not over; what succeeds shows nothing."""
    fallen = Fallen()
    watch(fallen)
    assert ("xdsd ended with -6", "what it said last") in reported("failed")
    assert reported("passed") == []
    forget(fallen)
    assert ("xdsd ended with -6", "what it said last") not in reported("failed")
