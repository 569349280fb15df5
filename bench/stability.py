"""How long a node's stability takes, a day and thirty days of samples: ``python bench/stability.py``.

Pure analysis of W − S, UTC − S and UTC − W from columns in memory (white and random-walk noise, one step and
one gap a day); reading them from a store is not counted.
"""

import numpy as np

from truechimer.readings import monotonic_s
from truechimer_analyzer.stability import series
from truechimer_analyzer.stability.nodes import describe
from truechimer_analyzer.stores import Columns
from truechimer_analyzer.window import NS, Window

SPACING_S = 10
TRIES = 5


def columns(measurement: str, at_s: np.ndarray, fields: dict[str, np.ndarray], **tags: str) -> Columns:
    """Rows of one node."""
    named = {"cluster": "bench", "node": "n", **tags}
    return Columns(
        measurement,
        np.round(at_s * NS).astype(np.int64),
        np.round(at_s * NS).astype(np.int64),
        {name: np.full(len(at_s), value, dtype=object) for name, value in named.items()},
        fields,
    )


def host(days: int) -> tuple[Columns, Columns, Columns]:
    """Clock, bounds and events of so many days."""
    rng = np.random.default_rng(1)
    at_s = np.arange(0, days * 86_400, SPACING_S) + rng.uniform(0, 0.05, days * 8640)
    at_s = at_s[(np.arange(len(at_s)) % 8640) != 4000]
    rate = 12e-6 + np.cumsum(rng.normal(0, 1e-10, len(at_s)))
    wall_s = np.cumsum(rate * np.gradient(at_s)) + rng.normal(0, 1e-7, len(at_s))
    steps = np.arange(43_200.5, days * 86_400, 86_400)
    wall_s += 0.01 * np.searchsorted(steps, at_s)
    epoch, middle_s = np.ones(len(at_s)), rng.normal(0, 1e-5, len(at_s))
    clock = columns(
        "truechimer_clock",
        at_s,
        dict.fromkeys(series.CLOCK_FIELDS, np.full(len(at_s), np.nan))
        | {"wall_minus_steady_seconds": wall_s, "steady_seconds": at_s, "epoch": epoch},
    )
    bounds = columns(
        "truechimer_bound",
        at_s,
        {
            "lower_seconds": middle_s - 2e-4,
            "upper_seconds": middle_s + 2e-4,
            "wall_minus_steady_seconds": wall_s,
            "status": epoch,
            "steady_seconds": at_s,
            "epoch": epoch,
        },
    )
    events = columns(
        "truechimer_clock_event",
        steps,
        {"steady_seconds": steps, "epoch": np.ones(len(steps))},
        kind="step",
    )
    return clock, bounds, events


if __name__ == "__main__":
    for days in (1, 7, 30):
        found = host(days)
        end_ns = days * 86_400 * NS
        took_s = []
        for _ in range(TRIES):
            begun_s = monotonic_s()
            (node,) = describe([("bench", "n")], *found, Window(0, end_ns, end_ns, open=False))
            took_s.append(monotonic_s() - begun_s)
        records = node["series"]
        assert isinstance(records, list)
        points = sum(record["points"] for record in records)
        taus = sum(len(record[kind]) for record in records for kind in ("adev", "tdev", "mtie"))
        print(
            f"{days:3} days: {points:8,} points of 3 records, {taus:3} deviations: "
            f"first {took_s[0]:.2f} s, then {min(took_s):.2f} s"
        )
