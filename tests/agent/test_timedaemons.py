"""What each time daemon says of itself, read from the real programs' words, and every other text refused."""

import struct

import pytest
from agent.daemonwords import (
    CHRONY,
    CHRONY_LOCAL,
    CHRONY_UNSYNCHRONISED,
    CLASSIC,
    DESTINATION_US,
    MESSAGE,
    NTPSEC,
    NTPSEC_LONELY_PEERS,
    NTPSEC_PEERS,
    properties,
)
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import Leap
from truechimer.errors import DecodeError
from truechimer.samples import MEASUREMENTS
from truechimer_agent.timedaemons import chrony, ntpd, timesyncd
from truechimer_agent.timedaemons.believed import Believed
from truechimer_agent.timedaemons.modesix import Answer, Operation, request


def data_of(datagram):
    (count,) = struct.unpack_from("!H", datagram, 10)
    return datagram[12 : 12 + count]


def test_chronyd_whose_server_is_behind_takes_its_own_clock_to_be_ahead():
    """Negative: UTC − W as it believes; a clock that it calls slow would gain by the correction."""
    found = chrony.parse(CHRONY)
    assert found == Believed(
        daemon="chrony",
        leap=Leap.NONE,
        stratum=2,
        system_time_s=-0.036996752,
        root_delay_s=0.000030199,
        root_dispersion_s=0.00001169,
        frequency_ppm=0.679,
        skew_ppm=4.396,
        reachable_sources=1,
    )
    declared = {field.name for field in MEASUREMENTS["truechimer_daemon"].fields}
    assert set(found.fields()) | {"steady_seconds", "epoch"} == declared


def test_a_chronyd_without_a_source_says_so():
    found = chrony.parse(CHRONY_UNSYNCHRONISED)
    assert (found.leap, found.stratum, found.reachable_sources) == (Leap.UNSYNCHRONISED, 0, 0)
    local = chrony.parse(CHRONY_LOCAL)
    assert (local.leap, local.stratum, local.reachable_sources) == (Leap.NONE, 1, 0)


def test_a_leap_second_is_read_and_a_comma_in_a_clocks_name_moves_no_column():
    tracking = CHRONY.splitlines()[0]
    assert chrony.parse(tracking.replace("Normal", "Insert second")).leap is Leap.INSERT
    assert chrony.parse(tracking.replace("Normal", "Delete second")).leap is Leap.DELETE
    assert chrony.parse(CHRONY.replace("10.77.0.3", "G,PS")) == chrony.parse(CHRONY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "506 Cannot talk to daemon\n",
        CHRONY.replace("Normal", "Leaping"),
        CHRONY.replace("-0.036996752", "nan"),
        CHRONY.replace("-0.036996752", ""),
        CHRONY.replace(",2,1795523347", ",-2,1795523347"),
        CHRONY.replace(",377,", ",399,"),
        CHRONY + "^,*,10.77.0.3\n",
    ],
)
def test_chronyc_words_that_cannot_be(text):
    with pytest.raises(DecodeError):
        chrony.parse(text)


def test_ntpd_tells_milliseconds_and_its_last_offset():
    found = ntpd.parse(data_of(NTPSEC).decode(), data_of(NTPSEC_PEERS))
    assert found == Believed(
        daemon="ntpd",
        leap=Leap.NONE,
        stratum=2,
        system_time_s=pytest.approx(-0.037000909),
        root_delay_s=pytest.approx(0.000059),
        root_dispersion_s=pytest.approx(0.037197),
        frequency_ppm=0.0,
        skew_ppm=None,
        reachable_sources=3,
    )
    assert "skew_ppm" not in found.fields()
    assert ntpd.parse(data_of(NTPSEC).decode(), data_of(NTPSEC_LONELY_PEERS)).reachable_sources == 1


def test_classic_ntpd_is_read_alike():
    found = ntpd.parse(CLASSIC, b"")
    assert (found.leap, found.stratum, found.reachable_sources) == (Leap.INSERT, 3, 0)
    assert found.system_time_s == pytest.approx(-0.000103421)
    assert found.frequency_ppm == -12.931
    assert ntpd.parse(CLASSIC.replace("rootdisp=", "rootdispersion="), b"") == found


@pytest.mark.parametrize(
    ("text", "associations"),
    [
        ("", b""),
        ("leap=0, stratum=2", b""),
        (CLASSIC.replace("leap=1", "leap=4"), b""),
        (CLASSIC.replace("offset=-0.103421", "offset=inf"), b""),
        (CLASSIC.replace("offset=", "offset"), b""),
        (CLASSIC, b"abc"),
    ],
)
def test_ntpd_words_that_cannot_be(text, associations):
    with pytest.raises(DecodeError):
        ntpd.parse(text, associations)


def test_no_text_takes_ntpds_parser_long():
    """Blanks in plenty, then no end to the variable: one look at each character, not one at each pair."""
    with pytest.raises(DecodeError):
        ntpd.parse("leap=" + " " * 60_000 + '"', b"")


def test_a_request_is_twelve_bytes_of_mode_6():
    assert request(Operation.READ_VARIABLES, 7) == b"\x16\x02\x00\x07" + bytes(8)


