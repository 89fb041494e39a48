"""How it is told that a cluster came back without what it had."""

from datetime import UTC, datetime

from xdsd.registry.kubernetes.loss import Loss

UNTIL = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


def test_what_is_kept_is_counted() -> None:
    """The most first, a few kinds of many, and until when."""
    counts = {"pods": 3, "services": 1, "nodes": 0, "secrets": 1, "a": 1, "b": 1, "c": 9}
    said = Loss(UNTIL, set_back=False).said(counts)
    assert said.startswith(
        "16 objects (9 c, 3 pods, 1 a, 1 b, 1 secrets, …) are served as they were, since the cluster came"
    )
    assert "they are let go at 2026-01-02T03:04:05Z unless they are there again" in said


def test_why_is_told() -> None:
    """A cluster that was set back is the same one."""
    assert "set back in time, as by an older backup" in Loss(UNTIL, set_back=True).said({"pods": 1})


def test_nothing_is_told_where_nothing_is_kept() -> None:
    """All of it was there again."""
    assert Loss(UNTIL, set_back=True).said({"pods": 0}) == ""
