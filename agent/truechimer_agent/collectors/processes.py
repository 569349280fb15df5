"""processes: pauses of other processes, as the kernel and their runtimes tell of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from truechimer_agent.collecting import CollectFailure, Observation
from truechimer_agent.processes.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from truechimer.config.model import PausesConfig, ProcessConfig
    from truechimer_agent.collecting import Host

log = logging.getLogger("truechimer.processes")


class Processes:
    """Keeps one thread that looks at the configured processes and hands over what it sees."""

    interval_s = 10.0

    def __init__(self, host: Host, configs: Sequence[ProcessConfig], pauses: PausesConfig) -> None:
        self._host = host
        self._configs = configs
        self._threshold_ns = round(pauses.threshold_ms * 1e6)
        self._thread: threading.Thread | None = None
        self._end = threading.Event()
        self._watch: Watch | None = None
        self._failure: BaseException | None = None
        self._told: set[str] = set()

    async def open(self) -> None:
        """Start the thread."""
        self._end.clear()
        self._start()

    def _start(self) -> None:
        self._failure = None
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="process watch", daemon=True)
        self._thread.start()

    def watched(self) -> dict[str, list[int]]:
        """The pids that are watched now, by section; empty before the first look."""
        watch = self._watch
        return watch.watched() if watch is not None else {}

    async def collect(self) -> list[Observation]:
        """Nothing by the clock: the thread's observations are emitted as they come.

        Raises CollectFailure with the troubles that came up since the last round, each told once; what
        ended the thread, which is started anew.
        """
        if (failure := self._failure) is not None:
            self._start()
            raise failure
        watch = self._watch
        standing = {f"{part}: {error}": error for part, error in watch.troubles.items()} if watch else {}
        fresh = [text for text in standing if text not in self._told]
        self._told = set(standing)
        if fresh:
            hints = dict.fromkeys(hint for text in fresh if (hint := standing[text].hint))
            raise CollectFailure("; ".join(fresh), hint="; ".join(hints) or None)
        return []

    async def close(self) -> None:
        """End the thread; its last points are still handed over."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._end.set()
        await asyncio.to_thread(thread.join)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            watch = self._watch = Watch(self._host, self._configs, threshold_ns=self._threshold_ns)
            wait_s = 0.0
            try:
                while not self._end.wait(wait_s):
                    said, wait_s = watch.step()
                    self._hand_over(loop, said)
            finally:
                self._watch = None
                self._hand_over(loop, watch.close())
        except BaseException as error:  # noqa: BLE001 - told by collect(), in the loop's own thread
            self._failure = error

    def _hand_over(self, loop: asyncio.AbstractEventLoop, said: Iterable[Observation]) -> None:
        if said:
            loop.call_soon_threadsafe(self._emit, said)

    def _emit(self, said: Iterable[Observation]) -> None:
        for observation in said:
            self._host.emit(observation)
