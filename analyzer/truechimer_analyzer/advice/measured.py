"""What was measured, as products' rules see it: what is unknown says how to get it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOW_TO_MEASURE: Mapping[str, str] = {
    "rtt_p99_s": "round trips: let the agents probe each other (mesh, or [[probe]])",
    "rtt_max_s": "round trips: let the agents probe each other (mesh, or [[probe]])",
    "rtt_mean_max_s": "round trips: let the agents probe each other (mesh, or [[probe]])",
    "one_way_s": "one-way delays: let the agents probe each other (mesh) with their clocks bounded (ntp)",
    "pause_max_s": "pauses: let the agents watch their hosts (pauses) and members' processes ([[process]])",
    "fsync_p99_s": "the disk: name the product's folder ([[disk]])",
    "epsilon_s": "how far apart the clocks can be: servers of time (ntp) on every member, and the mesh",
    "reply_s": "a request timeout that meets the target: more probes, or a higher --false-per-month",
    "connect_s": "a connect timeout that meets the target: TCP probes ([[probe]] of kind tcp)",
    "silence": "how long live members are silent: probes and pauses of the members",
    "reply": "round trips: let the agents probe each other (mesh, or [[probe]])",
    "connect": "opening connections: TCP probes ([[probe]] of kind tcp)",
}


@dataclass(frozen=True, slots=True)
class Stream:
    """A kind of false alarm, both ways: the timeout for the tolerated rate, and the rate of a timeout.

    ``timeout_s(every_s)`` is the shortest supported timeout for the target, None where the evidence does
    not reach it; ``false_per_month(every_s, timeout_s)`` how many false alarms a month there are at most
    (upper bound), None where nothing can be said; ``refusal(every_s)`` why there is no timeout, ``note`` what
    is to be known about it.
    """

    timeout_s: Callable[[float], float | None]
    false_per_month: Callable[[float, float], float | None]
    refusal: Callable[[float], str | None] | None = None
    note: Callable[[float], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """The quantities that rules name (``schema.QUANTITIES``, seconds) and the evidence that they call.

    None is "not measured". ``owners`` says of a quantity or of an evidence's name who or what makes it so
    long: ``pause:gc@kafka-2``, ``path:a>b/tcp``.
    """

    rtt_p99_s: float | None = None
    rtt_max_s: float | None = None
    rtt_mean_max_s: float | None = None
    one_way_s: float | None = None
    pause_max_s: float | None = None
    fsync_p99_s: float | None = None
    epsilon_s: float | None = None
    reply_s: float | None = None
    connect_s: float | None = None
    silence: Stream | None = None
    reply: Stream | None = None
    connect: Stream | None = None
    owners: Mapping[str, str] = field(default_factory=dict)

    def quantities(self) -> dict[str, float | None]:
        """The numbers by their names in rules."""
        return {
            "rtt_p99_s": self.rtt_p99_s,
            "rtt_max_s": self.rtt_max_s,
            "rtt_mean_max_s": self.rtt_mean_max_s,
            "one_way_s": self.one_way_s,
            "pause_max_s": self.pause_max_s,
            "fsync_p99_s": self.fsync_p99_s,
            "epsilon_s": self.epsilon_s,
            "reply_s": self.reply_s,
            "connect_s": self.connect_s,
        }

    def stream(self, name: str) -> Stream | None:
        """The evidence ``silence``, ``reply`` or ``connect``."""
        return {"silence": self.silence, "reply": self.reply, "connect": self.connect}[name]

    def missing(self, name: str, every_s: float | None = None) -> str:
        """What to say where ``name`` is unknown: why the evidence refuses, or how to measure it."""
        stream = self.stream(name) if name in {"silence", "reply", "connect"} else None
        if stream is not None and stream.refusal is not None and every_s is not None:
            said = stream.refusal(every_s)
            if said:
                return said
        return HOW_TO_MEASURE.get(name, name)
