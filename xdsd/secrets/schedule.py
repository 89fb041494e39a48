"""When a certificate is renewed, and when to try again. Pure; times are in seconds, chance is from 0 to below 1."""

EARLIEST = 0.45
LATEST = 0.55

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0


def renewal(life: float, chance: float) -> float:
    """How long after its making a certificate of this life is renewed: about half, so that a missed renewal is no harm."""
    return max(life, 0.0) * (EARLIEST + (LATEST - EARLIEST) * chance)


def retry(failures: int, left: float, chance: float) -> float:
    """How long to wait after this many failures in a row; ``left`` is what remains of the old certificate's life.

    Waits double up to a minute, but several tries fit into what is left.
    """
    wait = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 16))
    if left > 0:
        wait = min(wait, max(left / 8, FIRST_RETRY))
    return wait * (0.75 + 0.5 * chance)


def spread(count: int, window: float, chance: float) -> float:
    """How long until one of ``count`` certificates that must all be renewed soon is, within a window."""
    return min(window, count * 0.01) * chance
