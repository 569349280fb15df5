"""Recordings judged: bounds hold the truth under disturbance, and a liar is named."""

import numpy as np
from lab.mesh.judging import Containment, Naming, Widths
from lab.mesh.recorded import Hidden, Recorded
from lab.mesh.recording import Disturbed, Lied

MARGIN_S = 0.3
"""Of a round that ends: what was sent in it is back, and stamped within the clocks' bounds of UTC."""


def judge_disturbed(recording: Disturbed) -> tuple[Containment, Widths]:
    """Ask `skew` as of every round, and hold all that it proves against the truth.

    Widths are of pairs that are linked directly, and of nodes that have NTP all the time.
    """
    recorded, plan = recording.samples(), recording.plan
    own_widths = OwnWidths(recorded)
    found, direct = Containment(), Widths()
    step_ns = round(recording.interval_s * 1e9)
    for to_ns in range(recording.happened.began_ns, recording.happened.ended_ns, step_ns):
        (cluster,) = recorded.skew(to_ns)["clusters"]
        at_ns = found.judge(cluster, recording.truth.ahead_s)
        if at_ns is not None:
            own = {name: each for name, each in own_widths.at(at_ns).items() if name not in plan.without_ntp}
            beside = [
                each for each in cluster["pairs"] if frozenset((each["a"], each["b"])) not in recording.lines
            ]
            direct.compare({"pairs": beside}, own)
    return found, direct


class OwnWidths:
    """How wide each node's own bound of UTC was."""

    def __init__(self, recorded: Recorded) -> None:
        rows = recorded.rows("truechimer_bound")
        width_s = rows.fields["upper_seconds"] - rows.fields["lower_seconds"]
        self._nodes = {
            name: (rows.time_ns[mine], width_s[mine])
            for name in sorted(set(rows.tags["node"].tolist()))
            for mine in [np.flatnonzero((rows.tags["node"] == name) & np.isfinite(width_s))]
        }

    def at(self, at_ns: int) -> dict[str, float]:
        """By node, the width of its last bound before an instant."""
        found = {}
        for name, (time_ns, width_s) in self._nodes.items():
            if last := np.searchsorted(time_ns, at_ns):
                found[name] = float(width_s[last - 1])
        return found


def judge_lies(recording: Lied) -> Naming:
    """Ask `skew` as of the end of every round of every lie: who is certain, and what holds.

    Of earlier lies nothing is seen: as if the liar had not been reached while it lied.
    """
    found = Naming()
    recorded, margin_ns = recording.samples(), round(MARGIN_S * 1e9)
    for number, trial in enumerate(recording.trials):
        seen = recorded.hiding(
            [
                Hidden(each.node, each.since_ns - margin_ns, each.until_ns + margin_ns)
                for each in recording.trials[:number]
            ]
        )
        certain: int | None = None
        for each in range(1, recording.lying_rounds + 1):
            to_ns = trial.since_ns + round((each * recording.interval_s + MARGIN_S) * 1e9)
            (cluster,) = seen.skew(to_ns)["clusters"]
            named = found.answered(cluster, [trial.node], recording.truth.ahead_s)
            if named and certain is None:
                certain = each
        found.rounds[certain] += 1
    return found
