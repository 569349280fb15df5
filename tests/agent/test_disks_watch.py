"""What was watched of a disk: windows add up, and what nobody saw is not called quiet."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.disks.watch import Watch

MS = 10**6
S = 10**9


def test_probes_on_their_beat_are_watched_from_the_first_to_the_last():
    """Ten quick probes a second apart: nine seconds and the last one's own time, and no pause."""
    watch = Watch(5 * MS)
    assert not any(watch.done(number * S, 2 * MS) for number in range(10))
    window = watch.take()
    assert (window.observed_ns, window.count, window.max_ns) == (9 * S + 2 * MS, 0, 2 * MS)


def test_a_slow_probe_is_one_pause_for_all_that_it_hid():
    """Five seconds: one pause of five seconds, all of them watched."""
    watch = Watch(5 * MS)
    watch.done(0, MS)
    assert watch.done(S, 5 * S)
    window = watch.take()
    assert (window.observed_ns, window.count, window.total_ns, window.max_ns) == (6 * S, 1, 5 * S, 5 * S)


def test_a_hang_is_watched_while_it_lasts_and_counted_when_it_ends():
    """Windows during it: all watched, the longest so far; the pause is in the window in which it ended."""
    watch = Watch(5 * MS)
    windows = []
    for now_s in range(1, 31):
        watch.waiting(0, now_s * S)
        if now_s % 10 == 0:
            windows.append(watch.take())
    assert watch.done(0, 31 * S)
    windows.append(watch.take())
    assert [window.observed_ns // S for window in windows] == [10, 10, 10, 1]
    assert [window.max_ns // S for window in windows] == [10, 20, 30, 31]
    assert [(window.count, window.total_ns // S) for window in windows] == [(0, 0)] * 3 + [(1, 31)]


def test_a_disk_that_cannot_be_probed_is_not_watched():
    """From the last success before failures to the first after them nothing is known."""
    watch = Watch(5 * MS)
    watch.done(0, MS)
    watch.done(S, MS)
    watch.failed()
    watch.done(60 * S, MS)
    watch.done(61 * S, MS)
    assert watch.take().observed_ns == 2 * (S + MS)
    watch.failed()
    assert watch.take() is None


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * S), st.integers(0, 40 * S), st.sampled_from(["done", "failed", "take", "wait"])
        )
    )
)
def test_nothing_is_counted_twice(events):
    """However probes, failures, hangs and windows follow each other: sums are exact, time is not invented."""
    watch, now_ns, windows, pauses = Watch(5 * MS), 0, [], []
    for idle_ns, took_ns, what in events:
        began_ns = now_ns = now_ns + idle_ns
        if what == "failed":
            watch.failed()
            continue
        if what == "take":
            windows.append(watch.take())
            continue
        if what == "wait":
            watch.waiting(began_ns, began_ns + took_ns // 2)
            windows.append(watch.take())
        now_ns += took_ns
        if watch.done(began_ns, took_ns):
            pauses.append(took_ns)
    windows.append(watch.take())
    seen = [window for window in windows if window]
    assert sum(window.observed_ns for window in seen) <= now_ns
    assert sum(window.count for window in seen) == len(pauses)
    assert sum(window.total_ns for window in seen) == sum(pauses)
    assert all(window.observed_ns > 0 for window in seen)
    if pauses:
        assert max(window.max_ns for window in seen) >= max(pauses)
