"""Wall clocks that a test can shift: a preload (shiftclock.c) and the mapped file that steers it."""

import mmap
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.harness.compiling import compile_c

SOURCE = Path(__file__).with_name("shiftclock.c")
FLAGS = ("-fvisibility=hidden", "-fPIC", "-shared")


def build_shiftclock(directory: Path) -> Path:
    """Compile the preload into `directory` with gcc and return the library's path."""
    return compile_c(SOURCE, directory / "shiftclock.so", *FLAGS)


class ShiftedClock:
    """A wall clock that is the kernel's plus `shift_ns`, for every process started with `env`.

    All other clocks of those processes stay true. offset (reference − local) is then −`shift_ns`.
    """

    def __init__(self, library: Path, file: Path, shift_ns: int = 0) -> None:
        self.env = {"LD_PRELOAD": str(library), "SHIFTCLOCK_FILE": str(file)}
        file.write_bytes(struct.pack("=q", shift_ns))
        descriptor = os.open(file, os.O_RDWR)
        try:
            # Length 8 and aligned: the store below is one instruction, so no reader sees half of it.
            self._map = mmap.mmap(descriptor, 8)
        finally:
            os.close(descriptor)
        self._cell = memoryview(self._map).cast("q")

    @property
    def shift_ns(self) -> int:
        """By how much the shifted wall clock is ahead of the kernel's."""
        return int(self._cell[0])

    def set_ns(self, value: int) -> None:
        """Shift by `value` ns in all from this moment on (a step, for the processes that look)."""
        self._cell[0] = value

    def step_ns(self, by: int) -> None:
        """Step by `by` ns from where it is."""
        self.set_ns(self.shift_ns + by)

    def close(self) -> None:
        """Unmap the file; running processes keep their shift."""
        self._cell.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
