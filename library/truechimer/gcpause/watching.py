"""``watch()``: the agent is told of every collection of this CPython process.

Everything here happens inside collections: at any bytecode of the program, in any of its threads. So
there are no locks in the callback, no thread, nothing that waits; a record that finds no room is added
to a sum that is told later. CPython itself reports what a callback raises and goes on.

While a callback runs, CPython's own mark "a collection is running" is set, and any callback in Python may
yield to other threads. A process forked at that moment would inherit the mark and never collect again
(all versions to 3.13 at least): so ``os.fork`` waits until the collection is over.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from time import sleep
from typing import TYPE_CHECKING

from truechimer.gcpause.telling import Telling, default_socket
from truechimer.gcpause.wire import Pause, Sum, encode, plain_name
from truechimer.readings import read_monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

THRESHOLD_S = 0.001
SUMS_EVERY_NS = 1_000_000_000
_LONGEST_WAIT_S = 1.0
_NAP_S = 0.0002
_LEAST_NAPS = 50
_FEW_OBJECTS = 10_000
"""So many young objects are looked through in well under a millisecond."""
_get_ident = threading.get_ident


class _Summing:
    """Pauses that are not told singly."""

    __slots__ = ("count", "max_ns", "start_mono_ns", "total_ns")

    def __init__(self) -> None:
        self.void()

    def void(self) -> None:
        self.start_mono_ns = self.count = self.total_ns = self.max_ns = 0

    def add(self, start_mono_ns: int, duration_ns: int) -> None:
        if not self.count:
            self.start_mono_ns = start_mono_ns
        self.count += 1
        self.total_ns += duration_ns
        self.max_ns = max(self.max_ns, duration_ns)

    def line(self) -> bytes:
        return encode(Sum(self.start_mono_ns, self.count, self.total_ns, self.max_ns))


class Watcher:
    """A ``gc.callbacks`` entry that times each collection and tells of it.

    ``clock`` reads CLOCK_MONOTONIC in ns.
    """

    def __init__(self, telling: Telling, threshold_ns: int, clock: Callable[[], int]) -> None:
        self._telling = telling
        self._threshold_ns = threshold_ns
        self._clock = clock
        self._began_ns = 0
        self._short = _Summing()
        self._untold = _Summing()
        self._due_ns = 0
        self.collecting_in = 0
        """The thread that collects now; 0: none."""
        self.last_in = 0
        """The thread that collected last."""
        self.is_over = False
        """To end with the collection that is running."""
        self._connect(clock())

    def __call__(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        """Called by the interpreter before and after each collection."""
        if phase == "start":
            self.collecting_in = self.last_in = _get_ident()
            self._began_ns = self._clock()
            return
        now_ns = self._clock()
        began_ns, self._began_ns = self._began_ns, 0
        try:
            if began_ns:
                duration_ns = now_ns - began_ns
                if duration_ns < self._threshold_ns:
                    self._short.add(began_ns, duration_ns)
                    if now_ns >= self._due_ns:
                        self._tell(began_ns, None, now_ns)
                else:
                    self._tell(began_ns, duration_ns, now_ns)
            if self.is_over:
                self._leave(phase, info)
        finally:
            self.collecting_in = 0

    def _leave(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        """CPython goes by the place in the list: whoever moves up to ours would miss this call."""
        self.end()
        callbacks = gc.callbacks
        if self in callbacks:
            place = callbacks.index(self)
            del callbacks[place]
            if place < len(callbacks):
                callbacks[place](phase, info)

    def flush(self) -> None:
        """Tell the sums now."""
        if self._telling.is_connected():
            self._tell_sums(self._clock())

    def end(self) -> None:
        """Tell the last sums and let go of the connection."""
        self.flush()
        self._telling.close()

    def forked(self) -> None:
        """In a child: what was not told yet is the parent's to tell."""
        self.collecting_in = 0
        self._began_ns = 0
        self._telling.forget()
        self._connect(self._clock())

    def _connect(self, now_ns: int) -> None:
        """What was not told before a connection was made is not told: nobody counted that time."""
        self._telling.connect(now_ns)
        self._short.void()
        self._untold.void()
        self._due_ns = now_ns + SUMS_EVERY_NS

    def _tell(self, began_ns: int, long_ns: int | None, now_ns: int) -> None:
        if not self._telling.is_connected():
            self._connect(now_ns)
            return
        # In order: what found no room goes before what comes after it, in one sum.
        if long_ns is not None and (
            self._untold.count or not self._telling.send(encode(Pause(began_ns, long_ns)))
        ):
            self._untold.add(began_ns, long_ns)
        if now_ns >= self._due_ns:
            self._tell_sums(now_ns)

    def _tell_sums(self, now_ns: int) -> None:
        self._due_ns = now_ns + SUMS_EVERY_NS
        for summing in (self._untold, self._short):
            if summing.count and self._telling.send(summing.line()):
                summing.void()


