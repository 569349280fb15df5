"""When a timeout would have been exceeded, as a use's document has it: the worst hours, and a shift. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer.timeouts import recurring
from truechimer_analyzer.window import NS, iso

if TYPE_CHECKING:
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.tail import Point


def describe(of: Operations, point: Point, cluster_size: float, per_month: float) -> dict[str, object] | None:
    """The worst hour, the worst hour of the day that was bad on two days, and where the bound does not hold.

    ``shift`` is the stretch that exceeded clearly more often than ``point.upper``: a bound over the whole
    window does not hold for who lives in it. Each None where there is none; None where it is not
    known when operations were.
    """
    if of.unlisted is not None and of.unlisted.by_hour is None:
        return None
    worst = recurring.worst(recurring.stretches(of, point.timeout_s, cluster_size))
    again = recurring.worst_that_recurs(recurring.hours_of_day(of, point.timeout_s, cluster_size))
    shift = recurring.shift(of, point.timeout_s, point.upper, cluster_size)
    return {
        "worst_hour": None if worst is None else _stretch(worst, per_month),
        "worst_recurring_hour": None
        if again is None
        else {
            "hour_utc": again.hour,
            "days": again.days,
            "days_beyond": again.days_beyond,
            "operations": again.operations,
            "seen": again.seen,
            "false_per_month": {
                "estimate": again.estimate * per_month,
                "upper": again.upper * per_month,
            },
        },
        "shift": None if shift is None else _stretch(shift, per_month),
    }


def _stretch(stretch: recurring.Stretch, per_month: float) -> dict[str, object]:
    return {
        "from": iso(round(stretch.since_s * NS)),
        "to": iso(round(stretch.until_s * NS)),
        "operations": stretch.operations,
        "seen": stretch.seen,
        "false_per_month": {"estimate": stretch.estimate * per_month, "upper": stretch.upper * per_month},
    }
