"""Runs the agent's own estimator, clock watch and publisher through one scenario, and checks every answer.

Polls are driven as the ``ntp`` collector drives them, the segment is published as the ``bound`` collector
does; only sockets and the event loop are replaced, by a queue of events in awake time.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from agent.campaign import tally as classes
from agent.campaign.host import NS, SimulatedClocks
from agent.campaign.scenario import ASSUMPTIONS_BROKEN, MAX_DRIFT_PPB, MS, WANDER_PPB, draw
from agent.campaign.tally import Tally

from truechimer.clock import NoBound, interval_at
from truechimer.codes import BoundReason, BoundStatus, EventKind, NtpOutcome, ServerReason
from truechimer_agent.bounds.estimator import Action, Estimator
from truechimer_agent.bounds.intervals import PPB
from truechimer_agent.collectors.bound import Bounds
from truechimer_agent.collectors.ntp import LOSSES_THAT_END_A_BURST
from truechimer_agent.hostclock import HostClock
from truechimer_agent.ntp.exchange import Exchange, Failure, Request, judge
from truechimer_agent.ntp.haste import Haste
from truechimer_agent.ntp.plan import OWN_GAP_S, START_BURST
from truechimer_agent.packettimes.times import times_of
from truechimer_agent.wallwatch import WallWatch

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from agent.campaign.scenario import Scenario
    from agent.campaign.servers import SimulatedServer

    from truechimer.readings import Reading
    from truechimer.segment import Published
    from truechimer_agent.bounds.bound import Bound

TIMEOUT_NS = 2 * NS
WATCH_NS = NS // 4
ROUNDING_NS = 3
"""What the simulation's own truth may be off by: it is made of floats."""
_BUSY_BEFORE_NS = 8 * NS
_BUSY_AFTER_NS = 12 * NS
_MOST_FINDINGS = 3


class _Segment:
    """Keeps what would stand in the segment, and for how long there is an interval."""

    def __init__(self, tally: Tally) -> None:
        self.published: Published | None = None
        self.now_ns = 0
        self._tally = tally
        self._since_ns = 0
        self._last_good_ns: int | None = None

    def write(self, published: Published) -> None:
        self.account()
        self.published = published

    def account(self) -> None:
        """Count the time since the last account, by what has stood there."""
        elapsed_ns, self._since_ns = self.now_ns - self._since_ns, self.now_ns
        self._tally.total_ns += elapsed_ns
        standing = self.published
        if standing is None or standing.status not in (BoundStatus.SYNCHRONIZED, BoundStatus.HOLDOVER):
            return
        if self._last_good_ns is not None:
            gap_ns = self.now_ns - elapsed_ns - self._last_good_ns
            self._tally.longest_gap_ns = max(self._tally.longest_gap_ns, gap_ns)
        self._tally.covered_ns += elapsed_ns
        self._last_good_ns = self.now_ns


class _Poll:
    """One burst under way, or the next one that is waited for."""

    def __init__(self, server: SimulatedServer, due_ns: int) -> None:
        self.server = server
        self.due_ns = due_ns
        self.burst = 0
        self.number = 0
        self.losses = 0
        self.answered = False


