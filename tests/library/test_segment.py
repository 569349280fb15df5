"""The segment: what is published is what is read, and nothing else is ever read."""

import contextlib
import struct
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.codes import BoundReason, BoundStatus, Leap
from truechimer.errors import DecodeError, NothingThere, TruechimerError, UserError
from truechimer.segment import (
    SIZE,
    ForeignSegment,
    FutureSegment,
    Published,
    SegmentReader,
    SegmentWriter,
    TornSegment,
    TruncatedSegment,
    check_header,
    decode_body,
    default_segment,
    encode_body,
)

I64 = st.integers(-(2**63), 2**63 - 1)
PUBLISHED = st.builds(
    Published,
    *[I64] * 8,
    st.sampled_from(BoundStatus),
    st.sampled_from(BoundReason),
    st.sampled_from(Leap),
)
BOOT = "11111111-2222-3333-4444-555555555555"


def published(**changes):
    values = {
        "as_of_steady_ns": 5,
        "anchor_ns": 7,
        "epoch": 1,
        "lower_ns": -3,
        "upper_ns": 4,
        "frequency_lower_ppb": -500_000,
        "frequency_upper_ppb": 500_000,
        "suspended_ns": 0,
        "status": BoundStatus.SYNCHRONIZED,
        "reason": BoundReason.NONE,
        "leap": Leap.NONE,
    }
    return Published(**(values | changes))


@given(PUBLISHED, st.binary(min_size=16, max_size=16))
def test_a_body_decodes_to_what_was_encoded(bound, boot):
    assert decode_body(encode_body(bound, boot)) == (bound, boot)


@given(st.binary(max_size=2 * SIZE))
def test_any_header_bytes_give_a_generation_or_a_segment_error(raw):
    with contextlib.suppress(DecodeError):
        assert check_header(raw) >= 0


@given(st.binary(min_size=SIZE - 32, max_size=SIZE - 32))
def test_any_body_bytes_give_a_bound_or_a_segment_error(raw):
    with contextlib.suppress(DecodeError):
        decode_body(raw)


def test_readers_see_what_the_writer_published_last(tmp_path):
    path = tmp_path / "run" / "clock"
    reader = SegmentReader(path)
    with SegmentWriter(path) as writer:
        with pytest.raises(NothingThere, match="not published a bound"):
            reader.read()
        for lower in range(-5, 0):
            writer.write(published(lower_ns=lower))
            assert reader.read() == published(lower_ns=lower)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_missing_file_is_nothing_there_with_a_hint(tmp_path):
    with pytest.raises(NothingThere) as caught:
        SegmentReader(tmp_path / "clock").read()
    assert "truechimer up" in (caught.value.hint or "")


def test_a_new_writer_goes_on_in_the_live_file(tmp_path):
    """Mapped readers keep their inode across a restart of the agent, and the generation only grows."""
    path = tmp_path / "clock"
    with SegmentWriter(path) as writer:
        writer.write(published())
    inode = path.stat().st_ino
    generation = struct.unpack_from("<Q", path.read_bytes(), 16)[0]
    with SegmentWriter(path) as writer:
        assert SegmentReader(path).read() == published()
        writer.write(published(epoch=9))
    assert path.stat().st_ino == inode
    assert struct.unpack_from("<Q", path.read_bytes(), 16)[0] == generation + 2


def test_a_writer_that_died_in_the_act_is_torn_until_the_next_one_writes(tmp_path):
    path = tmp_path / "clock"
    with SegmentWriter(path) as writer:
        writer.write(published())
    with path.open("r+b") as file:
        file.seek(16)
        file.write(struct.pack("<Q", 3))
    with pytest.raises(TornSegment):
        SegmentReader(path).read()
    with SegmentWriter(path) as writer:
        writer.write(published(epoch=2))
        assert SegmentReader(path).read().epoch == 2


