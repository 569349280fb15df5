"""Garbage collection as a planned outage: between requests, announced, never inside one.

The interpreter's own collections are off while a Coordinator is started. It has no thread and no timer: it
acts when a request begins or ends, when the balancer asks, and when ``poll`` is called.
"""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from truechimer.readings import monotonic_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

YOUNG, FULL = 1, 2
"""What is collected: the young generations, or everything."""


class State(StrEnum):
    """What a coordinated service is doing."""

    READY = "ready"
    DRAINING = "draining"
    COLLECTING = "collecting"


def young_objects() -> int:
    """How many more objects were made than freed since the last collection."""
    return gc.get_count()[0]


class Coordinator:
    """Decides when to collect; one per process, made after the process was forked.

    A *young* collection (short) is done when the youngest objects near ``young_limit`` and no request is
    in flight, or at the end of the next request once they exceed it. A *full* one (long) nears after
    ``full_every`` young ones: the service is *draining* from then on; when no request is in flight and
    ``notice_s`` has passed (for the balancer to hear of it), or ``limit_s`` after that in any case, it
    collects and is *ready* again. ``near`` is the share of a limit that is near.

    ``on_draining`` and ``on_ready`` are called in the thread that finds it out. ``clock`` gives seconds
    that never run backwards; ``count`` and ``collect`` are the interpreter's.
    """

    def __init__(
        self,
        *,
        young_limit: int = 50_000,
        full_every: int = 100,
        near: float = 0.9,
        notice_s: float = 0.0,
        limit_s: float = 5.0,
        on_draining: Callable[[], object] | None = None,
        on_ready: Callable[[], object] | None = None,
        clock: Callable[[], float] = monotonic_s,
        count: Callable[[], int] = young_objects,
        collect: Callable[[int], object] = gc.collect,
    ) -> None:
        if young_limit < 1 or full_every < 1 or not 0 < near <= 1 or notice_s < 0 or limit_s < 0:
            raise ValueError("limits are at least 1, near is in (0, 1], times are not negative")
        self._young_limit = young_limit
        self._full_every = full_every
        self._near = near
        self._notice_s = notice_s
        self._limit_s = limit_s
        self._on_draining = on_draining
        self._on_ready = on_ready
        self._clock = clock
        self._count = count
        self._collect = collect
        self._lock = threading.RLock()  # a signal's handler may ask while its thread holds it
        self._state = State.READY
        self._in_flight = 0
        self._young_done = 0
        self._draining_since_s = 0.0
        self._is_announced = False
        self._collection: object | None = None
        self._is_started = False
        self._was_automatic = False

    @property
    def state(self) -> State:
        """As of the last look."""
        return self._state

    @property
    def in_flight(self) -> int:
        """Requests begun and not ended."""
        return self._in_flight

    def start(self) -> None:
        """Take over from the interpreter."""
        with self._lock:
            if not self._is_started:
                self._is_started = True
                self._was_automatic = gc.isenabled()
                gc.disable()

    def stop(self) -> None:
        """Give collection back to the interpreter; who was draining is ready again, and says so."""
        with self._lock:
            was_draining = self._state is State.DRAINING
            if self._is_started:
                self._is_started = False
                if was_draining:
                    self._state = State.READY
                if self._was_automatic:
                    gc.enable()
        if was_draining and self._on_ready is not None:
            self._on_ready()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around one piece of work that should not be interrupted by a collection."""
        self.poll()
        counted = 0  # a signal's handler may raise anywhere
        try:
            with self._lock:
                self._in_flight += 1
                counted = 1
            yield
        finally:
            with self._lock:
                self._in_flight -= counted
            self.poll()

    def agent_check(self) -> bytes:
        """The answer to HAProxy's agent-check: ``drain`` or ``ready``, one line."""
        return b"ready\n" if self.poll() is State.READY else b"drain\n"

    def poll(self) -> State:
        """Do what is due; the state then. Collects in the calling thread when that is due."""
        if self._begin_draining():
            try:
                if self._on_draining is not None:
                    self._on_draining()
            finally:
                self._is_announced = True
        if self._collect_if_due() == YOUNG and self._state is State.DRAINING:
            self._collect_if_due()  # the last request may have ended meanwhile, and nobody looks again
        return self._state

    def _collect_if_due(self) -> int | None:
        mine = object()  # the handler of a signal may raise between any two lines
        generation = None
        try:
            generation = self._begin_collecting(mine)
            if generation is not None:
                self._collect(generation)
        finally:
            if self._end_collecting(mine) and self._on_ready is not None:
                self._on_ready()
        return generation

    def _begin_draining(self) -> bool:
        with self._lock:
            nears = self._young_done >= self._near * self._full_every
            if not nears or not self._is_started or self._state is not State.READY:
                return False
            self._is_announced = False  # ready must not be said before draining was
            self._draining_since_s = self._clock()
            self._state = State.DRAINING
            return True

    def _begin_collecting(self, mine: object) -> int | None:
        with self._lock:
            if self._collection is not None or not self._is_started:
                return None
            if self._is_full_due():
                generation = FULL
            elif self._is_young_due():
                generation = YOUNG
            else:
                return None
            self._collection = mine
            if generation == FULL:
                self._state = State.COLLECTING
            return generation

    def _is_full_due(self) -> bool:
        if self._state is not State.DRAINING:
            return False
        waited_s = self._clock() - self._draining_since_s
        idle = self._is_announced and self._in_flight == 0 and waited_s >= self._notice_s
        return idle or waited_s >= self._notice_s + self._limit_s

    def _is_young_due(self) -> bool:
        count = self._count()
        return count >= self._young_limit or (
            self._in_flight == 0 and count >= self._near * self._young_limit
        )

    def _end_collecting(self, mine: object) -> bool:
        """Whether that was a full one."""
        with self._lock:
            if self._collection is not mine:
                return False
            self._collection = None
            if self._state is not State.COLLECTING:
                self._young_done += 1
                return False
            self._young_done = 0
            self._state = State.READY
            return True
