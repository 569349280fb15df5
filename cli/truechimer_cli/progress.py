"""How far a long reading has come: a bar on a terminal's stderr, nothing elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from truechimer.readings import monotonic_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, TaskID

# What is answered sooner needs no bar.
PATIENCE_S = 1.0


@contextmanager
def bar(now_s: Callable[[], float] = monotonic_s) -> Iterator[Callable[[int, int], None]]:
    """Yields what is to be told how many rows are done, of how many; the bar goes away at the end."""
    drawn = _Bar(now_s)
    try:
        yield drawn
    finally:
        drawn.close()


class _Bar:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._begun_s = now_s()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, rows: int) -> None:
        if self._progress is None:
            if not sys.stderr.isatty() or self._now_s() - self._begun_s < PATIENCE_S:
                return
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("reading {task.total:,.0f} probes"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._progress.add_task("", total=rows)
            self._progress.start()
        assert self._task is not None
        # Of a second reading it begins anew.
        self._progress.update(self._task, completed=done, total=rows)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
