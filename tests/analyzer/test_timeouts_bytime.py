"""When timeouts would have been exceeded: the worst hours, and a stretch in which the bound does not hold."""

import json
from typing import Any

import numpy as np
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore

from truechimer_analyzer.answers import answer

HOURS = 72


def request(slow_at: set[int], **options: str) -> dict[str, Any]:
    """The use request of three days with a probe every 10 s; in those hours a tenth take a second."""
    rng = np.random.default_rng(2)
    samples = []
    for at in range(HOURS * 360):
        is_slow = at // 360 in slow_at and rng.random() < 0.1
        samples.append(made.probe(10.0 * at, 1.0 if is_slow else 0.002 + 0.001 * rng.random(), via="stamp"))
    store: Any = ArrayStore(samples, HOURS * 3600)
    document: Any = answer("timeouts", {"since": "30d", **options}, store)
    json.dumps(document, allow_nan=False)
    use: dict[str, Any] = document["uses"][0]
    return use


def test_an_hour_that_is_slow_every_day_is_named() -> None:
    """By the hour of the day, in UTC; T0 is at 20:00."""
    found = request({5, 29, 53}, detect_within="500ms")["by_time"]
    again = found["worst_recurring_hour"]
    assert again["days"] == 3
    assert again["days_beyond"] == 3
    assert again["false_per_month"]["upper"] > again["false_per_month"]["estimate"] > 0
    assert found["worst_hour"]["seen"] >= 20


def test_an_hour_that_was_slow_once_recurs_not_and_shifts_the_bound() -> None:
    """Over three days it is one in 720; within that hour one in ten."""
    use = request({40}, detect_within="500ms")
    found = use["by_time"]
    assert found["worst_recurring_hour"] is None
    assert found["shift"]["seen"] >= 20
    assert found["shift"]["false_per_month"]["estimate"] > use["false_per_month"]["upper"]


def test_where_all_hours_are_alike_there_is_no_shift() -> None:
    found = request(set(range(HOURS)), detect_within="500ms")["by_time"]
    assert found["shift"] is None


def test_where_nothing_was_exceeded_there_is_no_worst_hour() -> None:
    found = request(set(), detect_within="500ms")["by_time"]
    assert found == {"worst_hour": None, "worst_recurring_hour": None, "shift": None}
