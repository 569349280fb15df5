"""The sampling loop: runs every collector on its own beat of CLOCK_MONOTONIC; times, catches, counts, logs.

Collectors hold no such code of their own, so that it is done once and alike for all.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError
from truechimer.readings import monotonic_s
from truechimer_agent.collecting import Lacking, Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truechimer_agent.collecting import Collector

LACKING_RETRY_S = 60.0
FAILED_RETRY_S = 10.0
STOP_S = 5.0
GRID_S = 0.25

log = logging.getLogger("truechimer.runner")


@dataclass(slots=True)
class Tally:
    """How a collector fared since the daemon began; ``failing`` says what is wrong now."""

    runs: int = 0
    errors: int = 0
    busy_s: float = 0.0
    failing: str | None = None
    first_done: bool = False


class Runner:
    """Runs collectors until it is stopped; one's failure never touches the others."""

    def __init__(self, collectors: Mapping[str, Collector], emit: Callable[[Observation], None]) -> None:
        self._collectors = collectors
        self._emit = emit
        self._tasks: list[asyncio.Task[None]] = []
        self._late_s = 0.0
        self.tallies = {name: Tally() for name in collectors}

    def start(self) -> None:
        """Begin every collector as a task of the running loop."""
        self._tasks = [
            asyncio.create_task(self._keep(name, collector), name=name)
            for name, collector in self._collectors.items()
        ]

    async def stop(self) -> None:
        """Stop and close them all; one that does not end in time is left behind, and said."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_S)
            for task in late:
                log.error("collector does not end: collector=%s", task.get_name())
        self._tasks = []

    def take_lateness_s(self) -> float:
        """The worst lateness of any round since this was asked last."""
        late_s, self._late_s = self._late_s, 0.0
        return late_s

    async def _keep(self, name: str, collector: Collector) -> None:
        while True:
            retry_s = FAILED_RETRY_S
            try:
                await collector.open()
                await self._rounds(name, collector)
            except Lacking as lack:
                self._failed(name, lack)
                retry_s = LACKING_RETRY_S
            except (TruechimerError, OSError) as error:
                self._failed(name, error)
            except Exception as error:  # noqa: BLE001 - a defect in one collector must not stop the others
                self._failed(name, error, defect=True)
            finally:
                await self._close(name, collector)
            await asyncio.sleep(retry_s)

    async def _close(self, name: str, collector: Collector) -> None:
        try:
            await collector.close()
        except Exception:
            log.exception("collector did not close: collector=%s", name)

    async def _rounds(self, name: str, collector: Collector) -> None:
        # On one grid for all: collectors that are due together share a wake.
        due_s = monotonic_s() // GRID_S * GRID_S
        while True:
            await self._round(name, collector)
            due_s += collector.interval_s
            now_s = monotonic_s()
            if due_s < now_s:
                missed = int((now_s - due_s) / collector.interval_s)
                due_s += missed * collector.interval_s
            await asyncio.sleep(max(0.0, due_s - now_s))
            self._late_s = max(self._late_s, monotonic_s() - due_s)

    async def _round(self, name: str, collector: Collector) -> None:
        tally = self.tallies[name]
        began_s = monotonic_s()
        try:
            for observation in await collector.collect():
                self._emit(observation)
        except (TruechimerError, OSError) as error:
            self._failed(name, error)
        except Exception as error:  # noqa: BLE001 - a defect in one collector must not stop the others
            self._failed(name, error, defect=True)
        else:
            if tally.failing is not None:
                log.info("collector works again: collector=%s", name)
            tally.failing = None
        finally:
            tally.runs += 1
            tally.first_done = True
            tally.busy_s += monotonic_s() - began_s

    def _failed(self, name: str, error: Exception, *, defect: bool = False) -> None:
        """Count it; log when what is wrong has changed, not every round."""
        tally = self.tallies[name]
        tally.errors += 1
        tally.first_done = True
        text = str(error) or type(error).__name__
        if text == tally.failing:
            return
        tally.failing = text
        if defect:
            log.error("collector failed: collector=%s error=%r", name, error, exc_info=error)
        else:
            hint = getattr(error, "hint", None)
            log.warning(
                "collector cannot work: collector=%s why=%s%s", name, text, f" fix={hint}" if hint else ""
            )
