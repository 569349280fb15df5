"""The declarations: consistent among themselves, and a sample is held against them."""

import math
from enum import IntEnum

import pytest

from truechimer.codes import Flag, State
from truechimer.errors import DecodeError
from truechimer.samples import COMMON_TAGS, MEASUREMENTS, Sample, check

TAGS = {"cluster": "c", "node": "n", "peer": "p", "via": "tcp"}


def test_names_follow_the_data_model():
    """Prefix, units as suffixes of floats, no field twice, no field that is also a tag."""
    for name, measurement in MEASUREMENTS.items():
        assert name == measurement.name
        assert name.startswith("truechimer_")
        names = [field.name for field in measurement.fields]
        assert len(names) == len(set(names))
        assert not set(names) & {*COMMON_TAGS, *measurement.tags}
        for field in measurement.fields:
            assert field.meaning
            if field.kind == "float":
                units = ("_seconds", "_ppm", "_ratio", "_seconds_total", "_seconds_min", "_seconds_max")
                assert field.name.endswith(units), field.name


def test_fields_are_found_by_name():
    rtt = MEASUREMENTS["truechimer_rtt"]
    field = rtt.field("outcome")
    assert field is not None
    assert field.codes is not None
    assert issubclass(field.codes, IntEnum)
    assert rtt.field("nothing") is None
    total = MEASUREMENTS["truechimer_agent"].field("samples_total")
    assert total is not None
    assert total.is_counter


def test_codes_are_numbered_from_zero_without_gaps():
    """Append-only numbers: a gap would mean that one was taken away."""
    for measurement in MEASUREMENTS.values():
        for field in measurement.fields:
            if field.codes is not None:
                assert sorted(field.codes) == list(range(len(field.codes)))


def test_every_state_but_ok_is_a_flag():
    assert {state.value for state in State} - {"ok"} <= {flag.value for flag in Flag}


def test_a_right_sample_passes():
    check(Sample("truechimer_rtt", TAGS, {"outcome": 0, "rtt_seconds": 0.5}, 1))
    check(Sample("truechimer_rtt", TAGS | {"zone": "z"}, {"outcome": 0}, -(2**63)))


@pytest.mark.parametrize(
    "sample",
    [
        Sample("nothing", TAGS, {"outcome": 0}, 1),
        Sample("truechimer_rtt", TAGS, {}, 1),
        Sample("truechimer_rtt", TAGS | {"more": "x"}, {"outcome": 0}, 1),
        Sample("truechimer_rtt", {"cluster": "c", "node": "n", "via": "tcp"}, {"outcome": 0}, 1),
        Sample("truechimer_rtt", TAGS | {"node": ""}, {"outcome": 0}, 1),
        Sample("truechimer_rtt", TAGS, {"nothing": 0}, 1),
        Sample("truechimer_rtt", TAGS, {"outcome": 0.0}, 1),
        Sample("truechimer_rtt", TAGS, {"outcome": True}, 1),
        Sample("truechimer_rtt", TAGS, {"outcome": 2**63}, 1),
        Sample("truechimer_rtt", TAGS, {"rtt_seconds": 1}, 1),
        Sample("truechimer_rtt", TAGS, {"rtt_seconds": math.nan}, 1),
        Sample("truechimer_rtt", TAGS, {"rtt_seconds": math.inf}, 1),
        Sample("truechimer_rtt", TAGS, {"outcome": 0}, 2**63),
    ],
)
def test_a_sample_that_breaks_its_declaration_is_refused(sample):
    with pytest.raises(DecodeError):
        check(sample)
