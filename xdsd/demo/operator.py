"""How the demo gives orders to its daemon: as an operator does, with ``xdsctl``."""

import os
import sys

# The console script may not be installed where the package is only on the path.
XDSCTL = (sys.executable, "-c", "from api.cli import main; main(prog_name='xdsctl')")


def clean_environment() -> dict[str, str]:
    """Our own environment without what would configure the daemon, which gets all its settings as flags."""
    return {name: value for name, value in os.environ.items() if not name.startswith("XDSD_")}
