"""The lines that programs write about their pauses: exact both ways, strict, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer.gcpause.wire import (
    LONGEST_LINE_BYTES,
    RUNTIMES,
    Hello,
    Lines,
    Pause,
    Sum,
    decode,
    encode,
    plain_name,
)

NUMBERS = st.integers(0, 2**63 - 1)
NAMES = st.text(max_size=200).map(plain_name)
HELLOS = st.builds(Hello, st.sampled_from(RUNTIMES), NAMES, NUMBERS)
PAUSES = st.builds(Pause, NUMBERS, NUMBERS)
SUMS = st.tuples(NUMBERS, st.lists(st.integers(0, 2**50), min_size=1, max_size=20)).map(
    lambda given: Sum(given[0], len(given[1]), sum(given[1]), max(given[1]))
)
RECORDS = st.one_of(HELLOS, PAUSES, SUMS)


@given(RECORDS)
def test_what_is_encoded_is_decoded(record):
    """Every record comes back as it was, in a short line of ASCII."""
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.isascii()
    assert len(line) < 160
    assert decode(line[:-1]) == record


@given(st.one_of(st.binary(max_size=300), RECORDS.map(encode)), st.data())
def test_any_bytes_are_a_record_or_refused(line, data):
    """Nothing but DecodeError is raised; what is taken would be written in the very same way."""
    if line:
        at = data.draw(st.integers(0, len(line) - 1))
        line = line[:at] + data.draw(st.binary(max_size=3)) + line[at + 1 :]
    try:
        record = decode(line)
    except DecodeError:
        return
    assert decode(encode(record)[:-1]) == record
    assert len(line) < LONGEST_LINE_BYTES


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"P",
        b"P 1",
        b"P 1 2 3",
        b"P 1  2",
        b"P 1 2 ",
        b"p 1 2",
        b"P -1 2",
        b"P +1 2",
        b"P 1 1.5",
        b"P 1 9223372036854775808",
        b"P 1 " + "١".encode(),
        b"P 1 2\r",
        b"S 1 0 0 0",
        b"S 1 2 5 6",
        b"S 1 2 13 6",
        b"H 2 cpython web 1",
        b"H 1 jvm web 1",
        b"H 1 cpython host 1",
        b"H 1 cpython w\xc3\xa4b 1",
        b"H 1 cpython " + b"x" * 65 + b" 1",
        b"H 1 cpython web,node=b 1",
        b"P " + b"0" * 2000 + b" 1",
    ],
)
def test_what_is_not_in_the_format_is_refused(line):
    """Wrong kinds, counts of fields, numbers, sums that cannot be, versions, runtimes, names."""
    with pytest.raises(DecodeError):
        decode(line)


@given(st.lists(RECORDS.map(encode), max_size=20), st.data())
def test_a_stream_is_cut_into_its_lines_wherever_it_is_broken(lines, data):
    """Any pieces of the same bytes give the same lines."""
    stream, found, cutter = b"".join(lines), [], Lines()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += cutter.feed(stream[:size])
        stream = stream[size:]
    assert found == [line[:-1] for line in lines]


def test_a_line_without_end_is_refused_before_it_grows():
    """Whatever is fed: no more than one line's limit is held."""
    cutter = Lines()
    cutter.feed(b"x" * (LONGEST_LINE_BYTES - 1))
    with pytest.raises(DecodeError):
        cutter.feed(b"x")
    with pytest.raises(DecodeError):
        Lines().feed(b"P 1 2\n" + b"x" * LONGEST_LINE_BYTES + b"\nP 1 2\n")