_watcher: Watcher | None = None
_changing = threading.RLock()
_forks = 0
_thresholds = (0, 0, 0)
"""The program's own, while forks hold off automatic collections."""
_has_hooks = False


def watch(
    name: str | None = None, socket: str | os.PathLike[str] | None = None, threshold_s: float = THRESHOLD_S
) -> None:
    """From now on the agent is told of each collection of ``threshold_s`` or longer, and of the others' sum.

    ``name`` is the source under which the pauses are shown (default: the program's own name); ``socket``
    the agent's (default: ``$TRUECHIMER_RUNTIME_DIR/pauses.sock``, else ``/run/truechimer/pauses.sock``).
    An agent that is not there, or goes and comes back, is no error: what happens meanwhile is not told.
    Called again, the new names count.
    """
    global _watcher, _has_hooks  # noqa: PLW0603 - one per process, as gc.callbacks is
    path = default_socket() if socket is None else os.fspath(socket)
    telling = Telling(path, "cpython", plain_name(name if name is not None else _own_name()))
    watcher = Watcher(telling, round(threshold_s * 1e9), read_monotonic_ns)
    with _changing:
        before, _watcher = _watcher, watcher
        gc.callbacks.append(watcher)
        if not _has_hooks:
            _has_hooks = True
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
            )
            atexit.register(unwatch)
    _end(before)


def unwatch() -> None:
    """Tell no more; nothing happens when nothing is watched."""
    global _watcher
    with _changing:
        before, _watcher = _watcher, None
    _end(before)


def _end(watcher: Watcher | None) -> None:
    """Nobody is waited for: that thread may be waiting for this one."""
    if watcher is None:
        return
    if watcher.collecting_in in (0, _get_ident()):
        if watcher in gc.callbacks:
            gc.callbacks.remove(watcher)
        watcher.end()
    else:
        watcher.is_over = True  # the thread that collects now ends it


def _own_name() -> str:
    return os.path.basename(sys.argv[0] if sys.argv else "") or "python"  # noqa: PTH119 - light


def _wait(until: Callable[[], bool]) -> None:
    # By the clock, as a nap lasts for as long as others compute; but on a host that gives this process no
    # time, that one has passed before the collection went on.
    until_ns = read_monotonic_ns() + round(_LONGEST_WAIT_S * 1e9)
    naps = 0
    while not until() and (naps < _LEAST_NAPS or read_monotonic_ns() < until_ns):
        sleep(_NAP_S)
        naps += 1


def _before_fork() -> None:
    # By the threshold: what the program does meanwhile with gc.enable() and gc.disable() stands.
    global _forks, _thresholds  # noqa: PLW0603 - as there is one collector
    watcher = _watcher or next(iter(_leaving()), None)
    if watcher is None:
        return
    with _changing:
        _forks += 1
        if _forks == 1:
            _thresholds = gc.get_threshold()
            gc.set_threshold(0, *_thresholds[1:])  # else a collection begins between the look and the fork
    _wait(lambda: not _is_collecting_elsewhere(watcher))


def _leaving() -> list[Watcher]:
    """Those, among others, that are to end with the collection that is running."""
    return [one for one in gc.callbacks if isinstance(one, Watcher)]


def _after_fork() -> None:
    global _forks  # noqa: PLW0603 - as there is one collector
    with _changing:
        if not _forks:
            return  # when this fork began nothing was watched
        _forks -= 1
        if not _forks:
            _resume_automatic()


def _resume_automatic() -> None:
    if not gc.get_threshold()[0]:  # else the program has set others meanwhile
        gc.set_threshold(*_thresholds)


def _is_collecting_elsewhere(watcher: Watcher) -> bool:
    for one in (watcher, *_leaving()):
        if one.collecting_in:
            return one.collecting_in != _get_ident()
    if not gc.isenabled() or not _thresholds[0]:
        return False  # who collects by plan is not to be given a collection by a fork
    if gc.get_count()[0] > _FEW_OBJECTS or watcher not in gc.callbacks:
        return False
    # The mark may be set and the callback not have begun: then this collects nothing and calls nobody.
    watcher.last_in = 0
    gc.collect(0)
    return watcher.last_in != _get_ident()


def _after_fork_in_child() -> None:
    global _changing, _forks  # noqa: PLW0603 - the parent's lock may be held for ever
    _changing = threading.RLock()
    if _forks:
        _resume_automatic()
    _forks = 0
    if _watcher is not None:
        _watcher.forked()
