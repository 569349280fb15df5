"""Requests that have been seen before are told from new ones."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.stamp.replay import WINDOW_BITS, Memory, Window

NUMBERS = st.lists(st.integers(0, 3 * WINDOW_BITS), max_size=300)


@given(numbers=NUMBERS)
def test_a_window_tells_what_a_set_would(numbers):
    """In any order: new is what was not added and lies within 1,024 of the highest."""
    window, seen = Window(), set()
    for at, number in enumerate(numbers, 1):
        highest = max(seen, default=-1)
        assert window.is_new(number, at) == (number not in seen and number > highest - WINDOW_BITS)
        if window.is_new(number, at):
            window.add(number, at)
            seen.add(number)


def test_the_largest_number_is_taken_at_once():
    """A jump over all numbers costs no more than one over a few."""
    window = Window()
    window.add(0, 1)
    window.add((1 << 32) - 1, 2)
    assert not window.is_new((1 << 32) - 1, 3)
    assert window.is_new((1 << 32) - 2, 3)
    assert not window.is_new(0, 3)


def test_later_is_later_than_all_that_came_before_across_an_era_too():
    """Timestamps begin again at 0 in 2036."""
    window = Window()
    window.add(0, (1 << 64) - 10)
    window.add(1, (1 << 64) - 20)
    assert not window.is_later((1 << 64) - 10)
    assert not window.is_later((1 << 64) - 15)
    assert window.is_later(5)
    window.add(2, 5)
    assert not window.is_later((1 << 64) - 5)


def test_what_was_sent_before_a_new_run_is_not_new_in_it():
    """Stragglers of the run before, though their numbers are."""
    before = Window()
    before.add(7, 1000)
    window = Window(before)
    assert not window.is_new(5, 999)
    assert not window.is_new(5, 1000)
    assert window.is_new(0, 1001)


@given(count=st.integers(1, 100))
def test_the_memory_keeps_a_generation_at_least_and_two_at_most(count):
    """The latest ten, whatever came before; bounded for ever."""
    memory = Memory(generation=10)
    for number in range(count):
        assert number.to_bytes(2, "big") not in memory
        memory.add(number.to_bytes(2, "big"))
    kept = [number for number in range(count) if number.to_bytes(2, "big") in memory]
    assert kept == list(range(count - len(kept), count))
    assert min(count, 10) <= len(kept) <= 20