class Run:
    """One scenario, from its first poll to its end."""

    def __init__(self, scenario: Scenario, rng: random.Random) -> None:
        self._scenario = scenario
        self._rng = rng
        self._host = scenario.host
        self._queue: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._order = 0
        self._now_ns = 0
        self._clocks = SimulatedClocks(self._host, rng)
        self._clock = HostClock(self._clocks, None)
        self._watch = WallWatch(self._clock.steady(), self._clocks.read())
        self._estimator = Estimator(
            [server.name for server in scenario.servers],
            max_drift_ppb=MAX_DRIFT_PPB,
            wander_ppb=WANDER_PPB,
            tolerated=None,
        )
        self.tally = Tally(scenario.kind, scenarios=1)
        self._segment = _Segment(self.tally)
        self._bounds = Bounds(self._clock, lambda _: None, self._estimator, self._segment)  # type: ignore[arg-type]
        self._clock.on_epoch(self._estimator.begin_epoch)
        self._clock.on_epoch(self._forget_hidden)
        self._clock.on_epoch(self._ask_at_once)
        self._clock.on_epoch(self._publish)
        self._clock.on_step(self._publish)
        self._haste = Haste(scenario.interval_ns / NS)
        self._polls = [_Poll(server, 0) for server in scenario.servers]
        self._last: Exchange | None = None
        self._hidden_from_ns: int | None = None
        self._unnoticed = False
        self._watch_phase_ns = rng.randrange(WATCH_NS)
        self._tainted_until: tuple[int, int] | None = None
        self._dense_until_ns = 0
        rate = len(scenario.servers) * scenario.burst / scenario.interval_ns
        self._stride = max(1, round(1.5 / rate / NS))

    # The queue

    def _at(self, awake_ns: int, act: Callable[..., None], *details: object) -> None:
        self._order += 1
        heapq.heappush(self._queue, (awake_ns, self._order, act, details))

    def _stalled_until(self, awake_ns: int) -> int | None:
        for first, last in self._scenario.stalls:
            if first <= awake_ns < last:
                return last
        return None

    def run(self) -> Tally:
        """Everything in order of awake time."""
        scenario, queue = self._scenario, self._queue
        count = len(self._polls)
        for place, poll in enumerate(self._polls):
            poll.due_ns = scenario.interval_ns * place // count
            self._at(0, self._begin_poll, poll, scenario.start_burst)
        self._at(int(self._rng.random() * NS), self._tick)
        for stop in self._host.stops:
            self._at(stop.at_ns, self._stopped, stop.traced)
        for mark in scenario.marks:
            self._at(self._next_look_ns(mark), self._look)
            for _ in range(4):
                self._at(mark + int(self._rng.random() * NS), self._read, False)
        for first, last in scenario.stalls:
            for _ in range(20):
                self._at(self._rng.randrange(first, last), self._read, False)
        readers = (self._read, self._stopped)
        while queue:
            awake_ns, order, act, details = heapq.heappop(queue)
            if awake_ns > scenario.length_ns:
                break
            if scenario.stalls and act not in readers:
                until_ns = self._stalled_until(awake_ns)
                if until_ns is not None:
                    heapq.heappush(queue, (until_ns, order, act, details))
                    continue
            self._now_ns = self._clocks.awake_ns = self._segment.now_ns = awake_ns
            act(*details)
        self._segment.account()
        self.tally.epochs = self._clock.steady().epoch
        return self.tally

    # The agent: its wall clock watch, its publisher

    def _stopped(self, traced: bool) -> None:
        if traced:
            self._unnoticed = True
        elif self._hidden_from_ns is None:
            self._hidden_from_ns = self._now_ns

    def _next_look_ns(self, awake_ns: int) -> int:
        """When the wall clock watch reads next; it does so four times a second."""
        return awake_ns + WATCH_NS - (awake_ns - self._watch_phase_ns) % WATCH_NS

    def _look(self) -> None:
        self._unnoticed = False
        for event in self._watch.feed(self._clocks.read()):
            if event.kind is EventKind.SUSPEND:
                self._clock.slept()
            elif event.kind in (EventKind.STEP, EventKind.LEAP):
                self._clock.stepped()

    def _publish(self) -> None:
        self._bounds.publish()

    def _tick(self) -> None:
        self._at(self._next_look_ns(self._now_ns), self._look)
        self._act()
        self._publish()
        stride = self._seconds_to_next_tick()
        # Ticks left out would change nothing: a reader looks within a second after one that is made.
        self._at(self._now_ns + int(self._rng.random() * NS), self._read, True)
        self._at(self._now_ns + stride * NS, self._tick)

    def _seconds_to_next_tick(self) -> int:
        """One while something happens; more in quiet times, but never past the beginning of a busy one."""
        now_ns = self._now_ns
        if now_ns < self._dense_until_ns:
            return 1
        seconds = self._rng.randint(1, 2 * self._stride)
        for mark in self._scenario.marks:
            if mark + _BUSY_AFTER_NS >= now_ns:
                return max(1, min(seconds, (mark - _BUSY_BEFORE_NS - now_ns) // NS))
        return seconds

    # The agent: its polls, as collectors/ntp.py has them

    def _forget_hidden(self) -> None:
        if self._hidden_from_ns is not None:
            self.tally.longest_hidden_ns = max(
                self.tally.longest_hidden_ns, self._now_ns - self._hidden_from_ns
            )
        self._hidden_from_ns = None
        self._tainted_until = None

    def _begin_poll(self, poll: _Poll, burst: int) -> None:
        poll.burst, poll.number, poll.losses, poll.answered = burst, 0, 0, False
        self._ask(poll.server, poll)

    def _ask(self, server: SimulatedServer, poll: _Poll | None) -> None:
        rng, host, now_ns = self._rng, self._host, self._now_ns
        self.tally.exchanges += 1
        before = self._clocks.read()
        sent_ns = self._clock.steady_now_ns()
        sent = self._clocks.read()
        epoch = self._clock.steady().epoch
        nonce = rng.getrandbits(64)
        deadline_ns = now_ns + TIMEOUT_NS
        left_ns = now_ns + 5_000 + int(rng.random() * 50_000)
        true_ns = host.true_ns(left_ns) + server.there.draw_ns(rng)
        if rng.random() >= server.loss and not server.is_silent(true_ns):
            hold_ns = 5_000 + int(rng.expovariate(1 / 50_000))
            data = server.reply(host.month, nonce, true_ns, hold_ns, rng)
            arrived_ns = host.awake_ns(true_ns + hold_ns + server.back.draw_ns(rng))
            if arrived_ns <= deadline_ns:
                late_ns = 10_000 + int(rng.expovariate(1 / 60_000))
                if rng.random() < 0.01:
                    late_ns += int(rng.random() * 20 * MS)
                request = Request(nonce, sent_ns)
                self._at(
                    arrived_ns + late_ns,
                    self._arrive,
                    server,
                    poll,
                    data,
                    request,
                    (before, sent),
                    left_ns,
                    epoch,
                    now_ns,
                    arrived_ns,
                )
                return
        self._at(deadline_ns, self._take, server, poll, Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE))

    def _arrive(
        self,
        server: SimulatedServer,
        poll: _Poll | None,
        data: bytes,
        request: Request,
        before: tuple[Reading, Reading],
        left_at_ns: int,
        epoch: int,
        asked_at_ns: int,
        arrived_at_ns: int,
    ) -> None:
        readings, stamps = (*before, self._clocks.read()), (None, None)
        if self._scenario.kernel_stamps:
            # The kernel stamps what it sends a little before it leaves.
            early_ns = int(self._rng.random() * 4_000)
            stamps = self._host.wall_ns(left_at_ns - early_ns), self._host.wall_ns(arrived_at_ns)
        times = times_of(self._clock.steady(), readings, request.sent_ns, *stamps)
        outcome = judge(data, request, times)
        if self._clock.steady().epoch != epoch:
            outcome = Failure(NtpOutcome.LOST, ServerReason.STALE)
        if isinstance(outcome, Exchange):
            self._hold_against_truth(server, outcome, left_at_ns, arrived_at_ns)
            self._notice_pause(server, outcome, asked_at_ns)
        self._take(server, poll, outcome)

    def _take(self, server: SimulatedServer, poll: _Poll | None, outcome: Exchange | Failure) -> None:
        estimator = self._estimator
        replied = isinstance(outcome, Exchange)
        if poll is not None:
            poll.answered = poll.answered or replied
            ends = poll.number == poll.burst - 1 or (
                not replied and poll.losses + 1 >= LOSSES_THAT_END_A_BURST
            )
            if ends:
                estimator.sources[server.name].polled(answered=poll.answered, no_service=False)
        if isinstance(outcome, Exchange):
            self.tally.replies += 1
            bound = estimator.reply(server.name, outcome, self._clock.steady_now_ns())
            if not server.is_liar:
                self._last = outcome
            self._check_bound(bound)
        else:
            estimator.failure(server.name, outcome)
        self._act()
        if poll is not None:
            poll.losses += not replied
            poll.number += 1
            if ends:
                self._wait(poll)
            else:
                self._at(self._now_ns + self._scenario.gap_ns, self._ask, server, poll)

    def _wait(self, poll: _Poll) -> None:
        interval_ns = self._scenario.interval_ns
        poll.due_ns += interval_ns
        if poll.due_ns < self._now_ns:
            poll.due_ns = self._now_ns + interval_ns
        self._at(poll.due_ns, self._begin_poll, poll, self._scenario.burst)

    def _act(self) -> None:
        action = self._estimator.take_action()
        if action is Action.ASK_ALL:
            self._clock.doubted()
            self._ask_at_once()
        elif action is Action.SAY:
            self._clock.doubted()
        elif action is Action.NEW_EPOCH:
            self._clock.begin_epoch()

    def _ask_at_once(self) -> None:
        if not self._haste.may(self._now_ns / NS):
            return
        self._dense_until_ns = self._now_ns + 4 * NS
        for poll in self._polls:
            for number in range(START_BURST):
                self._at(self._now_ns + number * int(OWN_GAP_S * NS), self._ask, poll.server, None)

    # Truth

    def _truth_ns(self, awake_ns: int) -> int:
        """UTC − S."""
        return self._host.utc_ns(awake_ns) - self._clock.steady().at(self._host.raw_ns(awake_ns))

    def _hold_against_truth(
        self, server: SimulatedServer, exchange: Exchange, left_at_ns: int, arrived_at_ns: int
    ) -> None:
        """An honest server's exchange must prove what is so, but for its bad stamps and leaps in between."""
        if server.is_liar:
            return
        utc_ns, steady = self._host.utc_ns(arrived_at_ns), self._clock.steady()
        early_ns = exchange.received_ns - steady.at(self._host.raw_ns(arrived_at_ns))
        if early_ns < -ROUNDING_NS:
            self._found(classes.MISSED, f"a packet's arrival was taken to be {-early_ns} ns early")
        lowest_ns = exchange.lower_ns + exchange.received_ns
        highest_ns = exchange.upper_ns + exchange.sent_ns
        late_ns = exchange.sent_ns - steady.at(self._host.raw_ns(left_at_ns))
        if late_ns > ROUNDING_NS:
            self._found(classes.MISSED, f"a packet's sending was taken to be {late_ns} ns late")
        left_ns = self._host.utc_ns(left_at_ns)
        if lowest_ns - early_ns - ROUNDING_NS <= utc_ns and left_ns + late_ns <= highest_ns + ROUNDING_NS:
            return
        server.bad_ns.add(exchange.received_ns)
        self.tally.bad_stamps += 1

    def _notice_pause(self, server: SimulatedServer, exchange: Exchange, asked_at_ns: int) -> None:
        """A pause is hidden until an honest voter's answer, asked for since, contradicts what it said."""
        since_ns = self._hidden_from_ns
        if since_ns is None or server.is_liar or asked_at_ns < since_ns:
            return
        drift = self._estimator.at(exchange.received_ns).drift
        known = self._estimator.sources[server.name].at(exchange.received_ns, drift)
        if known is not None and not (
            exchange.lower_ns <= known.upper_ns and known.lower_ns <= exchange.upper_ns
        ):
            self.tally.longest_hidden_ns = max(self.tally.longest_hidden_ns, self._now_ns - since_ns)
            self._hidden_from_ns = None
            self._tainted_until = None

    def _check_bound(self, bound: Bound) -> None:
        """The estimator's own answer, right after a reply."""
        self.tally.checks += 1
        steady_ns = self._clock.steady_now_ns()
        interval = bound.after(steady_ns)
        if interval is None:
            self._dense_until_ns = self._now_ns + 3 * NS
            return
        truth_ns = self._truth_ns(self._now_ns)
        # A reply's arrival is rounded up: the bound may be for an instant a little later than now.
        slack_ns = ROUNDING_NS + max(0, bound.steady_ns - steady_ns) * MAX_DRIFT_PPB // PPB
        off_ns = max(interval.lower_ns - truth_ns, truth_ns - interval.upper_ns)
        if off_ns > slack_ns:
            self._missed(off_ns, bound.reason, "estimator")
            self._tainted_until = (self._clock.steady().epoch, self._now_ns + 4200 * NS)

    def _read(self, compared: bool) -> None:
        """What a program that reads the segment now would be told; ``compared``: count its width too."""
        self.tally.checks += 1
        published, reading = self._segment.published, self._clocks.read()
        interval = None
        if published is not None:
            try:
                interval = interval_at(published, reading)
            except NoBound:
                interval = None
        if interval is None or published is None:
            self._dense_until_ns = self._now_ns + 3 * NS
            return
        utc_ns = self._host.utc_ns(self._now_ns)
        off_ns = max(interval.earliest_ns - utc_ns, utc_ns - interval.latest_ns)
        if off_ns > ROUNDING_NS:
            self._missed(off_ns, published.reason, "reader")
        elif compared and self._last is not None:
            self._compare(interval.width_ns, published, reading)

    def _compare(self, width_ns: int, published: Published, reading: Reading) -> None:
        """The published width against what the last exchange alone, aged alike, would give."""
        last = self._last
        if last is None:
            return
        age_ns = reading.raw_ns + published.anchor_ns - last.received_ns
        elapsed_ns = last.received_ns - last.sent_ns
        alone_ns = last.upper_ns - last.lower_ns
        upper, lower = published.frequency_upper_ppb, published.frequency_lower_ppb
        aged_ns = alone_ns + upper * elapsed_ns // PPB + (upper - lower) * age_ns // PPB
        self.tally.ratios.append(width_ns / aged_ns)
        at_most_ns = alone_ns + MAX_DRIFT_PPB * (elapsed_ns + 2 * age_ns) // PPB
        self.tally.ratios_at_most.append(width_ns / at_most_ns)

    # Misses

    def _missed(self, off_ns: int, reason: BoundReason, who: str) -> None:
        kind = self._scenario.kind
        if self._hidden_from_ns is not None:
            why = classes.HIDDEN
        elif self._unnoticed and who == "estimator":
            why = classes.UNNOTICED
        elif kind in ASSUMPTIONS_BROKEN:
            if kind == "conspiracy":
                why = classes.AGREED
            else:
                alone = reason in (BoundReason.SINGLE_SERVER, BoundReason.SOURCES_BLOCKED)
                why = classes.DECLARED if alone and kind == "alone" else classes.UNSIGNED
        elif self._wrong_servers() > self._scenario.tolerated or self._is_tainted():
            why = classes.BEYOND
        else:
            why = classes.MISSED
        self._found(why, f"{who}: off by {off_ns} ns")

    def _is_tainted(self) -> bool:
        """Whether an interval that was wrong for want of a majority still stands in the frequency."""
        if self._tainted_until is None:
            return False
        epoch, until_ns = self._tainted_until
        return epoch == self._clock.steady().epoch and self._now_ns < until_ns

    def _wrong_servers(self) -> int:
        """Liars, and honest servers of whose kept samples more are bad than are spared."""
        wrong = 0
        for server in self._scenario.servers:
            held = self._estimator.sources[server.name]._held
            spared = -(-len(held) // 100) if len(held) >= 5 else 0
            bad = sum(each.lower_at_ns in server.bad_ns for each in held) if server.bad_ns else 0
            wrong += server.is_liar or bad > spared
        return wrong

    def _found(self, why: str, what: str) -> None:
        self.tally.misses[why] += 1
        if len(self.tally.findings) < _MOST_FINDINGS and why in (classes.MISSED, classes.UNSIGNED):
            scenario = self._scenario
            self.tally.findings.append(
                f"scenario {scenario.number} ({scenario.kind}) "
                f"at awake {self._now_ns / NS:.3f} s: {what} ({why})"
            )


def run(seed: int, number: int, kind: str | None = None) -> Tally:
    """Scenario ``number`` of campaign ``seed``, from draw to tally; the same every time."""
    return Run(*draw(seed, number, kind)).run()
