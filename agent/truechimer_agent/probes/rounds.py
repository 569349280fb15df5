"""The beat of all probes of a kind: timers, addresses, what is in flight, and what must not be lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.probes.outcomes import LATE_NS, Result, is_of_the_route
from truechimer_agent.probes.schedule import FIRST_WITHIN_S, first_due_s, grid_start_s, next_due_s, spread
from truechimer_agent.probes.settling import Settling
from truechimer_agent.probes.targets import look_up

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from truechimer.codes import Via
    from truechimer_agent.collecting import Host
    from truechimer_agent.pauses.stalllog import StallLog
    from truechimer_agent.probes.targets import Address, Target

IN_FLIGHT_LIMIT = 16
_LOOK_S = 0.02
NS = 1_000_000_000


class Rounds:
    """Calls ``begin(target, address)`` whenever a probe is due; everything runs in the loop's callbacks.

    ``begin`` sends, and returns the result when sending alone decides it.
    """

    def __init__(
        self,
        host: Host,
        targets: Sequence[Target],
        stalls: StallLog,
        via: Via,
        begin: Callable[[Target, Address], Result | None],
        lookup: Callable[[str, int], Awaitable[Sequence[Address]]] = look_up,
        most_in_flight: int | None = None,
    ) -> None:
        self._host = host
        self._targets = targets
        self._most_in_flight = IN_FLIGHT_LIMIT if most_in_flight is None else most_in_flight
        self._stalls = stalls
        self._begin = begin
        self._lookup = lookup
        self._settling = Settling(host, stalls, via)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._start_s = 0.0
        self._running = False
        self._defect: Exception | None = None
        self._wants: str | None = None
        self._skipped_told = 0

    def start(self) -> None:
        """Begin the beat of every target, and look their names up."""
        self._start_s = grid_start_s(asyncio.get_running_loop().time())
        self._running = True
        self._share_out()
        for target in self._targets:
            self._begin_beat(target, first_due_s(self._start_s, target.interval_s, target.share))

    def change(self, targets: Sequence[Target]) -> None:
        """Go on with these targets: those that stay keep their beat, up to their place in the interval."""
        before, self._targets = self._targets, targets
        gone = [target for target in before if target not in targets]
        for target in gone:
            if (timer := self._timers.pop(target.name, None)) is not None:
                timer.cancel()
            if target.resolution is not None:
                target.resolution.cancel()
            self._skipped_told -= target.skipped
        self._share_out()
        now_s = asyncio.get_running_loop().time()
        for target in targets:
            if target not in before:
                wait_s = target.share * min(target.interval_s, FIRST_WITHIN_S)
                self._begin_beat(target, now_s + wait_s)

    def _share_out(self) -> None:
        shares = spread(target.name for target in self._targets)
        for target in self._targets:
            target.share = shares[target.name]

    def _begin_beat(self, target: Target, due_s: float) -> None:
        self._timers[target.name] = asyncio.get_running_loop().call_at(due_s, self._due, target, due_s)
        self._refresh(target)

    async def stop(self) -> None:
        """End every timer and look-up, and hand over what waits for judgement."""
        self._running = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        lookups = [target.resolution for target in self._targets if target.resolution is not None]
        for task in lookups:
            task.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
        for target in self._targets:
            target.resolution = None
            target.waiting_ns.clear()
        self._settling.flush()

    async def finish(self, longest_s: float) -> None:
        """Begin no more probes; wait until those in flight have ended, at most ``longest_s``."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + longest_s
        # Only `once` asks this, at its end: an event would be work at every probe of the daemon.
        while loop.time() < until_s and any(target.busy for target in self._targets):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)

    def check(self) -> None:
        """Hand over what waits; raise, once, what went wrong since this was asked last."""
        self._settling.flush()
        if self._defect is not None:
            defect, self._defect = self._defect, None
            raise defect
        if self._wants is not None:
            wants, self._wants = self._wants, None
            raise CollectFailure(f"probes were not sent: {wants}")
        skipped = sum(target.skipped for target in self._targets)
        if skipped > self._skipped_told:
            count, self._skipped_told = skipped - self._skipped_told, skipped
            raise CollectFailure(
                f"{count} probes were not sent: {self._most_in_flight} of their target were still in flight",
                hint="give the probe a longer interval_s or a shorter timeout_s",
            )

    def guarded(self, act: Callable[[], None]) -> None:
        """Run part of a callback; a defect is kept for ``check``, and the beat goes on."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - a defect in a callback would otherwise end in the loop's log
            self._defect = error

    def want(self, error: OSError) -> None:
        """This host could not send for want of something of its own: no sample, but a failure told."""
        self._wants = error.strerror or str(error)

    def ended(self, target: Target, address: Address, result: Result) -> None:
        """Take a probe's end."""
        target.heard(address, result.outcome)
        self._settling.take(result)

    def late(self, late_s: float) -> None:
        """Note that the loop came late to something by so much."""
        late_ns = round(late_s * NS)
        if late_ns > LATE_NS:
            now_ns = self._host.steady_now_ns()
            self._stalls.add(now_ns - late_ns, now_ns)

    def _due(self, target: Target, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self.late(now_s - due_s)
        following_s = next_due_s(self._start_s, target.interval_s, target.share, now_s)
        self._timers[target.name] = loop.call_at(following_s, self._due, target, following_s)
        self.guarded(lambda: self._probe(target))

    def _probe(self, target: Target) -> None:
        self._refresh(target)
        address = target.address
        if address is None:
            self._give_up_waiting(target, older_than_s=target.timeout_s)
            target.waiting_ns.append(self._host.steady_now_ns())
        elif target.in_flight >= self._most_in_flight:
            target.skipped += 1
        else:
            self._send(target, address)

    def _send(self, target: Target, address: Address) -> None:
        result = self._begin(target, address)
        for _ in range(target.address_count - 1):
            if result is None or not is_of_the_route(result.outcome):
                break
            # No packet has left: another address of the name may have a route.
            target.move_on()
            address = target.address or address
            result = self._begin(target, address)
        if result is not None:
            self.ended(target, address, result)

    def _refresh(self, target: Target) -> None:
        if target.needs_resolving():
            name = f"resolve {target.name}"
            target.resolution = asyncio.create_task(target.resolve(self._lookup), name=name)
            target.resolution.add_done_callback(lambda task: self._resolved(target, task))

    def _resolved(self, target: Target, task: asyncio.Task[None]) -> None:
        if task.cancelled() or not self._running:
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._defect = error
        address = target.address
        if address is None:
            self._give_up_waiting(target, older_than_s=0.0)
        elif target.waiting_ns:
            target.waiting_ns.clear()
            self.guarded(lambda: self._send(target, address))

    def _give_up_waiting(self, target: Target, *, older_than_s: float) -> None:
        """The probes that have waited too long for an address are samples too: unresolved."""
        now_ns = self._host.steady_now_ns()
        epoch = self._host.steady().epoch
        before_ns = now_ns - round(older_than_s * NS)
        for due_ns in [due_ns for due_ns in target.waiting_ns if due_ns <= before_ns]:
            target.waiting_ns.remove(due_ns)
            outcome, noted = ProbeOutcome.UNRESOLVED, target.noted
            self._settling.take(Result(target.peer, outcome, due_ns, now_ns, epoch, noted=noted))
