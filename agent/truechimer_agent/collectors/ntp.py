"""ntp: exchanges with NTP servers; what they prove goes to the estimator, every exchange is a sample."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from truechimer.codes import EventKind, NtpOutcome, ServerReason, ServerVerdict
from truechimer.readings import monotonic_s
from truechimer_agent.bounds.estimator import Action
from truechimer_agent.bounds.source import NO_SERVICE
from truechimer_agent.collecting import Observation
from truechimer_agent.ntp.client import Address, exchange, resolve
from truechimer_agent.ntp.exchange import Exchange, Failure
from truechimer_agent.ntp.haste import Haste
from truechimer_agent.ntp.plan import OWN_GAP_S, START_BURST
from truechimer_agent.packettimes.kernelstamps import Stamping

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from truechimer.config.model import NtpConfig
    from truechimer_agent.bounds.bound import Bound
    from truechimer_agent.bounds.estimator import Estimator
    from truechimer_agent.hostclock import HostClock
    from truechimer_agent.ntp.plan import Plan, Server

NS = 1e9
KISS_INTERVAL_LIMIT_S = 1024.0
DENIED_RETRY_S = 3600.0
LOSSES_THAT_END_A_BURST = 2
LOOKUP_S = 5.0
_KISSED = {ServerReason.KISS_RATE, ServerReason.KISS_DENY}

log = logging.getLogger("truechimer.ntp")


class Ntp:
    """One task per server; the servers of a plan are spread over its interval after the first burst."""

    interval_s = 1.0

    def __init__(
        self,
        clock: HostClock,
        emit: Callable[[Observation], None],
        config: NtpConfig,
        plan: Plan,
        estimator: Estimator,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._config = config
        self._plan = plan
        self._estimator = estimator
        self._tasks: list[asyncio.Task[None]] = []
        self._stamping: Stamping | None = None
        self._addresses: dict[str, Address] = {}
        self._moves: dict[str, int] = {}
        self._haste = Haste(plan.interval_s)
        self._bursts: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to poll every server."""
        self._stamping = Stamping(wanted=self._config.kernel_timestamps)
        self._clock.on_epoch(self._ask_at_once)
        count = max(1, len(self._plan.servers))
        self._tasks = [
            asyncio.create_task(self._poll_for_ever(server, number / count), name=f"ntp {server.name}")
            for number, server in enumerate(self._plan.servers)
        ]

    async def ask_once(self) -> None:
        """One burst to every server, without beginning to poll."""
        self._stamping = Stamping(wanted=self._config.kernel_timestamps)
        try:
            await asyncio.gather(
                *(self.poll(server, self._plan.start_burst) for server in self._plan.servers)
            )
            await asyncio.gather(*self._bursts)
        finally:
            await self.close()

    async def collect(self) -> list[Observation]:
        """Nothing by the clock: the polls emit. Raises what ended a poll that must not end."""
        self._act()
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
        return []

    async def close(self) -> None:
        """Stop polling."""
        tasks = [*self._tasks, *self._bursts]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []
        if self._stamping is not None:
            self._stamping.close()

    async def _poll_for_ever(self, server: Server, phase: float) -> None:
        interval_s = self._plan.interval_s
        due_s = monotonic_s() + interval_s * phase
        reason = await self.poll(server, self._plan.start_burst)
        while True:
            if reason is ServerReason.KISS_RATE:
                interval_s = min(2 * interval_s, KISS_INTERVAL_LIMIT_S)
                log.warning("%s asks for less: polling every %.0f s", server.name, interval_s)
            wait_s = DENIED_RETRY_S if reason is ServerReason.KISS_DENY else interval_s
            due_s += wait_s
            now_s = monotonic_s()
            if due_s < now_s:
                due_s = now_s + wait_s
            await asyncio.sleep(due_s - now_s)
            reason = await self.poll(server, self._plan.burst)

    async def poll(self, server: Server, burst: int) -> ServerReason:
        """One burst to one server; why its last exchange did not count, if so."""
        losses = 0
        answered = False
        no_service = True
        outcome: Exchange | Failure = Failure(NtpOutcome.UNRESOLVED, ServerReason.UNRESOLVED)
        for number in range(burst):
            if number:
                await asyncio.sleep(self._plan.gap_s)
            outcome = await self._exchange(server)
            replied = isinstance(outcome, Exchange)
            answered = answered or replied
            no_service = no_service and isinstance(outcome, Failure) and outcome.outcome in NO_SERVICE
            if number == burst - 1 or (not replied and losses + 1 >= LOSSES_THAT_END_A_BURST):
                self._estimator.sources[server.name].polled(answered=answered, no_service=no_service)
            self._take(server, outcome)
            losses += not replied
            if losses >= LOSSES_THAT_END_A_BURST:
                break
        if not answered and not self._estimator.sources[server.name].is_reached:
            self._forget_address(server)
        return ServerReason.NONE if isinstance(outcome, Exchange) else outcome.reason

    def _forget_address(self, server: Server) -> None:
        if self._addresses.pop(server.name, None) is not None:
            self._moves[server.name] = self._moves.get(server.name, 0) + 1

    async def _exchange(self, server: Server) -> Exchange | Failure:
        address = self._addresses.get(server.name) or await self._locate(server)
        if address is None:
            return Failure(NtpOutcome.UNRESOLVED, ServerReason.UNRESOLVED)
        stamps = self._stamping is not None and self._stamping.works
        outcome = await exchange(self._clock, address, self._config.timeout_s, kernel_timestamps=stamps)
        if isinstance(outcome, Failure) and outcome.outcome is NtpOutcome.NET_UNREACHABLE:
            self._forget_address(server)
        return outcome

    async def _locate(self, server: Server) -> Address | None:
        """An address of the server: another one each time that the last was given up."""
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await resolve(server.host, server.port)
        except (UnicodeError, OSError):  # of which TimeoutError is one
            return None
        if server.of_pool:
            taken = set(self._addresses.values())
            found = [address for address in found if address not in taken]
        if not found:
            return None
        address = found[self._moves.get(server.name, 0) % len(found)]
        self._addresses[server.name] = address
        return address

    def _take(self, server: Server, outcome: Exchange | Failure) -> None:
        if isinstance(outcome, Exchange):
            bound = self._estimator.reply(server.name, outcome, self._clock.steady_now_ns())
            self._emit(self._replied(server, outcome, bound))
        else:
            self._estimator.failure(server.name, outcome)
            self._emit(self._failed(server, outcome))
        self._act()

    def _act(self) -> None:
        """Do what the estimator needs done."""
        action = self._estimator.take_action()
        if action is Action.ASK_ALL:
            self._clock.doubted()
            self._ask_at_once()
        elif action is Action.SAY:
            self._clock.doubted()
        elif action is Action.NEW_EPOCH:
            if self._estimator.last_jump_ns is not None:
                self._emit(self._jumped(self._estimator.last_jump_ns))
            self._clock.begin_epoch()

    def _ask_at_once(self) -> None:
        """A burst to everybody: in a new epoch, or in doubt, only newer exchanges count."""
        if not self._haste.may(monotonic_s()):
            return
        for server in self._plan.servers:
            if self._estimator.sources[server.name].reason not in _KISSED:
                self._begin(self._burst(server))

    def _begin(self, burst: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(burst)
        self._bursts.add(task)
        task.add_done_callback(self._bursts.discard)

    async def _burst(self, server: Server) -> None:
        """Ask a server several times at once: a loss or two must not delay the answer."""

        async def ask(number: int) -> None:
            await asyncio.sleep(number * OWN_GAP_S)
            self._take(server, await self._exchange(server))

        await asyncio.gather(*(ask(number) for number in range(START_BURST)))

    def _jumped(self, size_ns: int) -> Observation:
        """The servers found that all clocks of this host stood still for a while."""
        steady_ns = self._clock.steady_now_ns()
        fields = {
            "size_seconds": size_ns / NS,
            "steady_seconds": steady_ns / NS,
            "epoch": self._clock.steady().epoch,
        }
        return Observation("truechimer_clock_event", steady_ns, fields, {"kind": EventKind.VM_RESTORE.value})

    def _replied(self, server: Server, reply: Exchange, bound: Bound) -> Observation:
        reading = self._clock.clocks.read()
        d_ns = self._clock.wall_minus_steady_ns(reading)
        half_ns = (reading.width_ns + 1) // 2
        upper_ns = bound.drift.upper_after(reply.upper_ns, reply.received_ns - reply.sent_ns)
        fields = {
            "outcome": int(NtpOutcome.REPLY),
            "offset_seconds": (reply.offset_ns - d_ns) / NS,
            "delay_seconds": reply.delay_ns / NS,
            "lower_seconds": math.nextafter((reply.lower_ns - d_ns - half_ns) / NS, -math.inf),
            "upper_seconds": math.nextafter((upper_ns - d_ns + half_ns) / NS, math.inf),
            "root_delay_seconds": float(reply.header.root_delay_s),
            "root_dispersion_seconds": float(reply.header.root_dispersion_s),
            "stratum": reply.header.stratum,
            "leap": reply.header.leap,
        }
        judged = next(judged for judged in bound.servers if judged.server == server.name)
        return self._observation(server, reply.received_ns, fields, judged.verdict, judged.reason)

    def _failed(self, server: Server, failure: Failure) -> Observation:
        fields: dict[str, float | int] = {"outcome": int(failure.outcome)}
        if failure.header is not None:
            fields["stratum"] = failure.header.stratum
            fields["leap"] = failure.header.leap
        at_ns = failure.received_ns if failure.received_ns is not None else self._clock.steady_now_ns()
        return self._observation(server, at_ns, fields, ServerVerdict.UNUSABLE, failure.reason)

    def _observation(
        self,
        server: Server,
        steady_ns: int,
        fields: dict[str, float | int],
        verdict: ServerVerdict,
        reason: ServerReason,
    ) -> Observation:
        fields |= {
            "verdict": int(verdict),
            "reason": int(reason),
            "reach": self._estimator.sources[server.name].reach,
            "steady_seconds": steady_ns / NS,
            "epoch": self._clock.steady().epoch,
        }
        return Observation("truechimer_ntp", steady_ns, fields, {"server": server.name})
