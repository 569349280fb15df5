"""Clocks that a test shifts: a preload (shiftclock.c) and the mapped file that steers it.

W, MONOTONIC, BOOTTIME and RAW of the processes under it behave as the kernel's do when somebody steps or
slews W, when the oscillator is off, when the host sleeps or its virtual machine stands; the truth is known.
"""

import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.harness.clocks import raw_ns
from lab.harness.compiling import compile_c
from lab.harness.processes import Process

SOURCE = Path(__file__).with_name("shiftclock.c")
FLAGS = ("-fvisibility=hidden", "-fPIC", "-shared")
_STRETCH_CELLS = 7
_CELLS = 1 + 2 * _STRETCH_CELLS
PPB = 1_000_000_000
# How long processes are stopped when the servers' clocks jump by the rest.
SHORT_STOP_S = 0.05


def build_shiftclock(directory: Path) -> Path:
    """Compile the preload into `directory` with gcc and return the library's path."""
    return compile_c(SOURCE, directory / "shiftclock.so", *FLAGS)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From the kernel's RAW = `from_raw_ns` on, by how much each clock is ahead of the kernel's.

    All clocks gain `drift_ppb` (the oscillator), all but RAW gain `slew_ppb` besides.
    """

    from_raw_ns: int
    wall_ns: int = 0
    mono_ns: int = 0
    boot_ns: int = 0
    raw_ns: int = 0
    drift_ppb: int = 0
    slew_ppb: int = 0

    def at(self, kernel_raw_ns: int) -> "Stretch":
        """The same, as it stands at a later RAW of the kernel."""
        elapsed_ns = kernel_raw_ns - self.from_raw_ns
        drifted_ns = _share(self.drift_ppb, elapsed_ns)
        gained_ns = drifted_ns + _share(self.slew_ppb, elapsed_ns)
        return replace(
            self,
            from_raw_ns=kernel_raw_ns,
            wall_ns=self.wall_ns + gained_ns,
            mono_ns=self.mono_ns + gained_ns,
            boot_ns=self.boot_ns + gained_ns,
            raw_ns=self.raw_ns + drifted_ns,
        )

    def kernel_raw_ns(self, own_raw_ns: int) -> int:
        """The kernel's RAW when the shifted one shows `own_raw_ns`, within a nanosecond or two."""
        since_ns = own_raw_ns - self.raw_ns - self.from_raw_ns
        return self.from_raw_ns + since_ns * PPB // (PPB + self.drift_ppb)


def _share(ppb: int, elapsed_ns: int) -> int:
    """Towards 0, as C divides."""
    product = ppb * elapsed_ns
    return product // PPB if product >= 0 else -(-product // PPB)


