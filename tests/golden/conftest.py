"""The flag that rewrites the golden files."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the golden outputs, and remove stale ones"
    )


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """True if the golden files are to be rewritten, which no CI may do."""
    asked = bool(request.config.getoption("--update-golden", default=False))
    assert not (asked and os.environ.get("CI")), (
        "golden files are rewritten by people, who look at the difference"
    )
    return asked
