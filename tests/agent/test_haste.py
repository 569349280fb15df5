"""How often all servers may be asked out of turn."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.ntp.haste import MOST, Haste


def test_a_few_times_in_a_row_and_then_once_per_interval():
    """A doubt, an epoch and a leap second may come together; a contradictor's storm may not."""
    haste = Haste(16.0)
    assert [haste.may(0.001 * number) for number in range(6)] == [True] * 4 + [False] * 2
    assert not haste.may(15.0)
    assert haste.may(16.1)
    assert not haste.may(16.2)


@given(st.lists(st.floats(0, 1000), max_size=200), st.floats(1, 100))
def test_never_more_than_the_bucket_and_what_flowed_in(times, interval_s):
    """Over any times of asking."""
    haste, times = Haste(interval_s), sorted(times)
    allowed = sum(haste.may(now_s) for now_s in times)
    assert allowed <= MOST + (times[-1] - times[0] if times else 0) / interval_s + 1e-6
