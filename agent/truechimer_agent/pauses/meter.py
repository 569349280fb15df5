"""The stall meter: a process of its own that sleeps to absolute deadlines and reports those it missed.

It runs without site (:data:`COMMAND`) and imports next to nothing, so that it stays near 10 MiB and
neither the interpreter lock nor the agent's work shows up as a pause. Times are CLOCK_MONOTONIC in ns.
It writes lines of text to standard output (read by :mod:`truechimer_agent.pauses.records`)::

    P start duration span run run_delay throttled frozen steal major_faults blocked preempted
      io_wait memory_stall io_stall asleep continued
    W start end count total max

``P`` is one pause: ``start`` is the missed deadline, ``duration`` the lateness past it (time asleep
included), the rest the evidence: how much each counter of the kernel grew, in ns unless it is a count,
``-`` when this kernel does not tell. A wake alone costs 0.4 to 0.5 % of a core, so counters are not read
at each: they grew over ``span``, which ends with the gap and begins up to 0.5 s before it (longer where
reading them costs more). ``run_delay`` is a lower bound of what falls into the gap: the lateness of all
deadlines since its baseline is taken off, which is as much as could have been waited for them.
``blocked`` is how often the process went to sleep in the kernel besides the meter's own sleeps (a stop, a
major fault, a lock), ``preempted`` how often it was taken off a CPU while it ran. ``continued`` is 1 when
SIGCONT came after the deadline: with ``blocked``, certain proof of a stop. ``W`` closes a window of
observation.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from truechimer_agent.pauses.counters import Evidence

TYPE_CHECKING = False  # typing itself would cost a megabyte
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

# What runs this file: no site, no environment, the packages' folder as the first argument.
COMMAND = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from truechimer_agent.pauses.meter import main; main(sys.argv[2:])"
)
WINDOW_NS = 10_000_000_000
BASELINE_NS = 500_000_000
CONTENDED_NS = 1_000_000
PENDING_LIMIT_BYTES = 1 << 20


class Output:
    """Lines to a pipe that must never block the meter: what does not fit waits, up to a limit."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pending = b""
        os.set_blocking(fd, False)

    def line(self, kind: str, *values: int | None) -> None:
        """Write one record; a record beyond the limit is dropped, the window's count keeps it."""
        text = " ".join([kind, *("-" if value is None else str(value) for value in values)])
        if len(self._pending) < PENDING_LIMIT_BYTES:
            self._pending += text.encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as it fits."""
        while self._pending:
            try:
                written = os.write(self._fd, self._pending)
            except BlockingIOError:
                return
            self._pending = self._pending[written:]


class Meter:
    """The loop. ``parent`` is the process whose end ends this one (0: none)."""

    def __init__(self, interval_ns: int, threshold_ns: int, parent: int, output: Output) -> None:
        self._interval_ns = interval_ns
        self._threshold_ns = threshold_ns
        self._parent = parent
        self._output = output
        self._ending = False
        self._continued_ns = 0
        signal.signal(signal.SIGCONT, self._on_continue)
        signal.signal(signal.SIGTERM, self._on_end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the parent decides
        self._evidence = Evidence()
        self._begin_window(time.monotonic_ns())  # noqa: TID251

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self._continued_ns = time.monotonic_ns()  # noqa: TID251

    def _on_end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True

    def _begin_window(self, now_ns: int) -> None:
        self._window_ns = now_ns
        self._count = self._total_ns = self._max_ns = 0

    def run(self) -> None:
        """Until SIGTERM, the parent's end, or a broken pipe."""
        monotonic_ns = time.monotonic_ns  # noqa: TID251
        sleep = time.sleep
        interval_ns = self._interval_ns
        look_late_ns = min(self._threshold_ns, CONTENDED_NS)
        now_ns = monotonic_ns()
        deadline_ns = now_ns + interval_ns
        look_ns = now_ns + BASELINE_NS
        total_late_ns = most_late_ns = sleeps = 0
        # Local names only on the way of most wakes: each comes to cold caches, where every line counts.
        while not self._ending:
            if deadline_ns > now_ns:
                sleeps += 1
                sleep((deadline_ns - now_ns) * 1e-9)
            now_ns = monotonic_ns()
            late_ns = now_ns - deadline_ns
            if late_ns > look_late_ns or now_ns >= look_ns:
                now_ns = self._look(deadline_ns, total_late_ns, most_late_ns, sleeps)
                look_ns = now_ns + BASELINE_NS
                total_late_ns = most_late_ns = sleeps = 0
            else:
                total_late_ns += late_ns
                if late_ns > most_late_ns:
                    most_late_ns = late_ns
            deadline_ns += interval_ns
            if deadline_ns < now_ns:
                deadline_ns = now_ns + interval_ns
        self._max_ns = max(self._max_ns, most_late_ns)
        self._close_window(monotonic_ns())

    def _look(self, deadline_ns: int, total_late_ns: int, most_late_ns: int, sleeps: int) -> int:
        """Judge this deadline, take baselines, and see to the rest; returns the time judged at.

        Of the deadlines met since the last look: their lateness summed, and the greatest. ``sleeps``: how
        often the meter slept since then.
        """
        now_ns = time.monotonic_ns()  # noqa: TID251
        slept_ns = self._evidence.slept_ns()
        duration_ns = now_ns - deadline_ns + slept_ns
        self._window_ns -= slept_ns  # MONOTONIC stands while asleep: the time counts as watched all the same
        self._max_ns = max(self._max_ns, most_late_ns, duration_ns)
        if duration_ns > self._threshold_ns:
            self._count += 1
            self._total_ns += duration_ns
            continued = int(self._continued_ns >= deadline_ns)
            grown = self._evidence.growth(now_ns, total_late_ns, sleeps)
            self._output.line("P", deadline_ns, duration_ns, *grown, slept_ns, continued)
        else:
            self._evidence.keep(now_ns)
            self._output.flush()
        if now_ns - self._window_ns >= WINDOW_NS:
            self._close_window(now_ns)
        if self._parent and os.getppid() != self._parent:
            self._ending = True
        return now_ns

    def _close_window(self, now_ns: int) -> None:
        self._output.line("W", self._window_ns, now_ns, self._count, self._total_ns, self._max_ns)
        self._begin_window(now_ns)


def sharpen_timers() -> None:
    """Timers without the default 50 µs of slack; without it the meter is only a little coarser."""
    try:
        fd = os.open("/proc/self/timerslack_ns", os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(fd, b"1")
    except OSError:
        return
    finally:
        os.close(fd)


def main(arguments: Sequence[str]) -> None:
    """``meter.py --interval-ms 10 --threshold-ms 5 [--parent PID]``."""
    options = {"--interval-ms": "10", "--threshold-ms": "5", "--parent": "0"}
    for name, value in zip(arguments[::2], arguments[1::2], strict=True):
        if name not in options:
            raise SystemExit(f"meter: unknown option {name}")
        options[name] = value
    sharpen_timers()
    interval_ns = round(float(options["--interval-ms"]) * 1e6)
    threshold_ns = round(float(options["--threshold-ms"]) * 1e6)
    try:
        Meter(interval_ns, threshold_ns, int(options["--parent"]), Output(sys.stdout.fileno())).run()
    except (BrokenPipeError, KeyboardInterrupt):
        return


if __name__ == "__main__":
    main(sys.argv[1:])
