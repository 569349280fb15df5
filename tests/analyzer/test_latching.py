"""The latch of a flag: against a machine that goes through the samples one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.clocks.latching import NS, Condition, Latched, latch


def latched(
    times: list[float], holds: list[int], clears: list[int], now: float, for_s: float = 0, keep_s: float = 0
) -> Latched:
    at_ns = np.array([round(at * NS) for at in times], dtype=np.int64)
    condition = Condition(np.array(holds, dtype=np.bool_), for_s)
    return latch(at_ns, round(now * NS), [condition], np.array(clears, dtype=np.bool_), keep_s)


def test_a_condition_counts_once_it_has_lasted() -> None:
    found = latched([0, 10, 20], [0, 1, 1], [1, 0, 0], 25, for_s=20)
    assert (found.raised, found.pending, found.since, found.due_ns) == (False, True, 1, 30 * NS)
    assert latched([0, 10, 20], [0, 1, 1], [1, 0, 0], 30, for_s=20).raised


def test_what_is_between_the_limits_breaks_a_wait_and_does_not_end_a_flag() -> None:
    assert not latched([0, 10, 20], [1, 0, 1], [0, 0, 0], 35, for_s=20).raised
    kept = latched([0, 30, 40], [1, 0, 0], [0, 0, 0], 1000, for_s=20)
    assert (kept.raised, kept.since, kept.clears_ns) == (True, 0, None)


def test_a_flag_goes_when_the_opposite_lasted_and_says_when_that_will_be() -> None:
    going = latched([0, 10], [1, 0], [0, 1], 25, keep_s=30)
    assert (going.raised, going.clears_ns) == (True, 40 * NS)
    assert not latched([0, 10], [1, 0], [0, 1], 40, keep_s=30).raised


def test_a_short_return_neither_ends_a_flag_nor_moves_its_beginning() -> None:
    found = latched([0, 10, 20, 30], [1, 0, 1, 0], [0, 1, 0, 1], 35, keep_s=30)
    assert (found.raised, found.since, found.clears_ns) == (True, 0, 60 * NS)


def test_nothing_said_is_nothing_raised() -> None:
    assert latched([], [], [], 5) == Latched()


def test_of_several_conditions_the_first_that_has_lasted_counts() -> None:
    at_ns = np.array([0, 10, 20], dtype=np.int64) * NS
    soft, firm = np.array([1, 1, 1], dtype=np.bool_), np.array([0, 0, 1], dtype=np.bool_)
    conditions = [Condition(firm), Condition(soft, 30.0)]
    clears = np.zeros(3, dtype=np.bool_)
    assert (
        latch(at_ns[:2], 15 * NS, [Condition(firm[:2]), Condition(soft[:2], 30.0)], clears[:2]).due_ns
        == 30 * NS
    )
    assert latch(at_ns, 21 * NS, conditions, clears).since == 2
    assert latch(at_ns, 31 * NS, conditions, clears).since == 0


def machine(times: list[int], kinds: list[int], now: int, for_s: int, keep_s: int) -> tuple[bool, int]:
    """Sample by sample: 1 holds, −1 clears, 0 is neither; a run has lasted when the next sample comes."""
    raised, since = False, -1
    began_at, first, last = times[0], 0, kinds[0]
    for row, (at, kind) in enumerate([*zip(times, kinds, strict=True), (now, kinds[-1])]):
        lasted = at - began_at
        if last == 1 and not raised and lasted >= for_s:
            raised, since = True, first
        if last == -1 and lasted >= keep_s:
            raised, since = False, -1
        if kind != last:
            began_at, first, last = at, row, kind
            if kind == 1 and for_s == 0 and not raised:
                raised, since = True, first
            if kind == -1 and keep_s == 0:
                raised, since = False, -1
    return raised, since


@given(
    st.lists(st.tuples(st.integers(1, 15), st.sampled_from((-1, 0, 1))), min_size=1, max_size=12),
    st.integers(0, 20),
    st.integers(0, 25),
    st.integers(0, 25),
)
def test_all_at_once_says_what_one_by_one_says(
    steps: list[tuple[int, int]], more: int, for_s: int, keep_s: int
) -> None:
    times = np.cumsum([gap for gap, _ in steps]).tolist()
    kinds = [kind for _, kind in steps]
    now = times[-1] + more
    holds, clears = [int(kind == 1) for kind in kinds], [int(kind == -1) for kind in kinds]
    found = latched([float(at) for at in times], holds, clears, float(now), for_s, keep_s)
    assert (found.raised, found.since if found.raised else -1) == machine(times, kinds, now, for_s, keep_s)


@pytest.mark.parametrize("now", [0, 50])
def test_the_answer_does_not_depend_on_what_else_was_kept(now: float) -> None:
    """A flag's past before its last clearing changes nothing."""
    late = latched([20, 30], [0, 1], [1, 0], 30 + now, for_s=20)
    whole = latched([0, 10, 20, 30], [1, 1, 0, 1], [0, 0, 1, 0], 30 + now, for_s=20)
    assert (late.raised, late.pending, late.due_ns) == (whole.raised, whole.pending, whole.due_ns)
