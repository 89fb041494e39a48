"""Suites that every adapter of a contract runs: each is a class that takes a maker."""

import pytest

pytest.register_assert_rewrite("tests.contracts.store")
