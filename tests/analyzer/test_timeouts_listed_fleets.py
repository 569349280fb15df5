"""Random fleets: their answers from the slowest listed are those from probes that are kept whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from analyzer import synthetic as made
from analyzer.test_timeouts_listed import asked, assert_alike
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from truechimer_analyzer.timeouts import gathering, tail

if TYPE_CHECKING:
    import pytest

    from truechimer.samples import Sample

# As many as the tail is looked at, and one: as it is with many more.
DEEP = 1000


class Direction(NamedTuple):
    """One series: how it was probed and what came of it."""

    node: str
    peer: str
    via: str
    start_s: float
    gap_s: float
    count: int
    lost: float
    slow: float
    slow_s: float
    unreachable: float
    classes: int
    ties: bool


DIRECTIONS = st.builds(
    Direction,
    st.sampled_from("ab"),
    st.sampled_from("cde"),
    st.sampled_from(["stamp", "tcp", "icmp", "kernel"]),
    st.sampled_from([0.0, 700.0, 4000.0]),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([3, 500, 3000, 5000]),
    st.sampled_from([0.0, 0.003, 0.3, 1.0]),
    st.sampled_from([0.0, 0.002, 0.05]),
    st.sampled_from([0.3, 3.0]),
    st.sampled_from([0.0, 0.001, 1.0]),
    st.sampled_from([1, 3]),
    st.booleans(),
)


def probes(direction: Direction, seed: int) -> list[Sample]:
    """Its probes as an agent would send them."""
    rng = np.random.default_rng([seed, direction.count])
    found = []
    for at in range(direction.count):
        rtt_s = 0.002 if direction.ties else 0.002 * float(np.exp(rng.normal()))
        fields: dict[str, float | int] = {"outcome": 0, "dscp": 8 * (at % direction.classes)}
        if rng.random() < direction.unreachable:
            fields["outcome"] = 3
        elif rng.random() < direction.lost:
            fields["outcome"] = 1
        else:
            fields["rtt_seconds"] = rtt_s + (direction.slow_s if rng.random() < direction.slow else 0.0)
        sent_s = direction.start_s + direction.gap_s * (
            at + (0.0 if direction.ties else rng.uniform(0, 0.05))
        )
        tags = {"peer": direction.peer, "via": direction.via}
        found.append(made.sample("truechimer_rtt", sent_s, fields, direction.node, **tags))
    return found


@settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(DIRECTIONS, min_size=1, max_size=4, unique_by=lambda each: each[:3]),
    st.lists(st.floats(-100.0, 9000.0), max_size=5),
    st.sampled_from([None, "1s", "4s"]),
    st.sampled_from([None, "100ms", "3s"]),
    st.integers(0, 1 << 32),
)
def test_random_fleets(
    monkeypatch: pytest.MonkeyPatch,
    directions: list[Direction],
    stops_s: list[float],
    heartbeat: str | None,
    within: str | None,
    seed: int,
) -> None:
    """Rates, losses, ties, classes, dead paths, late beginnings, pauses: only what is rough differs."""
    # The spans of a backtest are between the first and the last probe; kept whole, of those that waited.
    samples = [made.probe(each, 0.002, "f", "stamp") for each in (-1.0, -0.5, 14_001.0, 14_001.5)]
    for direction in directions:
        samples += probes(direction, seed)
    samples += [made.pause(at_s, 1.5, node="a") for at_s in stops_s]
    samples += [made.pause_window(10.0 * at, node="a") for at in range(1000)]
    options = {"heartbeat": heartbeat or "", "detect_within": within or ""}
    if within is not None:
        options["false_per_month"] = ""
    with monkeypatch.context() as patched:
        patched.setattr(tail, "_MOST_EXCEEDANCES", DEEP)
        whole = asked(samples, **options)
        patched.setattr(gathering, "MOST_WHOLE", 0)
        patched.setattr(gathering, "LISTED", DEEP + 1)
        large = asked(samples, **options)
    assert_alike(*comparable(whole, large))


def comparable(whole: dict[str, Any], large: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Without what says that it is not to be compared: too short to be looked at, or a least count."""
    too_short = ("one by one", "always exceeded")
    unlisted = {
        index
        for index, use in enumerate(large.get("uses", ()))
        if use["refused"] and any(reason in use["refused"]["reason"] for reason in too_short)
    }
    least = {index for index, trial in enumerate(large.get("backtest", ())) if trial["at_least"]}
    left_out = {"uses": unlisted, "backtest": least}
    one, other = (
        {
            key: [each for index, each in enumerate(value) if index not in left_out[key]]
            if key in left_out
            else value
            for key, value in document.items()
        }
        for document in (whole, large)
    )
    return one, other
