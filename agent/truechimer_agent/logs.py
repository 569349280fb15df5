"""How the agent's log looks: one line a change, to stderr, where the journal puts its own time."""

from __future__ import annotations

import logging
import sys


def begin(*, verbose: bool) -> None:
    """Log to stderr; ``verbose`` adds what is merely interesting."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        force=True,
    )
    for noisy in ("asyncio", "urllib3", "opentelemetry"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
