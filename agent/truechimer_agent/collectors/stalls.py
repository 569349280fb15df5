"""stalls: pauses of this host as a process of its own feels them, with their cause."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import truechimer_agent
from truechimer.codes import Cause
from truechimer.errors import DecodeError
from truechimer.readings import mono_ns, monotonic_s
from truechimer_agent.collecting import CollectFailure, Lacking, Observation
from truechimer_agent.pauses import meter
from truechimer_agent.pauses.attribution import attribute
from truechimer_agent.pauses.freezer import FreezerWatch
from truechimer_agent.pauses.records import LONGEST_LINE_BYTES, MeterPause, MeterWindow, decode
from truechimer_agent.pauses.stalllog import StallLog

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

    from truechimer.config.model import PausesConfig
    from truechimer_agent.collecting import Host
    from truechimer_agent.pauses.attribution import GapEvidence

NS = 1e9
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 60.0
HEALTHY_S = 60.0
GRACE_S = 1.0
# VMClock is read four times a second: what it tells of a gap may come after the meter's record.
RESTORE_KNOWN_NS = 500_000_000
UNPROVEN = frozenset({Cause.UNKNOWN, Cause.STEAL})
SOURCE = {"source": "host", "runtime": "host"}
PACKAGES = str(Path(truechimer_agent.__file__).resolve().parent.parent)

log = logging.getLogger("truechimer.stalls")


class Stalls:
    """Keeps one meter running and hands over its pauses and windows.

    ``stalls`` is told of every pause, so that probes can tell their own. A meter that ends is started
    anew after a back-off; its unfinished window was not observed and does not count. ``restored_ns`` tells
    when (CLOCK_MONOTONIC) the hypervisor last told of a restore; None where it never will.
    """

    interval_s = 10.0

    def __init__(
        self,
        host: Host,
        config: PausesConfig,
        stalls: StallLog | None = None,
        restored_ns: Callable[[], int | None] | None = None,
    ) -> None:
        self._host = host
        self._config = config
        self._restored_ns = restored_ns
        self._held: dict[MeterPause, tuple[asyncio.TimerHandle, int]] = {}
        self._freezer = FreezerWatch()
        self.stalls = stalls if stalls is not None else StallLog()
        self.restarts = 0
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False
        self._ended: str | None = None
        self._garbled = 0

    @property
    def meter_pid(self) -> int | None:
        """The meter's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def open(self) -> None:
        """Start the meter. Raises Lacking when it cannot be started at all."""
        self._closing = False
        self._process = await self._start()
        self._follow()
        self._keeper = asyncio.create_task(self._keep(self._process), name="stall meter")

    async def collect(self) -> list[Observation]:
        """Nothing by the clock: the meter's records are emitted as they come.

        Raises CollectFailure once for each end of the meter, and for records that could not be read.
        """
        if self._keeper is not None and self._keeper.done() and (error := self._keeper.exception()):
            raise error
        self._follow()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            raise CollectFailure(ended, hint="pauses were not measured meanwhile")
        if self._garbled:
            garbled, self._garbled = self._garbled, 0
            raise CollectFailure(f"{garbled} records of the stall meter could not be read")
        return []

    async def close(self) -> None:
        """End the meter; its last window is still handed over."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        self._closing = True
        if self.meter_pid is None:
            keeper.cancel()
        self._signal(signal.SIGTERM)
        await asyncio.wait([keeper], timeout=GRACE_S)
        self._signal(signal.SIGKILL)  # SIGTERM does not reach a stopped process
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        for pause in list(self._held):
            self._release(pause)
        self._unfollow()
        if self._process is not None:
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _start(self) -> Process:
        options = {
            "--interval-ms": self._config.interval_ms,
            "--threshold-ms": self._config.threshold_ms,
            "--parent": os.getpid(),
        }
        arguments = [str(part) for option in options.items() for part in option]
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", meter.COMMAND, PACKAGES, *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            raise Lacking(
                f"the stall meter cannot be started with {sys.executable!r}: {error.strerror}",
                hint="the agent must be allowed to start a process",
            ) from error

    async def _keep(self, process: Process) -> None:
        """Read the meter until it ends; start another unless it was this collector that ended it."""
        backoff_s = FIRST_BACKOFF_S
        began_s = monotonic_s()
        while True:
            await self._read(process)
            code = await process.wait()
            if self._closing:
                return
            if monotonic_s() - began_s >= HEALTHY_S:
                backoff_s = FIRST_BACKOFF_S
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            self._ended = f"the stall meter {how}; it is started anew after {backoff_s:g} s"
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
            began_s = monotonic_s()
            try:
                process = await self._start()
            except Lacking as lack:
                self._ended = str(lack)
                continue  # the old one is read again: it ends at once, and the back-off grows
            self._process = process
            self.restarts += 1

    async def _read(self, process: Process) -> None:
        stream = process.stdout
        assert stream is not None
        buffer = b""
        while chunk := await stream.read(65536):
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(buffer) > LONGEST_LINE_BYTES:
                self._garbled += 1
                buffer = b""

    def _follow(self) -> None:
        """Watch the freezer of the cgroup that the meter is in now; without inotify there is less to tell."""
        try:
            membership = Path(f"/proc/{self.meter_pid}/cgroup").read_text(errors="replace")
        except OSError:
            return
        loop = asyncio.get_running_loop()
        before = self._freezer.fileno()
        with contextlib.suppress(OSError):
            if self._freezer.follow(membership, mono_ns()):
                if before >= 0:
                    loop.remove_reader(before)
                if self._freezer.fileno() >= 0:
                    loop.add_reader(self._freezer.fileno(), lambda: self._freezer.take(mono_ns()))

    def _unfollow(self) -> None:
        if self._freezer.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._freezer.fileno())
        self._freezer.close()

    def _take(self, line: bytes) -> None:
        try:
            record = decode(line)
        except DecodeError as error:
            if not self._garbled:
                log.warning("record of the stall meter refused: why=%s", error)
            self._garbled += 1
            return
        if isinstance(record, MeterWindow):
            self._host.emit(self._window(record))
            return
        record = self._with_freezer(record)
        evidence = record.evidence
        start_ns = self._steady_ns(record.start_mono_ns)
        self.stalls.add(start_ns, start_ns + evidence.duration_ns - evidence.asleep_ns)
        if self._restored_ns is not None and attribute(evidence)[0] in UNPROVEN:
            # Probes cannot wait for a cause, but what the hypervisor may tell of this can.
            hand_over = asyncio.get_running_loop().call_later(RESTORE_KNOWN_NS / NS, self._release, record)
            self._held[record] = hand_over, start_ns
        else:
            self._host.emit(self._pause(evidence, start_ns))

    def _release(self, pause: MeterPause) -> None:
        """Hand over a pause that was held, with what the hypervisor told meanwhile."""
        hand_over, start_ns = self._held.pop(pause)
        hand_over.cancel()
        told_ns = self._restored_ns() if self._restored_ns is not None else None
        evidence = pause.evidence
        latest_ns = pause.start_mono_ns + evidence.duration_ns + RESTORE_KNOWN_NS
        if told_ns is not None and pause.start_mono_ns <= told_ns <= latest_ns:
            evidence = replace(evidence, restored=True)
        self._host.emit(self._pause(evidence, start_ns))

    def _with_freezer(self, pause: MeterPause) -> MeterPause:
        """What the watch of the freezer adds to what the meter itself could see."""
        now_ns = mono_ns()
        self._freezer.take(now_ns)
        evidence = pause.evidence
        start_ns = pause.start_mono_ns
        # It was frozen before the deadline that it missed, by an interval at most.
        earliest_ns = start_ns - round(self._config.interval_ms * 1e6)
        frozen_ns = self._freezer.frozen_ns(start_ns, start_ns + evidence.duration_ns)
        evidence = replace(
            evidence,
            frozen_ns=max(evidence.frozen_ns or 0, frozen_ns) if frozen_ns else evidence.frozen_ns,
            freezer_written=self._freezer.was_touched(earliest_ns, now_ns),
        )
        return replace(pause, evidence=evidence)

    def _steady_ns(self, mono_ns: int) -> int:
        """S at a time of MONOTONIC some seconds ago at most: slewing there is below 500 ppm of that."""
        reading = self._host.clocks.read()
        return self._host.steady().at(reading.raw_ns) - (reading.mono_ns - mono_ns)

    def _pause(self, evidence: GapEvidence, start_ns: int) -> Observation:
        cause, confidence = attribute(evidence)
        fields: dict[str, float | int] = {
            "duration_seconds": evidence.duration_ns / NS,
            "confidence_ratio": confidence,
            "interval_seconds": self._config.interval_ms / 1e3,
            "steady_seconds": start_ns / NS,
            "epoch": self._host.steady().epoch,
        }
        parts = {
            "run_delay_seconds": evidence.run_delay_ns,
            "steal_seconds": evidence.steal_ns,
            "throttled_seconds": evidence.throttled_ns,
            "io_wait_seconds": evidence.io_wait_ns,
            "frozen_seconds": evidence.frozen_ns,
            "memory_stall_seconds": evidence.memory_stall_ns,
            "io_stall_seconds": evidence.io_stall_ns,
        }
        fields |= {name: part_ns / NS for name, part_ns in parts.items() if part_ns is not None}
        if evidence.major_faults is not None:
            fields["major_faults"] = evidence.major_faults
        return Observation("truechimer_pause", start_ns, fields, {**SOURCE, "cause": cause.value})

    def _window(self, window: MeterWindow) -> Observation:
        fields: dict[str, float | int] = {
            "observed_seconds": (window.end_mono_ns - window.start_mono_ns) / NS,
            "count": window.count,
            "total_seconds": window.total_ns / NS,
            "max_seconds": window.max_ns / NS,
            "threshold_seconds": self._config.threshold_ms / 1e3,
            "interval_seconds": self._config.interval_ms / 1e3,
        }
        return Observation("truechimer_pause_window", self._steady_ns(window.end_mono_ns), fields, SOURCE)
