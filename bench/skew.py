"""How long it takes to bound a cluster's clocks, 100 to 10,000 nodes: ``python bench/skew.py [--nodes N]…``.

Every node probes 8 others (both bounds each) and has a bound of UTC, but for one in twenty, whose servers are
blocked. A liar tells each peer something else. The figures: all pairs; UTC against all; ε and ε_1 with their
method; who lied, and ε_1 then. Peak memory is the process's, each size running in one of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys

import numpy as np

from truechimer.readings import monotonic_s
from truechimer_analyzer.skew.constraints import UTC, Constraints
from truechimer_analyzer.skew.epsilon import measure
from truechimer_analyzer.skew.liars import find_liars
from truechimer_analyzer.skew.paths import all_pairs, from_one

DEGREE = 8
BLOCKED = 0.05
LIE_S = 0.02
TRIES = 3
MOST_ALL_PAIRS = 3000
HEADINGS = (
    "nodes",
    "constraints",
    "prepare",
    "all pairs",
    "UTC–all",
    "ε, ε_1",
    "method",
    "liar",
    "ε_1 then",
    "peak",
)


def mesh(nodes: int, liar: int | None = None) -> Constraints:
    """Microseconds between peers, milliseconds to servers; offsets up to an hour."""
    rng = np.random.default_rng(nodes)
    y_s = np.append(0.0, rng.uniform(-3600, 3600, nodes))
    tail = np.repeat(np.arange(1, nodes + 1), DEGREE)
    head = 1 + (tail - 1 + rng.integers(1, nodes, len(tail))) % nodes
    known = np.flatnonzero(rng.uniform(size=nodes) > BLOCKED) + 1
    tail, head = np.append(tail, np.zeros_like(known)), np.append(head, known)
    reach_s = np.where(tail == UTC, 1e-3, 3e-5)
    upper_s = y_s[head] - y_s[tail] + reach_s * rng.uniform(0.1, 1, len(tail))
    lower_s = y_s[head] - y_s[tail] - reach_s * rng.uniform(0.1, 1, len(tail))
    if liar is not None:
        shift_s = np.where(head == liar, rng.uniform(-LIE_S, LIE_S, len(tail)), 0.0)
        upper_s, lower_s = upper_s + shift_s, lower_s + shift_s
    return Constraints.of(
        nodes + 1, np.append(tail, head), np.append(head, tail), np.append(upper_s, -lower_s)
    )


def best_s(what, *arguments):  # noqa: ANN001, ANN002, ANN201 - whatever it is that is timed
    """The quickest of some tries, and what came out."""
    took_s, found = [], None
    for _ in range(TRIES):
        begun_s = monotonic_s()
        found = what(*arguments)
        took_s.append(monotonic_s() - begun_s)
    return min(took_s), found


def row(nodes: int) -> tuple[str, ...]:
    """One size."""
    wall_s = np.append(0.0, np.random.default_rng(1).uniform(-1e-3, 1e-3, nodes))
    prepare_s, honest = best_s(mesh, nodes)
    pairs_s = best_s(all_pairs, honest)[0] if nodes <= MOST_ALL_PAIRS else None
    one_s, _ = best_s(from_one, honest, UTC)
    epsilon_s, skew = best_s(measure, honest, wall_s - 1e-6, wall_s + 1e-6)
    lied = mesh(nodes, liar=nodes // 2)
    liar_s, liars = best_s(find_liars, lied)
    assert liars.certain == (nodes // 2,)
    then_s, _ = best_s(measure, lied, wall_s - 1e-6, wall_s + 1e-6)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{nodes:,}",
        f"{len(honest.tail):,}",
        f"{prepare_s:.3f} s",
        "-" if pairs_s is None else f"{pairs_s:.3f} s",
        f"{one_s:.3f} s",
        f"{epsilon_s:.3f} s",
        f"{skew.all_true.method}/{skew.robust.method}",
        f"{liar_s:.3f} s",
        f"{then_s:.3f} s",
        f"{peak_mib:.0f} MiB",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, action="append")
    options = parser.parse_args()
    rows = [HEADINGS]
    for nodes in options.nodes or (100, 300, 1000, 3000, 10_000):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(row, (nodes,)))
    widths = [max(len(each[column]) for each in rows) for column in range(len(HEADINGS))]
    for each in rows:
        sys.stdout.write(
            "  ".join(cell.rjust(width) for cell, width in zip(each, widths, strict=True)) + "\n"
        )