def test_a_flipped_bit_in_the_body_is_never_read(tmp_path):
    path = tmp_path / "clock"
    with SegmentWriter(path) as writer:
        writer.write(published())
    raw = bytearray(path.read_bytes())
    raw[60] ^= 4
    path.write_bytes(raw)
    with pytest.raises(TornSegment):
        SegmentReader(path).read()


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", TruncatedSegment),
        (b"something else entirely, and long enough" * 10, ForeignSegment),
        (b"TRUECHIM\x01\0\0\0", TruncatedSegment),
        (b"TRUECHIM" + struct.pack("<II", 1, SIZE) + bytes(40), TruncatedSegment),
        (b"TRUECHIM" + struct.pack("<II", 2, 256) + bytes(240), FutureSegment),
    ],
)
def test_a_file_that_is_not_a_segment_is_refused_by_kind_and_replaced_by_the_writer(tmp_path, raw, error):
    path = tmp_path / "clock"
    path.write_bytes(raw)
    with pytest.raises(error):
        SegmentReader(path).read()
    with SegmentWriter(path) as writer:
        writer.write(published())
        assert SegmentReader(path).read() == published()
    assert [entry.name for entry in tmp_path.iterdir()] == ["clock"]


def test_a_segment_of_another_boot_is_nothing_there(tmp_path):
    """RAW starts anew at boot: an old S may look plausible and would be wrong."""
    path = tmp_path / "clock"
    with SegmentWriter(path, boot=BOOT) as writer:
        writer.write(published())
        assert SegmentReader(path, boot=BOOT).read() == published()
        with pytest.raises(NothingThere, match="before this host booted"):
            SegmentReader(path).read()


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "clock"
    with SegmentWriter(path), pytest.raises(UserError, match="another agent"):
        SegmentWriter(path)


def test_a_removed_file_comes_back_with_the_next_write(tmp_path):
    path = tmp_path / "clock"
    with SegmentWriter(path) as writer:
        writer.write(published())
        path.unlink()
        writer.write(published(epoch=3))
        assert SegmentReader(path).read().epoch == 3


def test_a_number_beyond_64_bits_is_refused_and_the_old_bound_stays(tmp_path):
    path = tmp_path / "clock"
    with SegmentWriter(path) as writer:
        writer.write(published())
        with pytest.raises(TruechimerError, match="cannot be published"):
            writer.write(published(upper_ns=2**63))
        assert SegmentReader(path).read() == published()


def test_readers_never_see_a_mixture_while_a_writer_rewrites(tmp_path):
    """Every field of one bound carries the same number; a torn read would show two."""
    path = tmp_path / "clock"
    writer = SegmentWriter(path)
    writer.write(published(as_of_steady_ns=0, lower_ns=0, upper_ns=0, suspended_ns=0))
    program = (
        "import sys; from pathlib import Path; from truechimer.segment import SegmentReader\n"
        "r = SegmentReader(Path(sys.argv[1])); seen = set()\n"
        "reads = 0\n"
        "while reads < 3000 or len(seen) < 2:\n"
        "    reads += 1\n"
        "    p = r.read(); assert p.as_of_steady_ns == p.lower_ns == p.upper_ns == p.suspended_ns, p\n"
        "    seen.add(p.lower_ns)\n"
        "print(len(seen))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    done = threading.Event()
    number = 0
    try:
        while child.poll() is None:
            number += 1
            writer.write(
                published(as_of_steady_ns=number, lower_ns=number, upper_ns=number, suspended_ns=number)
            )
    finally:
        done.set()
        child.kill()
        out, _ = child.communicate()
        writer.close()
    assert child.returncode == 0
    assert int(out) > 1


def test_the_default_path_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TRUECHIMER_RUNTIME_DIR", str(tmp_path))
    assert default_segment() == tmp_path / "clock"
    monkeypatch.delenv("TRUECHIMER_RUNTIME_DIR")
    assert str(default_segment()) == "/run/truechimer/clock"


def test_a_folder_that_refuses_is_said_with_a_hint(tmp_path):
    (tmp_path / "x").write_text("a file where a folder should be")
    with pytest.raises(TruechimerError, match="opening"):
        SegmentWriter(tmp_path / "x" / "clock")
