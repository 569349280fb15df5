"""The reflector's thread: it takes packets from its socket, has them judged, and replies. Nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from truechimer.readings import NS
from truechimer_agent.mesh.floodfilter import MOST_BLOCKED
from truechimer_agent.packettimes.arrivals import Arrivals
from truechimer_agent.stamp.sources import network_of

if TYPE_CHECKING:
    from truechimer.readings import Clocks, SteadyClock
    from truechimer_agent.mesh.reflectorsocket import Arrival, ReflectorSocket
    from truechimer_agent.stamp.reflector import Reflector

BLOCK_S = 5
LONGEST_BLOCK_S = 80
_FORGIVEN_S = 60
_ASLEEP_NS = 1_000_000
_COLD_NS = 200_000
"""After so long without a reply the processor's caches no longer hold what sends one."""
_STOP_S = 2.0
_HIGHEST_TTL = 255


class Steadiness(Protocol):
    """What the thread needs to know of the host's steady clock."""

    def steady(self) -> SteadyClock:
        """The steady clock of the present epoch."""
        ...

    @property
    def suspended_ns(self) -> int:
        """BOOTTIME − MONOTONIC at least, as of the last sleep seen."""
        ...


class Reflecting:
    """Serves one socket with one reflector, in a thread of its own from ``start`` to ``stop``.

    ``failure`` is what ended the thread early, None while nothing did.
    """

    def __init__(self, sock: ReflectorSocket, reflector: Reflector, host: Steadiness, clocks: Clocks) -> None:
        self._sock = sock
        self._reflector = reflector
        self._host = host
        self._clocks = clocks
        self._arrivals = Arrivals(clocks.read())
        self._blocks = Blocks()
        self._stopping = False
        self._residence_ns = 0
        self._last_raw_ns = 0
        self._thread = threading.Thread(target=self._run, name="reflector", daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End, and close the socket."""
        self._stopping = True
        self._sock.shut()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)
        self._sock.close()

    def blocked(self) -> list[bytes]:
        """The sources that are kept away now."""
        return self._blocks.sources()

    def take_residence_ns(self) -> int:
        """The longest that a request was in here until its reply was timed, since this was asked last."""
        longest_ns, self._residence_ns = self._residence_ns, 0
        return longest_ns

    def _run(self) -> None:
        view = memoryview(self._sock.buffer)
        try:
            while not self._stopping:
                arrival = self._sock.receive()
                if self._stopping:
                    break
                if arrival is None:
                    self._release(self._clocks.raw_ns())
                else:
                    self._take(view[: arrival.length], arrival)
        except Exception as error:  # noqa: BLE001 - told by the collector, which begins anew
            self.failure = error

    def _take(self, data: memoryview, arrival: Arrival) -> None:
        reading = self._clocks.read()
        steady = self._host.steady()
        received_ns = steady.at(self._arrivals.latest_raw_ns(arrival.wall_ns, reading))
        reflector = self._reflector
        host, port = arrival.address[0], arrival.address[1]
        network = network_of(host)
        if not arrival.is_for_one:
            data = data[:0]  # no request: to answer what is sent to all would multiply it
        accepted = reflector.accept(data, network, (host, port), received_ns)
        if reflector.sources.flooding:
            self._block(reading.raw_ns)
        elif reading.raw_ns >= self._blocks.due_ns:
            self._release(reading.raw_ns)
        if accepted is None:
            return
        slept_ns = reading.least_suspended_ns - self._host.suspended_ns
        reply = reflector.prepare(data, accepted, received_ns, min(arrival.ttl, _HIGHEST_TTL), steady.epoch)
        if reading.raw_ns - self._last_raw_ns > _COLD_NS:
            self._sock.rehearse(reply, arrival)
        sent_ns = steady.at(self._clocks.raw_ns())
        reflector.finish(reply, sent_ns)
        if slept_ns > _ASLEEP_NS or self._host.steady() is not steady:
            # S is broken, and not everybody knows yet: no answer is better than a false one.
            reflector.totals.failed += 1
            return
        # Counted before it is sent: whoever has the reply finds it in the counts.
        reflector.totals.replies += 1
        self._residence_ns = max(self._residence_ns, sent_ns - received_ns)
        self._last_raw_ns = reading.raw_ns
        try:
            self._sock.send(reply, arrival)
        except OSError:
            reflector.totals.replies -= 1
            reflector.totals.failed += 1

    def _block(self, now_ns: int) -> None:
        """Leave those who flood to the kernel for a while."""
        flooding = self._reflector.sources.flooding
        for network in flooding:
            self._blocks.add(network, now_ns)
        flooding.clear()
        self._refilter()

    def _release(self, now_ns: int) -> None:
        if self._blocks.expire(now_ns):
            self._refilter()

    def _refilter(self) -> None:
        blocked = self._blocks.sources()
        self._sock.keep_away(blocked)
        self._sock.wake_after(1 if blocked else 0)


class Blocks:
    """Who is kept away, and until when: 5 s at first, twice as long each time, up to 80 s.

    ``due_ns`` is when the next of them is let in again. Times are RAW in ns.
    """

    def __init__(self) -> None:
        self._until_ns: dict[bytes, int] = {}
        self._past: dict[bytes, tuple[int, int]] = {}
        self.due_ns = 1 << 63

    def add(self, source: bytes, now_ns: int) -> None:
        """It floods. Beyond 64 at once it has to be borne."""
        if source in self._until_ns or len(self._until_ns) >= MOST_BLOCKED:
            return
        ended_ns, length_s = self._past.pop(source, (0, 0))
        again = length_s and now_ns - ended_ns <= _FORGIVEN_S * NS
        length_s = min(2 * length_s, LONGEST_BLOCK_S) if again else BLOCK_S
        until_ns = now_ns + length_s * NS
        self._until_ns[source] = until_ns
        while len(self._past) >= MOST_BLOCKED:
            del self._past[next(iter(self._past))]
        self._past[source] = (until_ns, length_s)
        self.due_ns = min(self.due_ns, until_ns)

    def expire(self, now_ns: int) -> bool:
        """Let those in whose time is over; whether there were any."""
        over = [source for source, until_ns in self._until_ns.items() if until_ns <= now_ns]
        for source in over:
            del self._until_ns[source]
        self.due_ns = min(self._until_ns.values(), default=1 << 63)
        return bool(over)

    def sources(self) -> list[bytes]:
        """Who is kept away now."""
        return list(self._until_ns)
