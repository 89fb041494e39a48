"""When certificates are renewed."""

from hypothesis import given
from hypothesis import strategies as st

from xdsd.secrets.schedule import FIRST_RETRY, LONGEST_RETRY, renewal, retry, spread

CHANCE = st.floats(0, 1, exclude_max=True)


@given(st.floats(0, 1e8), CHANCE)
def test_certificates_are_renewed_at_about_half_of_their_life(life: float, chance: float) -> None:
    """Not before 45 and not after 55 hundredths of it, so the other half is left for a daemon that is away."""
    assert 0.45 * life <= renewal(life, chance) <= 0.55 * life


def test_proxies_that_came_together_do_not_renew_together() -> None:
    """Different chances are different times."""
    assert len({renewal(3600, step / 100) for step in range(100)}) == 100


@given(st.integers(1, 1000), st.floats(-1e6, 1e8), CHANCE)
def test_retries_neither_hurry_nor_wait_too_long(failures: int, left: float, chance: float) -> None:
    """Waits grow to a minute; while the old certificate lasts, several tries fit into what is left of it."""
    wait = retry(failures, left, chance)
    assert 0.75 * FIRST_RETRY <= wait <= 1.25 * LONGEST_RETRY
    if left > 16 * FIRST_RETRY:
        assert wait <= left / 4


@given(st.integers(0, 10**6), st.floats(0, 1e4), CHANCE)
def test_what_must_be_renewed_soon_is_within_its_window(count: int, window: float, chance: float) -> None:
    """However many there are."""
    assert 0 <= spread(count, window, chance) <= window
