"""One cell: builds a scenario's hosts, runs it, looks at the segment all the time, and judges everything."""

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lab.campaign.judging import Judge, Stop
from lab.campaign.scenario import Act, Event, Lie, Scenario, ServerPlan
from lab.campaign.tally import Tally
from lab.harness import (
    Agent,
    ChronyClient,
    ChronyServer,
    Link,
    Network,
    ShiftedClock,
    build_shiftclock,
    monotonic_s,
)
from lab.harness.sink import Sink

from truechimer.clock import Clock, NoBound
from truechimer.codes import Leap
from truechimer.errors import DecodeError, TruechimerError
from truechimer.readings import Reading, SystemClocks
from truechimer.segment import SegmentReader
from truechimer_agent.timedaemons.chrony import parse

INTERVAL_S = 2.0
LOOK_EVERY_S = 0.02
LOOKS_PER_TRACKING = 50
CONFIGURATION = """\
cluster = "lab"
node = "cell"
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"
[ntp]
servers = [{servers}]
interval_s = {interval_s}
burst = 4
timeout_s = 1.0
[[sink]]
kind = "influx"
url = "{store}"
"""


class ShiftedClocks:
    """The readings that a process under a shifted clock gets; the `last` one, and the kernel's W then."""

    def __init__(self, shifted: ShiftedClock) -> None:
        self._shifted = shifted
        self._kernel = SystemClocks()
        self.last = self._kernel.read()
        self.true_ns = self.last.wall_ns

    def read(self) -> Reading:
        """All four clocks, as they are shifted now."""
        kernel = self._kernel.read()
        shift = self._shifted.history[-1].at(kernel.raw_ns)
        self.true_ns = kernel.wall_ns
        self.last = Reading(
            kernel.wall_ns + shift.wall_ns,
            kernel.raw_ns + shift.raw_ns,
            kernel.mono_ns + shift.mono_ns,
            kernel.boot_ns + shift.boot_ns,
            kernel.width_ns,
        )
        return self.last

    def raw_ns(self) -> int:
        """RAW alone."""
        return self.read().raw_ns


@dataclass
class _Server:
    plan: ServerPlan
    chronyd: ChronyServer
    link: Link
    lie_s: float = 0.0

    def begin(self) -> None:
        """Set out on its lie."""
        match self.plan.lie:
            case Lie.OFFSET | Lie.STEPS:
                self.lie(self.plan.size)
            case Lie.DRIFT:
                self.chronyd.dfreq(self.plan.size)

    def lie(self, by_s: float) -> None:
        """Be behind by so much."""
        self.chronyd.doffset(by_s - self.lie_s)
        self.lie_s = by_s


