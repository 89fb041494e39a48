"""What the answers of an etcd tell of its history: whether it is the one that was followed so far."""

from types import SimpleNamespace

import pytest

from storage.etcd_watch import History


def header(revision: int, term: int = 2, cluster: int = 7) -> SimpleNamespace:
    """Of an answer."""
    return SimpleNamespace(revision=revision, raft_term=term, cluster_id=cluster)


@pytest.fixture
def history() -> History:
    """Known up to revision 100, in the second term."""
    found = History()
    found.note(header(100), found.known)
    return found


@pytest.mark.parametrize("answer", [header(99), header(200, term=1), header(200, cluster=8)])
def test_what_is_behind_what_was_known_is_of_another_history(history: History, answer: object) -> None:
    """An etcd that was restored has a lower revision or term, or is another cluster; its revision counts from then on."""
    history.note(answer, history.known)
    assert (history.epoch, history.revision) == (1, answer.revision)  # type: ignore[attr-defined]


def test_answers_that_overtake_each_other_are_of_one_history(history: History) -> None:
    """What was asked for before an election, and is told after it, is behind what is known by then and says nothing."""
    early = history.known
    history.note(header(105, term=3), history.known)
    history.note(header(101, term=2), early)
    assert (history.epoch, history.revision) == (0, 105)


def test_a_restore_is_noticed_once(history: History) -> None:
    """Of several who asked before it, the first that is answered finds out; what is still to come tells nothing."""
    early = history.known
    history.note(header(50), early)
    for late in (header(51), header(101)):
        history.note(late, early)
    assert (history.epoch, history.revision) == (1, 50)
    history.note(header(52), history.known)
    assert (history.epoch, history.revision) == (1, 52)