def test_an_answer_in_one_piece_and_nothing_else_counts():
    """Other sequences, operations and modes are somebody else's; a refusal is named."""
    answer = Answer(Operation.READ_VARIABLES, 7)
    assert answer.take(NTPSEC_PEERS) is None
    assert answer.take(b"") is None
    assert answer.take(b"\x16\x82\x00\x06" + NTPSEC[4:]) is None
    assert answer.take(b"\x16\x02" + NTPSEC[2:]) is None
    assert answer.take(b"\x14" + NTPSEC[1:]) is None
    assert answer.take(NTPSEC) == data_of(NTPSEC)
    with pytest.raises(DecodeError, match="authentication"):
        Answer(Operation.READ_VARIABLES, 7).take(b"\x16\xc2\x00\x07\x01\x00" + bytes(6))


def fragments(text: bytes, size: int) -> list[bytes]:
    pieces = [(at, text[at : at + size]) for at in range(0, len(text), size)]
    return [
        struct.pack("!BBHHHHH", 0x16, 0xA2 if at + size < len(text) else 0x82, 7, 0, 0, at, len(piece))
        + piece
        for at, piece in pieces
    ]


@given(st.binary(min_size=1, max_size=200), st.integers(min_value=1, max_value=60), st.randoms())
def test_fragments_come_together_in_any_order(text, size, random):
    answer = Answer(Operation.READ_VARIABLES, 7)
    datagrams = fragments(text, size)
    random.shuffle(datagrams)
    *early, last = datagrams
    assert all(answer.take(datagram) is None for datagram in early)
    assert answer.take(last) == text


def test_fragments_that_overlap_or_end_early_are_refused():
    first, last = fragments(b"abcdef", 3)
    answer = Answer(Operation.READ_VARIABLES, 7)
    answer.take(first)
    with pytest.raises(DecodeError, match="overlap"):
        answer.take(last[:8] + b"\0\2" + last[10:])
    with pytest.raises(DecodeError, match="not whole"):
        Answer(Operation.READ_VARIABLES, 7).take(last[:-1])


def test_timesyncd_tells_its_last_exchange_aged_at_15_ppm():
    found = timesyncd.parse(properties(frequency=-65536 * 3), DESTINATION_US + 100_000_000)
    assert found == Believed(
        daemon="timesyncd",
        leap=Leap.NONE,
        stratum=1,
        system_time_s=pytest.approx(-0.0369745),
        root_delay_s=pytest.approx(0.000101),
        root_dispersion_s=pytest.approx(0.013975 + 0.0015, abs=1e-6),
        frequency_ppm=-3.0,
        reachable_sources=1,
    )


def test_timesyncd_before_any_answer_after_a_spike_and_after_long_silence():
    """No belief, none of its own, and a source that is not reached any more."""
    unasked = timesyncd.parse(properties([0, 0, 0, 0, 0, 0, 0, [0, 0, 0, 0], 0, 0, 0, 0, False, 0, 0]), 1)
    assert (unasked.leap, unasked.system_time_s) == (Leap.UNSYNCHRONISED, None)
    spike = timesyncd.parse(properties([*MESSAGE[:12], True, *MESSAGE[13:]]), DESTINATION_US)
    assert spike.system_time_s is None
    assert timesyncd.parse(properties(), DESTINATION_US + 300_000_000).reachable_sources == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"data":[]}',
        '{"data":[{}]}',
        '{"data":[[]]}',
        properties(MESSAGE[:-1]),
        properties([5, *MESSAGE[1:]]),
        properties([True, *MESSAGE[1:]]),
        properties([*MESSAGE[:11], -1, *MESSAGE[12:]]),
        properties().replace("(uuuuittayttttbtt)", "(s)"),
        "[" * 100_000,
    ],
)
def test_timesyncd_words_that_cannot_be(text):
    with pytest.raises(DecodeError):
        timesyncd.parse(text, DESTINATION_US)


def damaged(text: str):
    """A real answer with a piece replaced by anything."""
    return st.tuples(st.integers(0, len(text)), st.integers(0, 20), st.text(max_size=10)).map(
        lambda cut: text[: cut[0]] + cut[2] + text[cut[0] + cut[1] :]
    )


def fine_or_refused(parse, *arguments):
    try:
        found = parse(*arguments)
    except DecodeError:
        return
    for name, value in found.fields().items():
        declared = MEASUREMENTS["truechimer_daemon"].field(name)
        assert type(value) is (int if declared.kind == "int" else float)
        assert abs(value) < 2**63


@given(st.text() | damaged(CHRONY))
def test_any_text_of_chronyc_is_read_or_refused(text):
    fine_or_refused(chrony.parse, text)


@given(st.text() | damaged(CLASSIC), st.binary(max_size=16))
def test_any_text_of_ntpd_is_read_or_refused(text, associations):
    fine_or_refused(ntpd.parse, text, associations)


@given(st.text() | damaged(properties()), st.integers(0, 2**62))
def test_any_text_of_busctl_is_read_or_refused(text, wall_us):
    fine_or_refused(timesyncd.parse, text, wall_us)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    st.lists,
    max_leaves=8,
)


@given(st.lists(st.integers(-(2**70), 2**70) | json_values, min_size=14, max_size=16))
def test_any_message_of_timesyncd_is_read_or_refused(message):
    fine_or_refused(timesyncd.parse, properties(message), DESTINATION_US)


@given(st.lists(st.binary(max_size=40).map(lambda tail: b"\x16\x82\x00\x07" + tail), max_size=5))
def test_any_datagrams_are_an_answer_or_refused(datagrams):
    answer = Answer(Operation.READ_VARIABLES, 7)
    for datagram in datagrams:
        try:
            whole = answer.take(datagram)
        except DecodeError:
            return
        assert whole is None or isinstance(whole, bytes)
