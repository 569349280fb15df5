"""The campaign: many cells, some at a time, each in a process and a network of its own."""

import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.campaign.tally import HIDDEN, MISSED, UNNOTICED, Tally

TESTS = Path(__file__).resolve().parents[2]
SETUP_S = 300


def campaign(seed: int, *, cells: int = 16, seconds: float = 90.0, at_once: int = 4) -> Tally:
    """Run the cells numbered 0 to `cells` − 1 of a seed and add up what they found.

    A cell that ended by itself is a finding, with the end of what it wrote.
    """
    total = Tally()
    with ThreadPoolExecutor(at_once) as pool:
        for tally in pool.map(lambda number: _cell(seed, number, seconds), range(cells)):
            total.add(tally)
    return total


def _cell(seed: int, number: int, seconds: float) -> Tally:
    with tempfile.TemporaryDirectory(prefix="tc-cell-") as folder:
        command = [sys.executable, "-m", "lab.campaign", str(seed), str(number), str(seconds), folder]
        env = {**os.environ, "PYTHONPATH": str(TESTS)}
        try:
            done = subprocess.run(command, env=env, capture_output=True, timeout=seconds + SETUP_S)
        except subprocess.TimeoutExpired as error:
            return Tally(cells=1, findings=[f"cell {number}: {error}"])
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace")[-4000:]
        return Tally(
            cells=1, findings=[f"cell {number} of seed {seed} ended with {done.returncode}: {words}"]
        )
    tally = pickle.loads(done.stdout)
    tally.findings = [f"cell {number}: {finding}" for finding in tally.findings]
    return tally


def report(tally: Tally, seed: int) -> Iterator[str]:
    """What a campaign found, in lines."""
    yield f"seed {seed}: {tally.cells} cells, {tally.exchanges} exchanges, {tally.replies} replies"
    yield "disturbances: " + _listed(tally.acts)
    yield "checked: " + _listed(tally.checked)
    for explanation in (MISSED, HIDDEN, UNNOTICED):
        yield f"misses, {explanation}: {tally.misses[explanation]}"
    share = tally.covered / max(1, tally.looks)
    yield f"time with an interval: {share:.1%}; looks without: {_listed(tally.without)}"
    if tally.widths:
        yield f"median width {statistics.median(tally.widths) * 1e6:.0f} µs"
    for what, pairs in (
        ("ClockBound's formula on the chronyd beside, without W's own offset", tally.beside),
        ("the last exchange alone, aged by 500 ppm", tally.alone),
    ):
        if pairs:
            yield _compared(what, pairs)
    yield from tally.findings


def _compared(what: str, pairs: Sequence[tuple[float, float]]) -> str:
    ours, theirs = (statistics.median(widths) for widths in zip(*pairs, strict=True))
    ratio = statistics.median(their / our for our, their in pairs)
    return f"{what}: median {theirs * 1e6:.0f} µs, ours then {ours * 1e6:.0f} µs; median ratio {ratio:.2f}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
