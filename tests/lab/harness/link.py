"""Links between two hosts: delay, loss, reordering, a rate and partitions per direction, while running.

A link is a pair of TUN devices, one in each host, and a small program (link.c) that carries packets between
them. Program and harness share a mapped file: conditions one way, counters the other.
"""

import mmap
import os
import struct
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lab.harness.compiling import program
from lab.harness.delays import TRACE_MOST, Constant, Delay, encoded

if TYPE_CHECKING:
    from lab.harness.network import Host
    from lab.harness.processes import Process

CELL = 8
_READY = CELL
_COUNTERS = 8 * CELL
_CONDITIONS = struct.Struct("=qdddddd4q")
_CONDITIONS_SIZE = CELL + _CONDITIONS.size + TRACE_MOST * CELL
_MAP_SIZE = _READY + 2 * (_COUNTERS + _CONDITIONS_SIZE)
NO_DELAY = Constant(0.0)
# TUN's own queue towards the program: what overflows it would be lost uncounted.
TUN_QUEUE_PACKETS = 20_000


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction does to packets; probabilities are per packet, each drawn for itself.

    A packet never overtakes the one before, and waits for it when its own delay is shorter; with
    probability `reorder` it neither waits nor is waited for. `rate_bps` (bits per second, None: no
    limit) is kept by a queue of `queue_bytes`; what does not fit is dropped. A packet that is on its way
    when conditions change arrives as it would have.
    """

    delay: Delay = NO_DELAY
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    rate_bps: int | None = None
    queue_bytes: int = 150_000
    partitioned: bool = False

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a probability, 0 to 1: {value!r}")
        if self.rate_bps is not None and self.rate_bps <= 0:
            raise ValueError(f"rate_bps must be positive, or None for no limit: {self.rate_bps!r}")
        if self.queue_bytes < 0:
            raise ValueError(f"queue_bytes must not be negative: {self.queue_bytes!r}")


@dataclass(frozen=True, slots=True)
class Counters:
    """Packets of one direction since the link began.

    `seen` + `duplicated` = `forwarded` + `dropped` + `in_flight`. `reordered`: of the forwarded, those that
    came after a later one (RFC 4737). `undeliverable`: the far device did not take it (it was down).
    """

    seen: int
    forwarded: int
    lost: int
    queue_full: int
    partitioned: int
    undeliverable: int
    duplicated: int
    reordered: int

    @property
    def dropped(self) -> int:
        """All that never arrives, for whatever reason."""
        return self.lost + self.queue_full + self.partitioned + self.undeliverable

    @property
    def in_flight(self) -> int:
        """Packets on their way."""
        return self.seen + self.duplicated - self.forwarded - self.dropped


class Direction:
    """One direction of a link."""

    def __init__(self, link: "Link", number: int) -> None:
        self._link = link
        self._counters_at = (_READY + number * _COUNTERS) // CELL
        self._conditions_at = _READY + 2 * _COUNTERS + number * _CONDITIONS_SIZE
        self._conditions = Conditions()
        self.set()

    @property
    def conditions(self) -> Conditions:
        """What holds now."""
        return self._conditions

    def set(self, **changes: object) -> None:
        """Change conditions (the fields of `Conditions`) from the next packet on, all at once.

        Raises TypeError or ValueError for what cannot be and changes nothing then; RuntimeError, with its
        log, when the link's program is gone.
        """
        conditions = replace(self._conditions, **changes)  # type: ignore[arg-type]
        kind, least_ns, scale_ns, shape, trace_ns = encoded(conditions.delay)
        self._link.check_alive()
        cells, buffer = self._link.cells, self._link.buffer
        generation_at = self._conditions_at // CELL
        cells[generation_at] += 1
        _CONDITIONS.pack_into(
            buffer,
            self._conditions_at + CELL,
            *(kind, least_ns, scale_ns, shape),
            *(conditions.loss, conditions.duplicate, conditions.reorder),
            *(conditions.rate_bps or 0, conditions.queue_bytes, conditions.partitioned, len(trace_ns)),
        )
        struct.pack_into(
            f"={len(trace_ns)}q", buffer, self._conditions_at + CELL + _CONDITIONS.size, *trace_ns
        )
        cells[generation_at] += 1
        self._conditions = conditions

    @property
    def counters(self) -> Counters:
        """The counters now (RuntimeError when the link's program is gone)."""
        self._link.check_alive()
        return Counters(*self._link.cells[self._counters_at : self._counters_at + _COUNTERS // CELL])


class Link:
    """A link from host `near` to host `far`; `network.link` makes them.

    Each host has an address of its own on it: `near_address`, `far_address` (a /30 of 10.78.0.0/16). Hosts
    also reach each other by the network's bridge, undisturbed, under their usual addresses.
    """

    def __init__(self, near: "Host", far: "Host", number: int, *, seed: int = 1) -> None:
        if near.namespace is None or far.namespace is None or near is far:
            raise ValueError("a link joins two different hosts of a network")
        self.near, self.far = near, far
        prefix = f"10.78.{number >> 6}"
        self.near_address, self.far_address = (f"{prefix}.{(number & 63) * 4 + end}" for end in (1, 2))
        self.device = f"link{number}"
        self._process: Process | None = None
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tc-link-")))
            self.buffer = stack.enter_context(_mapped(folder / "map"))
            self.cells = stack.enter_context(memoryview(self.buffer).cast("Q"))
            self.forward, self.backward = Direction(self, 0), Direction(self, 1)
            ends = (str(near.namespace_path), self.device, str(far.namespace_path), self.device)
            command = (str(program("link", "-lm")), str(folder / "map"), *ends, str(seed))
            self._process = far.popen(*command, log=folder / "log")
            stack.callback(self._process.close)
            self._process.wait_ready(lambda: self.cells[0], f"the link from {near.name} to {far.name}")
            for host, address in ((near, self.near_address), (far, self.far_address)):
                # Without an address of its own making, IPv6 sends nothing that a test did not ask for.
                host.ip("link", "set", self.device, "addrgenmode", "none")
                host.ip("link", "set", self.device, "txqueuelen", str(TUN_QUEUE_PACKETS), "up")
                host.ip("address", "add", f"{address}/30", "dev", self.device)
            self._stack = stack.pop_all()
        far.cleanups.callback(self.close)

    def address_of(self, host: "Host") -> str:
        """The address by which the other end reaches `host` over this link."""
        if host is self.near:
            return self.near_address
        if host is self.far:
            return self.far_address
        raise ValueError(f"{host.name} is not at an end of this link")

    def direction_to(self, host: "Host") -> Direction:
        """The direction that ends at `host`."""
        return self.forward if self.address_of(host) == self.far_address else self.backward

    def set(self, **changes: object) -> None:
        """Change the conditions of both directions."""
        self.forward.set(**changes)
        self.backward.set(**changes)

    def check_alive(self) -> None:
        """Raise RuntimeError, with its log, when the program that carries the packets is gone."""
        if self._process is not None and self._process.exit_code is not None:
            log = self._process.log_text() if self._process.log.exists() else "it was closed"
            raise RuntimeError(f"the link from {self.near.name} to {self.far.name} is gone: {log}")

    def close(self) -> None:
        """Take the link away, and its devices with it."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _mapped(path: Path) -> mmap.mmap:
    """A file of zeros, mapped."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(descriptor, _MAP_SIZE)
        return mmap.mmap(descriptor, _MAP_SIZE)
    finally:
        os.close(descriptor)
