"""Which detector: the one that, set on the past to be mistaken no more often, was clearly the quickest there.

A fixed timeout is as good as any while a path stays as it is. Where delays come and go in hours or minutes,
one that follows them is quicker at equal mistakes; whether this is such a path, its own past tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer.detectors.knobs import Knob, least_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Limits = list[NDArray[np.float64]]

# Fixed limits are what the others are weighed against; a tighter one is no other detector.
SIMPLEST = ("fixed", "silence")
# Another detector must have been so much quicker.
CLEARLY = 0.95


def quickest(
    knobs: Sequence[Mapping[str, Knob]],
    pasts: Sequence[slice],
    simplest: Limits,
    judged: Callable[[Limits], tuple[int, float]],
) -> tuple[str | None, float, Limits]:
    """The detector, its setting and limits, over some paths' past; None: ``simplest``, with setting 0.

    ``knobs`` are each path's, of the same detectors, ``pasts`` the rows to go by, ``simplest`` the limits to
    beat. ``judged`` says of limits how many mistakes they made on the past and how long detection took.
    """
    allowed, simplest_s = judged(simplest)
    best: tuple[str | None, float, Limits] = None, 0.0, simplest
    best_s = CLEARLY * simplest_s
    for name in knobs[0] if knobs else ():
        if name in SIMPLEST:
            continue
        setting = least_setting(
            [path[name].needs[past] for path, past in zip(knobs, pasts, strict=True)], allowed
        )
        limits = [path[name].limits_s(setting) for path in knobs]
        mistakes, detection_s = judged(limits)
        if mistakes <= allowed and detection_s < best_s:
            best, best_s = (name, setting, limits), detection_s
    return best
