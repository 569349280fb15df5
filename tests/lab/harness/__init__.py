"""The lab: hosts in network namespaces, real servers on them, and wall clocks that can be shifted.

All hosts share the kernel's clock, so the true offset between any two is exactly 0 unless a test shifts one:
whatever is measured is error, and its truth is known. Nothing here touches the machine's own clock, addresses
or routes.
"""

from lab.harness.chrony import ChronyClient, ChronyServer
from lab.harness.clocks import monotonic_s, wait_until, wall_ns
from lab.harness.delays import Constant, LogNormal, Normal, Pareto, Trace
from lab.harness.firewall import Firewall
from lab.harness.leapserver import LeapServer
from lab.harness.link import Conditions, Counters, Direction, Link
from lab.harness.load import CpuLoad
from lab.harness.mesh import Mesh, Node
from lab.harness.network import Host, Network, Response, free_port, this_machine
from lab.harness.ntp import NtpAnswer, ntp_exchange
from lab.harness.prerequisites import executable, missing_for_browser, missing_for_lab
from lab.harness.processes import CommandResult, Process
from lab.harness.programs import Agent, Analyzer, truechimer
from lab.harness.shiftclock import ShiftedClock, build_shiftclock
from lab.harness.victoria import Series, VictoriaMetrics

__all__ = [
    "Agent",
    "Analyzer",
    "ChronyClient",
    "ChronyServer",
    "CommandResult",
    "Conditions",
    "Constant",
    "Counters",
    "CpuLoad",
    "Direction",
    "Firewall",
    "Host",
    "LeapServer",
    "Link",
    "LogNormal",
    "Mesh",
    "Network",
    "Node",
    "Normal",
    "NtpAnswer",
    "Pareto",
    "Process",
    "Response",
    "Series",
    "ShiftedClock",
    "Trace",
    "VictoriaMetrics",
    "build_shiftclock",
    "executable",
    "free_port",
    "missing_for_browser",
    "missing_for_lab",
    "monotonic_s",
    "ntp_exchange",
    "this_machine",
    "truechimer",
    "wait_until",
    "wall_ns",
]
