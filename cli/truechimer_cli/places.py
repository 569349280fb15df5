"""Where things are on this host: the folder of ``up``, runtime folders, default configuration files."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from truechimer.config import load_agent
from truechimer.segment import RUNTIME_DIR, RUNTIME_VARIABLE, SEGMENT_NAME

AGENT_CONFIG = Path("/etc/truechimer/agent.toml")
ANALYZER_CONFIG = Path("/etc/truechimer/analyzer.toml")
SYSTEM_STORE = Path("/var/lib/truechimer/analyzer")
DATA_VARIABLE = "TRUECHIMER_DATA_DIR"
LOCK_NAME = "up.lock"


@dataclass(frozen=True, slots=True)
class Running:
    """A live ``up``: its process id, and its analyzer's address once that answers."""

    pid: int | None
    url: str | None


def data_dir(given: Path | None = None) -> Path:
    """``--data-dir``, else ``$TRUECHIMER_DATA_DIR``, else ``$XDG_STATE_HOME/truechimer``."""
    if given is not None:
        return given.expanduser().absolute()
    if named := os.environ.get(DATA_VARIABLE):
        return Path(named).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or ""
    base = Path(state) if state.startswith("/") else Path("~/.local/state").expanduser()
    return base.absolute() / "truechimer"


def running_up(folder: Path) -> Running | None:
    """Who runs ``up`` in this folder; None when nobody does."""
    lock = folder / LOCK_NAME
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _running(file.read(4096))
    except OSError:
        return None
    return None


def runtime_dir(config: Path | None) -> Path:
    """Where this host's segment is.

    ``--config``'s runtime_dir, else ``$TRUECHIMER_RUNTIME_DIR``, else the running ``up``'s, else
    /run/truechimer. Raises ConfigError when the file is wrong.
    """
    if config is not None:
        return load_agent(config).config.runtime_dir
    if named := os.environ.get(RUNTIME_VARIABLE):
        return Path(named)
    folder = data_dir()
    return folder / "run" if running_up(folder) is not None else RUNTIME_DIR


def segment_path(config: Path | None) -> Path:
    """The segment that ``now`` and ``doctor`` read."""
    return runtime_dir(config) / SEGMENT_NAME


def _running(raw: bytes) -> Running:
    try:
        told = json.loads(raw)
        pid, url = told.get("pid"), told.get("url")
    except (ValueError, AttributeError):
        return Running(None, None)
    return Running(pid if isinstance(pid, int) else None, url if isinstance(url, str) else None)
