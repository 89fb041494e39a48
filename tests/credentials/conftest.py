"""The stores of daemons."""

from tests.ca.conftest import any_store

__all__ = ["any_store"]