class ShiftedClock:
    """The clocks of every process started with `env`: the kernel's at first, W ahead by `shift_ns`.

    True time being the kernel's W, offset (reference − local) is −`shift_ns`. With servers under a shifted
    clock of their own it is theirs − `shift_ns`.
    """

    def __init__(self, library: Path, file: Path, shift_ns: int = 0) -> None:
        self.env = {"LD_PRELOAD": str(library), "SHIFTCLOCK_FILE": str(file)}
        file.write_bytes(bytes(8 * _CELLS))
        descriptor = os.open(file, os.O_RDWR)
        try:
            self._map = mmap.mmap(descriptor, 8 * _CELLS)
        finally:
            os.close(descriptor)
        # Cells of 8 bytes, aligned: each store is one instruction.
        self._cells = memoryview(self._map).cast("q")
        self.history: list[Stretch] = [Stretch(raw_ns())]
        with self._changing() as change:
            change(wall_ns=shift_ns)

    @contextmanager
    def _changing(self) -> Iterator["_Change"]:
        """Processes that look at a clock meanwhile wait, so what they saw before came before the change."""
        self._cells[0] += 1
        try:
            change = _Change(self.history[-1].at(raw_ns()))
            yield change
            last = self.history[-1]
            if change.stretch != last:
                self.history.append(change.stretch)
            self._cells[1:_CELLS] = memoryview(
                struct.pack(f"={_CELLS - 1}q", *astuple(change.stretch), *astuple(last))
            ).cast("q")
        finally:
            self._cells[0] += 1

    @property
    def shift_ns(self) -> int:
        """By how much W is ahead of the kernel's now."""
        return self.now().wall_ns

    def now(self) -> Stretch:
        """By how much each clock is ahead now."""
        return self.history[-1].at(raw_ns())

    def at_own_raw(self, own_raw_ns: int) -> tuple[Stretch, int]:
        """What held when these clocks' RAW showed `own_raw_ns`, and the kernel's RAW then.

        Of a sleep, during which RAW stands still, the time after it.
        """
        stretch = next(
            (each for each in reversed(self.history) if each.from_raw_ns + each.raw_ns <= own_raw_ns),
            self.history[0],
        )
        kernel_ns = stretch.kernel_raw_ns(own_raw_ns)
        return stretch.at(kernel_ns), kernel_ns

    def set_ns(self, value: int) -> None:
        """Step W so that it is ahead by `value` ns."""
        with self._changing() as change:
            change(wall_ns=value)

    def step_ns(self, by: int) -> None:
        """Step W by `by` ns from where it is (±1 s: a leap second, deleted or inserted)."""
        with self._changing() as change:
            change(wall_ns=change.stretch.wall_ns + by)

    def slew(self, ppm: float) -> None:
        """Have W gain `ppm` against RAW from now on; MONOTONIC and BOOTTIME gain too, as in the kernel."""
        with self._changing() as change:
            change(slew_ppb=round(ppm * 1000))

    def drift(self, ppm: float) -> None:
        """Have the oscillator, and so all clocks, gain `ppm` from now on."""
        with self._changing() as change:
            change(drift_ppb=round(ppm * 1000))

    def suspend(
        self, processes: Sequence[Process], length_s: float, *, servers: "ShiftedClock | None" = None
    ) -> int:
        """Have the host sleep: W and BOOTTIME go on, RAW and MONOTONIC stand still. By how many ns.

        `processes`, with all that they started, are really stopped meanwhile; they are all that may run under
        this clock. With `servers`, the clock that all servers run under, they are stopped for a moment only,
        and true time (the servers' W) jumps by the rest.
        """
        return self._stand_still(processes, length_s, servers, wall_goes_on=True)

    def pause_machine(
        self, processes: Sequence[Process], length_s: float, *, servers: "ShiftedClock | None" = None
    ) -> int:
        """Stop the virtual machine as `suspend` does, with all of its clocks: no trace is left in them."""
        return self._stand_still(processes, length_s, servers, wall_goes_on=False)

    def _stand_still(
        self,
        processes: Sequence[Process],
        length_s: float,
        servers: "ShiftedClock | None",
        *,
        wall_goes_on: bool,
    ) -> int:
        stop_s = length_s if servers is None else min(length_s, SHORT_STOP_S)
        with _stopped(processes):
            began = self.now()
            threading.Event().wait(stop_s)
            with self._changing() as change:
                slept_ns = change.stretch.from_raw_ns - began.from_raw_ns
                jumped_ns = 0 if servers is None else round(length_s * 1e9) - slept_ns
                still = replace(began, from_raw_ns=change.stretch.from_raw_ns)
                stood = {
                    "raw_ns": still.raw_ns - slept_ns,
                    "mono_ns": still.mono_ns - slept_ns,
                }
                if wall_goes_on:
                    stood |= {"wall_ns": still.wall_ns + jumped_ns, "boot_ns": still.boot_ns + jumped_ns}
                else:
                    stood |= {"wall_ns": still.wall_ns - slept_ns, "boot_ns": still.boot_ns - slept_ns}
                change(**stood)
            if servers is not None:
                servers.step_ns(jumped_ns)
        return slept_ns + jumped_ns

    def close(self) -> None:
        """Unmap the file; running processes keep their shift."""
        self._cells.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Change:
    """The stretch that is to begin; call it with what shall be otherwise."""

    def __init__(self, stretch: Stretch) -> None:
        self.stretch = stretch

    def __call__(self, **fields: int) -> None:
        self.stretch = replace(self.stretch, **fields)


@contextmanager
def _stopped(processes: Sequence[Process]) -> Iterator[None]:
    """Stop processes and all of their groups; they stand when this begins."""
    try:
        for process in processes:
            process.pause_group()
        yield
    finally:
        for process in processes:
            process.resume_group()