class Cell:
    """A host with agent and chronyd under one shifted clock, its servers at the ends of links."""

    def __init__(self, scenario: Scenario, folder: Path, stack: ExitStack) -> None:
        self._scenario = scenario
        self.tally = Tally(cells=1)
        network = stack.enter_context(Network())
        host = network.host("node")
        self._servers = [self._server(network, number, plan) for number, plan in enumerate(scenario.servers)]
        self._shifted = stack.enter_context(
            ShiftedClock(build_shiftclock(folder), folder / "shift", round(scenario.wall_s * 1e9))
        )
        self._shifted.drift(scenario.drift_ppm)
        addresses = [server.link.far_address for server in self._servers]
        self._store = stack.enter_context(Sink(host))
        self._beside = stack.enter_context(ChronyClient(host, addresses, env=self._shifted.env))
        config = folder / "cell.toml"
        config.write_text(
            CONFIGURATION.format(
                folder=folder,
                interval_s=INTERVAL_S,
                servers=", ".join(f'"{address}"' for address in addresses),
                store=self._store.url,
            )
        )
        self._agent = stack.enter_context(Agent(host, config, env=self._shifted.env, wait=False))
        self._clocks = ShiftedClocks(self._shifted)
        self._clock = Clock(folder / "run/clock", self._clocks)
        self._segment = SegmentReader(folder / "run/clock")
        honest = {server.link.far_address for server in self._servers if server.plan.lie is Lie.NONE}
        self._judge = Judge(self.tally, self._shifted, honest)

    @staticmethod
    def _server(network: Network, number: int, plan: ServerPlan) -> _Server:
        host = network.host(f"ntp{number}")
        chronyd = ChronyServer(host)
        link = network.link(network.hosts["node"], host, seed=number)
        link.forward.set(delay=plan.there, loss=plan.loss_there)
        link.backward.set(delay=plan.back, loss=plan.loss_back)
        server = _Server(plan, chronyd, link)
        server.begin()
        return server

    def run(self, seconds: float) -> None:
        """Let the scenario happen, then stop the agent and judge what it sent."""
        pause = threading.Event()
        began_s = monotonic_s()
        due = list(self._scenario.events)
        looks = 0
        while (at_s := monotonic_s() - began_s) < seconds:
            while due and due[0].at_s <= at_s:
                self._do(due.pop(0))
            if looks % LOOKS_PER_TRACKING == 0:
                self._ask_beside()
            self._look()
            looks += 1
            pause.wait(LOOK_EVERY_S)
        if self._beside.process.exit_code is not None:
            self.tally.findings.append(f"the chronyd beside ended: {self._beside.process.log_text()[-500:]}")
        anchor_ns = self._segment.read().anchor_ns
        self._agent.stop()
        if self._store.refused:
            self.tally.findings.append(f"the store refused {self._store.refused} lines")
        self._judge.samples(self._store.all_samples(), anchor_ns)

    def _look(self) -> None:
        try:
            interval = self._clock.now()
        except NoBound as error:
            if error.reason != "no_agent":  # it has yet to start
                self._judge.no_bound(error.reason)
        else:
            self._judge.look(interval, self._clocks.last, self._clocks.true_ns)

    def _ask_beside(self) -> None:
        """ClockBound's formula on the chronyd beside, ± (|offset| + root dispersion + root delay / 2).

        Its width is taken without the offset: under -x chronyd may not set W right, and its interval would
        be wide for that alone. Whether it holds the truth is asked of the same interval around that offset.
        """
        try:
            believed = parse(self._beside.chronyc("tracking", check=False))
        except DecodeError:
            believed = None
        self._clocks.read()
        judge, judge.tracking_width_s = self._judge, None
        if believed is None or believed.leap is Leap.UNSYNCHRONISED or believed.system_time_s is None:
            return
        half_s = (believed.root_dispersion_s or 0.0) + (believed.root_delay_s or 0.0) / 2
        judge.tracking_width_s = 2 * half_s
        truth_s = (self._clocks.true_ns - self._clocks.last.wall_ns) / 1e9
        judge.beside(missed=abs(truth_s - believed.system_time_s) > half_s)

    def _do(self, event: Event) -> None:
        self.tally.acts[event.act.name.lower()] += 1
        shifted, value = self._shifted, event.value
        match event.act:
            case Act.STEP:
                shifted.step_ns(round(value * 1e9))
            case Act.SLEW:
                shifted.slew(value)
            case Act.WANDER:
                shifted.drift(value)
            case Act.SUSPEND | Act.PAUSE:
                self._stop(event)
            case Act.CUT | Act.MEND:
                link = self._servers[int(value)].link
                link.forward.set(partitioned=event.act is Act.CUT)
            case Act.LIE:
                for server in self._servers:
                    if server.plan.lie is Lie.STEPS:
                        server.lie(-server.lie_s)

    def _stop(self, event: Event) -> None:
        traced = event.act is Act.SUSPEND
        stand = self._shifted.suspend if traced else self._shifted.pause_machine
        epoch = self._epoch()
        stand([self._agent.process, self._beside.process], event.value)
        went_on = self._shifted.history[-1]
        self._judge.stops.append(Stop(went_on.from_raw_ns + went_on.raw_ns, epoch, traced=traced))

    def _epoch(self) -> int | None:
        try:
            return self._segment.read().epoch
        except TruechimerError:
            return None


def run(scenario: Scenario, seconds: float, folder: Path) -> Tally:
    """Run one cell to its end."""
    with ExitStack() as stack:
        cell = Cell(scenario, folder, stack)
        cell.run(seconds)
        return cell.tally
