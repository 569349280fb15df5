"""When to send a request a second time: at the delay that few requests outlast. Pure.

Dean and Barroso, "The Tail at Scale", CACM 2013: hedging after the 95th percentile costs about 5 % more load.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from truechimer_analyzer.timeouts.binding import binding
from truechimer_analyzer.timeouts.tail import round_up, upper_exceedance

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.tail import Tail
    from truechimer_analyzer.timeouts.use import Wish

SHARE = 0.05
# So many beyond the percentile make it one.
LEAST_BEYOND = 5


def describe(of: Operations, tail: Tail, pauses: Columns, wish: Wish) -> dict[str, object]:
    """The document of ``hedge``: the 95th percentile of all operations, of which a lost one never ends.

    It is not chosen for few false alarms, and none is promised: ``strictest_supported`` is None.
    ``false_per_month`` is how many second requests it takes.
    """
    at_s = of.percentile_s(1 - SHARE)
    if of.count * SHARE < LEAST_BEYOND or math.isinf(at_s):
        missing = (
            f"{of.count} operations: too few for a 95th percentile"
            if of.count * SHARE < LEAST_BEYOND
            else f"{len(of.lost_s)} of {of.count} operations were lost: the 95th percentile has no end"
        )
        timeout_s, refused = None, {"reason": missing, "needed_s": None}
        beyond = 0
    else:
        timeout_s, refused = round_up(at_s), None
        beyond = of.longer(timeout_s) + len(of.lost_s)
    share = beyond / of.count
    upper = upper_exceedance(beyond / tail.cluster_size, tail.n_eff)
    return {
        "use": "hedge",
        "timeout_s": timeout_s,
        "false_per_month": None
        if timeout_s is None
        else {"estimate": share * wish.per_month, "upper": upper * wish.per_month},
        "detection_s": None if timeout_s is None else dict.fromkeys(("min", "mean", "max"), timeout_s),
        "extra_load_ratio": None if timeout_s is None else share,
        "binding": binding(of, pauses),
        "basis": "empirical",
        "refused": refused,
        "strictest_supported": None,
    }
