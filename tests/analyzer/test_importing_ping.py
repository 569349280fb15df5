"""The output of ping as probes: replies, losses by gaps, and what is neither."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.importing import ping
from truechimer_analyzer.importing.found import NS, Block, Line, Note, Probe, Refused, Replies

HEAD = "PING db-2 (10.0.0.2) 56(84) bytes of data."


def found(*texts, begin_ns=0, **options):
    return list(ping.parse([Line(n, text) for n, text in enumerate(texts, 1)], begin_ns, **options))


def probes(*texts, **options):
    return [each for each in found(*texts, **options) if isinstance(each, Probe)]


def reply(seq, ms=1.0, at=None, rest=""):
    stamp = "" if at is None else f"[{at:.6f}] "
    return f"{stamp}64 bytes from db-2 (10.0.0.2): icmp_seq={seq} ttl=64 time={ms} ms{rest}"


def test_a_whole_run_with_times():
    """Sent times are the stamp less the round trip; a gap is a loss between its neighbours."""
    got = probes(
        HEAD,
        reply(1, 10, 1000.01),
        reply(2, 20, 1001.02),
        reply(4, 10, 1003.01),
        "",
        "--- db-2 ping statistics ---",
    )
    assert [(round(p.time_ns / NS, 3), p.rtt_s) for p in got] == [
        (1000.0, 0.01), (1001.0, 0.02), (1003.0, 0.01), (1002.0, None),
    ]  # fmt: skip
    assert {p.peer for p in got} == {"db-2"}


def test_without_times_they_are_made_and_it_is_said():
    """Times come from icmp_seq and the interval."""
    every = found(HEAD, reply(1), reply(2), reply(5), begin_ns=7 * NS, interval_s=0.5)
    assert sorted(p.time_ns / NS for p in every if isinstance(p, Probe)) == [7, 7.5, 8, 8.5, 9]
    assert any(isinstance(each, Note) and "icmp_seq" in each.text for each in every)


def test_icmp_seq_wraps():
    """After 65535 comes 0; what is missing over the wrap is lost."""
    got = probes(reply(65534), reply(65535), reply(0), reply(2))
    assert [p.rtt_s is None for p in got] == [False, False, False, False, True]
    assert sorted(p.time_ns for p in got) == [n * NS for n in range(5)]


def test_losses_at_both_ends_need_header_and_summary():
    """Before the first reply with the header, after the last by the summary, the very last left out."""
    summary = "10 packets transmitted, 2 received, 80% packet loss, time 9000ms"
    assert sum(p.rtt_s is None for p in probes(HEAD, reply(3), reply(4), summary)) == 2 + 5
    assert sum(p.rtt_s is None for p in probes(reply(3), reply(4), summary)) == 0
    none = "5 packets transmitted, 0 received, 100% packet loss, time 4000ms"
    assert [p.rtt_s for p in probes(HEAD, none)] == [None] * 4


def test_duplicates_and_late_replies():
    """A second reply counts for nothing, one out of order is no loss."""
    got = probes(reply(1), reply(3), reply(2, 1500), reply(3, 2, rest=" (DUP!)"), reply(2))
    assert sorted((p.time_ns // NS, p.rtt_s) for p in got) == [(0, 0.001), (1, 1.5), (2, 0.001)]


def test_several_runs_in_one_file():
    """A header begins a new run, and so does a number far back; nothing is lost between them."""
    got = probes(HEAD, reply(1), reply(2), HEAD.replace("db-2", "db-3"), reply(1), reply(2))
    assert [p.peer for p in got] == ["db-2"] * 2 + ["db-3"] * 2
    assert [p.time_ns // NS for p in got] == [0, 1, 2, 3]
    assert all(p.rtt_s is not None for p in probes(reply(5000), reply(1), reply(2)))


def test_known_lines_are_not_refused_and_others_are():
    """What ping prints besides replies is known; what it never prints is refused with its number."""
    known = (
        HEAD, "no answer yet for icmp_seq=3", "From 10.0.0.9 icmp_seq=4 Destination Host Unreachable",
        "[1700000000.5] From 10.0.0.9 icmp_seq=4 Destination Host Unreachable",
        "--- db-2 ping statistics ---", "rtt min/avg/max/mdev = 0.1/0.2/0.3/0.1 ms", "", "^C",
        "3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2030ms",
    )  # fmt: skip
    assert not [each for each in found(*known) if isinstance(each, Refused)]
    refused = [
        each for each in found(reply(1), "hello", reply(2, -3), reply(70000)) if isinstance(each, Refused)
    ]
    assert [each.number for each in refused] == [2, 3, 4]


LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            reply, st.integers(0, 70_000), st.floats(-1e9, 1e9), st.one_of(st.none(), st.floats(0, 1e11))
        ),
        st.sampled_from(
            [HEAD, "9 packets transmitted, 1 received, time 8000ms", "9" * 9 + " packets transmitted, "]
        ),
    ),
    max_size=8,
)


@given(LINES)
def test_nothing_but_findings_comes_of_any_lines(texts):
    """Whatever the lines, no error, and every probe has a time and a length that can be."""
    for number, each in enumerate(ping.parse([Line(n, t) for n, t in enumerate(texts, 1)], 0)):
        if isinstance(each, Probe):
            assert 0 <= each.time_ns <= 9e18
            assert each.rtt_s is None or 0 <= each.rtt_s <= 1e6
        if number > 2000:
            break


@pytest.mark.parametrize("lost", [[], [3], [3, 4, 5, 90], list(range(2, 99))])
def test_every_number_sent_is_told_once(lost):
    """Of 99 numbers each is one probe, a reply or a loss."""
    got = probes(HEAD, *(reply(n) for n in range(1, 100) if n not in lost))
    assert sorted(p.time_ns // NS for p in got) == list(range(99))
    assert sum(p.rtt_s is None for p in got) == len(lost)


def test_a_reply_whose_time_cannot_be_read_is_refused_and_is_no_loss():
    """It came: only how soon is not known. Before, in between, late, and with a decimal comma."""
    texts = [HEAD, *(reply(n, at=1000.0 + n) for n in (1, 2))]
    texts += [reply(3, -5, at=1003.0), "64 bytes from db-2: icmp_seq=4 ttl=64", reply(6, "0,7", at=1006.0)]
    texts += [reply(5, -1, at=1006.5), reply(7, at=1007.0)]
    every = found(*texts)
    assert [each.rtt_s for each in every if isinstance(each, Probe)] == [0.001, 0.001, 0.0007, 0.001]
    assert sum(isinstance(each, Refused) for each in every) == 3


def test_macs_timeouts_are_losses_that_the_gaps_tell():
    """The line itself is nothing new."""
    every = found(HEAD, reply(1, at=1001.0), "Request timeout for icmp_seq 2", reply(3, at=1003.0))
    assert [each.rtt_s for each in every] == [0.001, 0.001, None]


@st.composite
def outputs(draw):
    """Blocks of lines as ping writes them, with gaps, wraps, late and double ones, other lines in between."""
    stamped, seq, at = draw(st.booleans()), draw(st.sampled_from([1, 0, 65_500])), 1000.0
    texts = [HEAD] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.integers(0, 9))
        if kind == 0:
            texts.append(draw(LINES.filter(bool).map(lambda some: some[0])))
        elif kind == 1:
            seq, at = (seq + draw(st.sampled_from([2, 3, 1030, 40_000, 65_530]))) % 65_536, at + 0.5
        for _ in range(draw(st.integers(1, 30))):
            ms = draw(st.sampled_from([0.05, 1.0, 2.34, 999.0]))
            texts.append(reply(seq, ms, at if stamped else None))
            seq, at = (seq + 1) % 65_536, at + draw(st.sampled_from([0.0, 0.2, 1.0]))
    return texts


@settings(max_examples=40)
@given(outputs(), st.integers(1, 60), st.sampled_from(["\n", "\r\n"]))
def test_blocks_tell_what_lines_do(texts, size, end):
    """However the lines fall into blocks: the same findings in the same order."""
    texts = [text.replace("\n", " ") for text in texts]
    blocks = [
        Block(begin + 1, "".join(text + end for text in texts[begin : begin + size]))
        for begin in range(0, len(texts), size)
    ]
    told = []
    for each in ping.parse(blocks, 0):
        told += each.singly() if isinstance(each, Replies) else [each]
    singly = found(*(text.rstrip("\r") for text in texts))
    assert told == singly


def test_blocks_of_replies_come_as_a_whole():
    """All of a hundred in two pieces: the first, and what follows it."""
    text = "".join(reply(n, round(1.0 + n / 100, 2), 1000.0 + n) + "\n" for n in range(1, 101))
    every = list(ping.parse([Block(1, text)], 0))
    assert [type(each) for each in every] == [Probe, Replies]
    assert len(every[1].rtt_s) == 99
