"""Polls the runtimes (HotSpot, Go) of one source's processes and hands over what they tell."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError
from truechimer_agent.collecting import CollectFailure, Lacking, Observation
from truechimer_agent.processes.runtimes import ProcessGone, StillLooking
from truechimer_agent.processes.windows import RuntimeWindow, pause_of_stop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truechimer.readings import Reading
    from truechimer_agent.processes.runtimes import Heap, OpenRuntime, Polled, RuntimeReader, Target

LACKING_RETRY_NS = 60_000_000_000
"""At the latest; at first as after a failure, because a launcher becomes a runtime while it is looked at."""
FAILED_RETRY_NS = 1_000_000_000
_MOST_REFUSALS = 6
MODULES = {"jvm": "truechimer_agent.hotspot", "go": "truechimer_agent.goruntime"}


def opener_of(runtime: str) -> OpenRuntime:
    """How a runtime's readers are made; imported when one is wanted. Raises Lacking when it is not built."""
    try:
        opener: OpenRuntime = importlib.import_module(MODULES[runtime]).open_runtime
    except (ImportError, AttributeError) as error:
        raise Lacking(f"watching runtime = {runtime!r} is not built: {error}") from error
    return opener


@dataclass(slots=True)
class _Attached:
    """One process: its reader when there is one, and when it was last polled with success (S)."""

    target: Target
    reader: RuntimeReader | None = None
    polled_ns: int | None = None
    retry_ns: int = 0
    refusals: int = 0
    trouble: TruechimerError | None = None
    heap: Heap | None = None


class RuntimeWatch:
    """One source's runtimes. ``trouble`` is what is wrong now, None when all is well or not told yet.

    ``under_way_ns``: for how long the newest stop that goes on has been seen; None when there is none.
    """

    def __init__(self, source: str, runtime: str, *, scan: bool, threshold_ns: int) -> None:
        self.tags = {"source": source, "runtime": runtime}
        self.trouble: TruechimerError | None = None
        self.under_way_ns: int | None = None
        self._runtime = runtime
        self._scan = scan
        self._threshold_ns = threshold_ns
        self._attached: dict[Target, _Attached] = {}
        self._window = RuntimeWindow()

    def look(self, targets: Iterable[Target], reading: Reading, now_ns: int, epoch: int) -> list[Observation]:
        """Poll every process; one's trouble never stops the others. ``now_ns`` is S at ``reading``."""
        wanted = set(targets)
        for target in self._attached.keys() - wanted:
            self._let_go(self._attached.pop(target))
        pauses: list[Observation] = []
        observed_ns = 0
        going_on: list[int] = []
        for target in wanted:
            one = self._attached.setdefault(target, _Attached(target))
            before_ns = one.polled_ns
            if now_ns < one.retry_ns or (polled := self._poll(one, reading, now_ns)) is None:
                continue
            if before_ns is not None:
                observed_ns = max(observed_ns, now_ns - before_ns)
            one.heap = polled.heap
            if polled.under_way_ns:
                going_on.append(polled.under_way_ns)
            self._window.add(polled)
            pauses += [
                pause_of_stop(stop, self.tags, epoch)
                for stop in polled.stops
                if stop.duration_ns >= self._threshold_ns
            ]
        self.trouble = next((one.trouble for one in self._attached.values() if one.trouble), None)
        self.under_way_ns = min(going_on, default=None)
        if observed_ns:
            self._window.exposure.add(observed_ns)
        return pauses

    def points(self, now_ns: int) -> list[Observation]:
        """The points of 10 s; the next ones begin."""
        window, self._window = self._window, RuntimeWindow()
        points = [window.observation(self.tags, now_ns)]
        heaps = [one.heap for one in self._attached.values() if one.heap is not None]
        if heaps:
            heap = max(heaps, key=_fullness)
            fields: dict[str, float | int] = {
                "old_used_bytes": heap.old_used,
                "collecting_seconds": max(one.collecting_ns for one in heaps) / 1e9,
            }
            if heap.old_limit:
                fields["old_limit_bytes"] = heap.old_limit
                fields["old_full_ratio"] = heap.old_used / heap.old_limit
            points.append(Observation("truechimer_heap", now_ns, fields, self.tags))
        return points

    def close(self) -> None:
        """Let go of all readers."""
        for one in self._attached.values():
            self._let_go(one)
        self._attached = {}

    def _poll(self, one: _Attached, reading: Reading, now_ns: int) -> Polled | None:
        try:
            if one.reader is None:
                one.reader = opener_of(self._runtime)(one.target, scan=self._scan)
            polled = one.reader.poll(reading, now_ns)
        except ProcessGone:
            self._let_go(one)  # the kernel's view finds out the same, and looks where it went
            one.retry_ns = now_ns + FAILED_RETRY_NS
        except StillLooking:
            one.trouble = one.polled_ns = one.heap = None
        except CollectFailure as error:
            one.trouble, one.polled_ns, one.heap = error, None, None
            one.retry_ns = now_ns + FAILED_RETRY_NS
        except Exception as error:  # noqa: BLE001 - one runtime's defect must not stop the others
            self._let_go(one)
            failure = CollectFailure(f"{self._runtime} of process {one.target.pid}: {error!r}")
            if one.refusals or not isinstance(error, Lacking):
                one.trouble = error if isinstance(error, TruechimerError) else failure
            one.retry_ns = now_ns + min(LACKING_RETRY_NS, FAILED_RETRY_NS << one.refusals)
            one.refusals = min(one.refusals + 1, _MOST_REFUSALS)
        else:
            one.trouble, one.polled_ns, one.refusals = None, now_ns, 0
            return polled
        return None

    def _let_go(self, one: _Attached) -> None:
        reader, one.reader = one.reader, None
        one.trouble = one.polled_ns = one.heap = None
        if reader is not None:
            reader.close()


def _fullness(heap: Heap) -> float:
    return heap.old_used / heap.old_limit if heap.old_limit else 0.0
