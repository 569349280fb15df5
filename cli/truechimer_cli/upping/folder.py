"""The one folder that ``up`` keeps everything under, held by one ``up`` at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import TYPE_CHECKING

from truechimer.config import to_toml
from truechimer.errors import UserError
from truechimer_cli.places import LOCK_NAME, running_up

if TYPE_CHECKING:
    from pathlib import Path

    from truechimer.config import AgentConfig, AnalyzerConfig

_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.05


class Folder:
    """The folder with agent/, analyzer/, run/ and logs/; ``hold`` it before writing anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    @property
    def agent(self) -> Path:
        """The agent's state."""
        return self.path / "agent"

    @property
    def analyzer(self) -> Path:
        """The analyzer's store."""
        return self.path / "analyzer"

    @property
    def run(self) -> Path:
        """The runtime folder: the segment."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        """What the daemons say."""
        return self.path / "logs"

    def hold(self) -> None:
        """Make the folder and lock it. Raises UserError when it cannot be made, or is held by another."""
        try:
            for part in (self.agent, self.analyzer, self.run, self.logs):
                part.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UserError(
                f"making the data folder {self.path}: {error.strerror}", hint="name another with --data-dir"
            ) from error
        # Commands that look whether an `up` runs hold the lock for an instant: try again before giving up.
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
            else:
                self.tell(None)
                return
        raise self._held()

    def tell(self, url: str | None) -> None:
        """Write into the lock who runs here and where it answers."""
        text = json.dumps({"pid": os.getpid(), "url": url}).encode()
        os.pwrite(self._lock, text.ljust(200) + b"\n", 0)

    def release(self) -> None:
        """Let another ``up`` have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write_agent(self, config: AgentConfig) -> Path:
        """The agent's effective configuration."""
        return self._write("agent.toml", to_toml(config))

    def write_analyzer(self, config: AnalyzerConfig) -> Path:
        """The analyzer's effective configuration."""
        return self._write("analyzer.toml", to_toml(config))

    def _write(self, name: str, text: str) -> Path:
        path, fresh = self.path / name, self.path / f"{name}.new"
        try:
            fresh.write_text("# Written by `truechimer up` at each start.\n" + text)
            fresh.replace(path)
        except OSError as error:
            raise UserError(f"writing {path}: {error.strerror}", hint="is the disk full?") from error
        return path

    def _held(self) -> UserError:
        os.close(self._lock)
        self._lock = -1
        running = running_up(self.path)
        pid = running.pid if running is not None else None
        url = running.url if running is not None else None
        where = f" and answers at {url}" if url else ""
        who = f" (process {pid})" if pid else ""
        return UserError(
            f"`truechimer up` already runs in {self.path}{who}{where}",
            hint="use that one, stop it, or name another folder with --data-dir",
        )
