"""What holds for every test."""

import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.remains import remains

# A run that was started in the background ignores SIGINT, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test is timed, not even example by example: a machine may be busy.
_chosen = settings.get_profile(settings.get_current_profile_name())
_unchecked = {*_chosen.suppress_health_check, HealthCheck.too_slow}
settings.register_profile("untimed", _chosen, deadline=None, suppress_health_check=_unchecked)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What fails shows what became of the programs that many tests share."""
    report = yield
    if report.failed:
        report.sections.extend(remains())
    return report
