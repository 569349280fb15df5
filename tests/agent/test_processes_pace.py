"""How far the watch stretches its intervals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.processes.pace import LIMIT, SHORT_LIMIT, Pace, limit_of


def run(cost_ns, interval_ns, seconds):
    """Looks that cost the same each: the stretch in the end, and the share of a core in the last half."""
    pace = Pace(0, 0)
    mono_ns = cpu_ns = half_ns = half_cpu_ns = 0
    while mono_ns < seconds * 1e9:
        mono_ns += round(interval_ns * pace.measure(mono_ns, cpu_ns))
        cpu_ns += cost_ns
        if mono_ns < seconds * 5e8:
            half_ns, half_cpu_ns = mono_ns, cpu_ns
    return pace.stretch, (cpu_ns - half_cpu_ns) / max(1, mono_ns - half_ns)


@given(st.integers(1, 20_000_000), st.sampled_from([10_000_000, 100_000_000, 1_000_000_000]))
def test_whatever_a_look_costs_the_share_of_a_core_stays_at_the_limit(cost_ns, interval_ns):
    """And nothing is stretched that costs less."""
    stretch, share = run(cost_ns, interval_ns, 300)
    wanted = cost_ns / interval_ns
    if wanted < LIMIT:
        assert stretch == 1
    else:
        assert share < 1.1 * LIMIT
        assert stretch < 1.1 * wanted / LIMIT + 0.1


def test_one_costly_look_does_not_slow_the_watch_down():
    """The first one opens every file."""
    pace = Pace(0, 0)
    assert pace.measure(100_000_000, 20_000_000) == 1


def test_who_asks_for_short_intervals_is_given_more_of_a_core():
    """A look every 10 ms that costs 0.2 ms is not stretched then; the ordinary ones keep the small share."""
    assert limit_of([]) == limit_of([100.0, 1000.0]) == LIMIT
    assert limit_of([1000.0, 10.0]) == SHORT_LIMIT
    pace = Pace(0, 0, limit_of([10.0]))
    for number in range(1, 3000):
        pace.measure(number * 10_000_000, number * 200_000)
    assert pace.stretch == 1
