"""Line protocol: what is encoded decodes to itself; any bytes give samples and refused lines."""

import math
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import DecodeError
from truechimer.lineprotocol import (
    LINE_LIMIT,
    REFUSED_KEPT,
    VALUE_LIMIT,
    decode,
    decode_line,
    encode,
    encode_lines,
)
from truechimer.samples import MEASUREMENTS, Sample, check

TAG = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
I64 = st.integers(-(2**63), 2**63 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def samples(draw):
    measurement = draw(st.sampled_from(list(MEASUREMENTS.values())))
    tags = {tag: draw(TAG) for tag in ("cluster", "node", *measurement.tags)}
    if draw(st.booleans()):
        tags["zone"] = draw(TAG)
    chosen = draw(
        st.lists(st.sampled_from(measurement.fields), min_size=1, unique_by=lambda field: field.name)
    )
    fields = {field.name: draw(I64 if field.kind == "int" else FINITE) for field in chosen}
    return Sample(measurement.name, tags, fields, draw(I64))


@given(samples())
def test_a_sample_decodes_to_itself(sample):
    assert decode_line(encode(sample)) == sample


@given(st.lists(samples(), max_size=5))
def test_lines_decode_to_their_samples_in_order(several):
    decoded = decode(encode_lines(several))
    assert decoded.samples == several
    assert decoded.refused == []


@given(samples(), st.data())
def test_a_damaged_line_is_refused_or_still_a_checked_sample(sample, data):
    """Any one byte changed: never an exception, never a sample that breaks its declaration."""
    raw = bytearray(encode(sample).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    decoded = decode(bytes(raw))
    for found in decoded.samples:
        check(found)


@given(st.binary(max_size=400), st.sampled_from(["ns", "us", "ms", "s"]))
def test_any_bytes_give_samples_and_refused_lines(body, precision):
    decoded = decode(body, precision=precision)
    lines = [
        line for line in body.split(b"\n") if line.strip(b"\r ") and not line.strip(b"\r ").startswith(b"#")
    ]
    assert len(decoded.samples) + decoded.refused_count == len(lines)


@given(st.text(alphabet=', =\\"i0.-+eE\t\ntruechimer_rttclusternodepeervia', max_size=120))
def test_text_of_the_formats_own_characters_never_breaks_the_parser(text):
    decode(text.encode())


GOOD = "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0i,rtt_seconds=0.5 17"


@pytest.mark.parametrize(
    "line",
    [
        "truechimer_rtt",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0i",
        "nothing,cluster=c,node=n outcome=0i 17",
        "truechimer_rtt,cluster=c,node=n,via=tcp outcome=0i 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp,extra=1 outcome=0i 17",
        "truechimer_rtt,cluster=c,cluster=d,node=n,peer=p,via=tcp outcome=0i 17",
        "truechimer_rtt,cluster=,node=n,peer=p,via=tcp outcome=0i 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0i,outcome=1i 17",
        'truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome="0" 17',
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=true 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp rtt_seconds=nan 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp rtt_seconds=1e999 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp rtt_seconds=5i 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=9223372036854775808i 17",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0i 9223372036854775808",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0i 1.5",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0i 17 18",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=0i ١٧",
        "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp outcome=٣i 17",
        GOOD + "x" * LINE_LIMIT,
    ],
)
def test_a_bad_line_is_refused_alone_with_its_number(line):
    decoded = decode(f"{GOOD}\n{line}\n{GOOD}\n".encode())
    assert len(decoded.samples) == 2
    assert [refused.number for refused in decoded.refused] == [2]
    assert decoded.refused[0].why
    assert len(decoded.refused[0].text) <= 480


def test_bytes_that_are_not_utf8_are_refused_alone():
    decoded = decode(GOOD.encode() + b"\n\xff\xfe 1\n")
    assert (len(decoded.samples), [r.why for r in decoded.refused]) == (1, ["not UTF-8"])


def test_comments_blank_lines_and_carriage_returns_are_passed_over():
    assert decode(f"# a comment\n\n  \n{GOOD}\r\n".encode()).samples == [decode_line(GOOD)]


@pytest.mark.parametrize(("precision", "factor"), [("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9)])
def test_the_precision_scales_the_timestamp(precision, factor):
    assert decode(GOOD.encode(), precision=precision).samples[0].time_ns == 17 * factor


def test_awkward_tags_are_escaped_as_influxdb_wants_them():
    sample = Sample(
        "truechimer_rtt", {"cluster": "a,b", "node": "c d", "peer": "e=f", "via": "g\\h"}, {"outcome": 0}, 1
    )
    line = encode(sample)
    assert line.startswith(r"truechimer_rtt,cluster=a\,b,node=c\ d,peer=e\=f,via=")
    assert decode_line(line) == sample


@pytest.mark.parametrize("value", [math.nan, math.inf, 1, True, "x"])
def test_what_breaks_its_declaration_is_not_encoded(value):
    with pytest.raises(DecodeError):
        encode(
            Sample(
                "truechimer_rtt",
                {"cluster": "c", "node": "n", "peer": "p", "via": "tcp"},
                {"rtt_seconds": value},
                1,
            )
        )


@pytest.mark.parametrize("tag", ["", "a\nb", "a\x00", "a\x7f"])
def test_a_tag_that_would_break_the_line_is_not_encoded(tag):
    with pytest.raises(DecodeError):
        encode(Sample("truechimer_kernel", {"cluster": "c", "node": tag}, {"status": 1}, 1))


KEY = "truechimer_rtt,cluster=c,node=n,peer=p,via=tcp"
ADVERSARIAL = (
    *(
        unit * (LINE_LIMIT // len(unit))
        for unit in ("\\", ",", "=", "\\,", "a=", ",a=b", "1", " ", "\\ ", "#")
    ),
    *(
        f"{KEY} rtt_seconds={digits} 1"
        for digits in (
            "1" * 65_000 + "x",
            "1" * 32_000 + "." + "1" * 32_000 + "x",
            "." + "1" * 65_000 + "x",
            "1e" + "1" * 65_000 + "x",
            "1" * 65_000 + "i",
            "+" * 65_000,
        )
    ),
    f"{KEY} outcome=0i {'1' * 65_000}x",
    f"{KEY} {','.join(['outcome=0i'] * 5000)} 1",
    f"{KEY} {','.join(f'f{n}=1' for n in range(5000))} 1",
    f"truechimer_rtt,{','.join(f't{n}=v' for n in range(5000))} outcome=0i 1",
    "truechimer_rtt,cluster=" + "\\," * 30_000 + ",node=n,peer=p,via=tcp outcome=0i 1",
)


@pytest.mark.parametrize("line", ADVERSARIAL, ids=lambda line: f"{line[:6]}…{line[-4:]}")
def test_parsing_takes_time_in_proportion_to_its_input(line):
    """The longest lines of awkward shapes: no quadratic path (which took up to 46 s a line)."""
    begun_s = time.process_time()
    decode((line + "\n").encode() * 4)
    assert time.process_time() - begun_s < 3


@given(st.text(alphabet="0123456789.eE+-", max_size=40))
def test_numbers_are_those_of_the_protocol(text):
    """A decimal number, with or without fraction and exponent; whatever is taken is what float reads."""
    decoded = decode(f"{KEY} rtt_seconds={text} 1".encode())
    try:
        expected = float(text)
    except ValueError:
        expected = math.nan
    assert [sample.fields["rtt_seconds"] for sample in decoded.samples] == (
        [expected] if math.isfinite(expected) else []
    )


def test_the_longest_decimal_form_of_a_double_is_taken_and_longer_values_refused():
    assert decode(f"{KEY} rtt_seconds={5e-324:.340f} 1".encode()).samples
    assert decode(f"{KEY} rtt_seconds={'1' * (VALUE_LIMIT + 1)} 1".encode()).refused_count == 1


def test_refused_lines_are_all_counted_and_the_first_of_them_kept():
    """A body of nothing but bad lines takes no room for each of them, nor for what they say."""
    decoded = decode((b"x\n" * 5000) + f"{GOOD}\n{'y' * 60_000} a=1 1".encode())
    assert decoded.refused_count == 5001
    assert [line.number for line in decoded.refused] == list(range(1, REFUSED_KEPT + 1))
    assert len(decoded.samples) == 1
    assert len(decode(f"{'y' * 60_000} a=1 1".encode()).refused[0].why) <= 300


def test_decoding_holds_no_list_of_all_lines():
    """Memory beyond the body stays small where nothing is kept."""
    body = b"\n" * 1_000_000
    tracemalloc.start()
    decode(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
