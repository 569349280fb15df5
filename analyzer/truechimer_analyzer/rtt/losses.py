"""Losses: their share with what the exposure allows to say, and their directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from truechimer_analyzer.rtt.settling import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

CONFIDENCE = 0.95
COUNTERS = ("sent", "received", "lost_forward", "lost_backward", "unknown", "reordered", "duplicated")


@dataclass(frozen=True, slots=True)
class Counted:
    """What rows of truechimer_path say of one path; None where no row tells."""

    sent: int | None
    received: int | None
    lost_forward: int | None
    lost_backward: int | None
    lost_unknown: int | None
    lost_undetermined: int | None
    reordered: int | None
    duplicated: int | None

    def document(self) -> dict[str, object]:
        """As the contract has them, with the shares of each direction."""
        return {
            "sent": self.sent,
            "received": self.received,
            "lost_forward": self.lost_forward,
            "lost_backward": self.lost_backward,
            "lost_undetermined": self.lost_undetermined,
            "lost_unknown": self.lost_unknown,
            "reordered": self.reordered,
            "duplicated": self.duplicated,
            **self._shares(),
        }

    def _shares(self) -> dict[str, float | None]:
        forward, backward = self.lost_forward, self.lost_backward
        if forward is None or backward is None or self.received is None:
            return dict.fromkeys(
                (
                    "loss_forward_ratio",
                    "loss_forward_upper",
                    "loss_backward_ratio",
                    "loss_backward_upper",
                )
            )
        # Where the direction is open, either may have lost it.
        either = (self.lost_undetermined or 0) + (self.lost_unknown or 0)
        there = self.received + forward + backward + either
        back = self.received + backward + either
        return {
            "loss_forward_ratio": ratio(forward, there),
            "loss_forward_upper": upper(forward + either, there),
            "loss_backward_ratio": ratio(backward, back),
            "loss_backward_upper": upper(backward + either, back),
        }


UNTOLD = Counted(None, None, None, None, None, None, None, None)


def counted(fields: Mapping[str, NDArray[np.float64]], rows: NDArray[np.intp]) -> Counted:
    """The counts of one path's rows, given in time order.

    What an earlier session left undetermined stays unknown: nobody counts it any more.
    """
    sums = {name: told(fields[name][rows]) for name in COUNTERS}
    levels = _last_of_each_session(fields["session"][rows], fields["undetermined"][rows])
    gone = sum(levels[:-1])
    return Counted(
        sent=sums["sent"],
        received=sums["received"],
        lost_forward=sums["lost_forward"],
        lost_backward=sums["lost_backward"],
        lost_unknown=(sums["unknown"] or 0) + gone if levels or sums["unknown"] is not None else None,
        lost_undetermined=levels[-1] if levels else None,
        reordered=sums["reordered"],
        duplicated=sums["duplicated"],
    )


def open_level(fields: Mapping[str, NDArray[np.float64]], row: int) -> Level | None:
    """The undetermined losses of a path's newest row, where they can be settled at all."""
    names = ("undetermined", "reflected_total", "session", "steady_seconds", "epoch")
    level, reflected, session, steady_s, epoch = (float(fields[name][row]) for name in names)
    if not np.isfinite([level, reflected, session, steady_s, epoch]).all() or level < 1 or reflected < 1:
        return None
    return Level(int(level), int(reflected), steady_s, int(epoch))


def told(values: NDArray[np.float64]) -> int | None:
    """Their sum; None where no row tells: a direction that is unknown has not lost nothing."""
    known = values[np.isfinite(values)]
    return int(known.sum()) if len(known) else None


def ratio(lost: int, exposure: int) -> float | None:
    """The share that was lost; None without exposure."""
    return lost / exposure if exposure > 0 else None


def upper(lost: int, exposure: int) -> float | None:
    """One-sided 95 % limit of the share (Clopper and Pearson 1934), as if probes were lost independently."""
    if exposure <= 0:
        return None
    return 1.0 if lost >= exposure else float(special.betaincinv(lost + 1, exposure - lost, CONFIDENCE))


def _last_of_each_session(sessions: NDArray[np.float64], levels: NDArray[np.float64]) -> list[int]:
    kept = np.isfinite(levels)
    sessions, levels = sessions[kept], levels[kept]
    if not len(levels):
        return []
    # NaN differs from itself: rows that name no session are each their own, but for the last.
    ends = np.flatnonzero((sessions[:-1] != sessions[1:]) & ~np.isnan(sessions[:-1]))
    return [int(levels[end]) for end in (*ends.tolist(), len(levels) - 1)]
