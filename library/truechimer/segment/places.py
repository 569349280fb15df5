"""Where the segment is: under the agent's runtime directory, which the environment may name."""

from __future__ import annotations

import os
from pathlib import Path

SEGMENT_NAME = "clock"
RUNTIME_DIR = Path("/run/truechimer")
RUNTIME_VARIABLE = "TRUECHIMER_RUNTIME_DIR"


def default_segment() -> Path:
    """``$TRUECHIMER_RUNTIME_DIR/clock``, else ``/run/truechimer/clock``."""
    return Path(os.environ.get(RUNTIME_VARIABLE) or RUNTIME_DIR) / SEGMENT_NAME
