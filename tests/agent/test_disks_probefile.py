"""The probe's file on a real file system: its own and nobody else's, and each failure with what to do."""

import errno
import os
import stat
from pathlib import Path

import pytest

from truechimer.readings import SystemClocks
from truechimer_agent.disks import probefile
from truechimer_agent.disks.probefile import ProbeFailure, ProbeFile, name_of

RAW_NS = SystemClocks().raw_ns


def probe_of(directory, sync=probefile.write_and_sync):
    return ProbeFile(directory, "probe", RAW_NS, sync)


def failing_with(number):
    def sync(fd, block):
        raise OSError(number, os.strerror(number))

    return sync


def test_a_probe_is_a_block_in_a_file_of_its_own_that_only_its_owner_reads(tmp_path):
    """Mode 0600, one block that differs from probe to probe, and nothing left at the end."""
    file, path = probe_of(tmp_path), tmp_path / "probe"
    blocks = []
    for _ in range(12):
        written = file.probe()
        assert 0 < written.took_ns <= written.done_ns - written.opening_ns
        blocks.append(path.read_bytes())
    assert {len(block) for block in blocks} == {probefile.BLOCK}
    assert len(set(blocks)) == len(blocks)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert written.device == tmp_path.stat().st_dev
    file.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_file_left_behind_by_an_earlier_agent_is_used_again(tmp_path):
    """kill -9 leaves the file: the next one takes it over, and removes it."""
    probe_of(tmp_path).probe()
    later = probe_of(tmp_path)
    later.probe()
    later.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_refused_and_its_target_untouched(tmp_path):
    """Whoever may write to the directory cannot make the agent write elsewhere."""
    target = tmp_path / "precious"
    target.write_text("kept")
    (tmp_path / "probe").symlink_to(target)
    file = probe_of(tmp_path)
    with pytest.raises(ProbeFailure, match="is a symbolic link"):
        file.probe()
    file.remove()
    assert target.read_text() == "kept"
    assert (tmp_path / "probe").is_symlink()


def _hard_link(path):
    target = path.with_name("precious")
    target.write_text("kept")
    path.hardlink_to(target)


@pytest.mark.parametrize(
    "make",
    [_hard_link, os.mkfifo, lambda path: path.write_bytes(b"x" * 5000)],
    ids=["hard link", "fifo", "longer file"],
)
def test_anything_else_of_that_name_is_not_written_to(tmp_path, make):
    """A hard link to somebody's file, a FIFO that would block, a file that is not a probe's."""
    path = tmp_path / "probe"
    make(path)
    before = path.stat()
    file = probe_of(tmp_path)
    with pytest.raises(ProbeFailure, match="is not the probe's own file") as caught:
        file.probe()
    assert "move it away" in caught.value.hint
    file.remove()
    after = path.stat()
    assert (before.st_ino, before.st_size, before.st_mtime_ns) == (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )


def test_a_missing_directory_and_one_that_is_a_file(tmp_path):
    """Each says what to do; a directory that appears later is used then."""
    (tmp_path / "file").touch()
    with pytest.raises(ProbeFailure, match="Not a directory") as caught:
        probe_of(tmp_path / "file").probe()
    assert "correct the path" in caught.value.hint
    later = probe_of(tmp_path / "later")
    with pytest.raises(ProbeFailure, match="No such file"):
        later.probe()
    (tmp_path / "later").mkdir()
    later.probe()


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "ReadWritePaths="),
        (errno.EACCES, "directory of the agent's own"),
        (errno.EIO, "dmesg"),
        (errno.EMFILE, "dmesg"),
    ],
)
def test_each_failure_says_what_to_do(tmp_path, number, advice):
    """The same failure reads the same each time, so that it is logged once."""
    file = probe_of(tmp_path, failing_with(number))
    messages = set()
    for _ in range(3):
        with pytest.raises(ProbeFailure, match=os.strerror(number)) as caught:
            file.probe()
        messages.add(str(caught.value))
        assert advice in caught.value.hint
    assert len(messages) == 1


def test_a_path_that_is_none_is_told(tmp_path):
    """A null byte cannot be in a path."""
    with pytest.raises(ProbeFailure, match="is no path"):
        probe_of(tmp_path / "a\0b").probe()


def test_slow_opening_counts_and_quick_opening_does_not():
    """Opening a file on a hung server hangs as a write does; opening one at once is Python's own time."""
    quick = probefile.Written(0, 20_000, 1_020_000, 1)
    slow = probefile.Written(0, 2_000_000, 3_000_000, 1)
    assert (quick.took_ns, slow.took_ns) == (1_000_000, 3_000_000)


def open_now():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_every_probe_lets_go_of_its_files(tmp_path):
    """Nothing stays open that would keep the disk mounted, whether probes succeed or fail."""
    open_files = open_now()
    good, bad = probe_of(tmp_path), ProbeFile(tmp_path, "bad", RAW_NS, failing_with(errno.EIO))
    (tmp_path / "link").symlink_to(tmp_path)
    linked = ProbeFile(tmp_path, "link", RAW_NS)
    for _ in range(20):
        good.probe()
        for file in (bad, linked):
            with pytest.raises(ProbeFailure):
                file.probe()
    assert open_now() == open_files


def test_node_names_become_file_names():
    """No separators, no way out of the directory, no name that is too long."""
    assert name_of("db-1") == ".truechimer-fsync-db-1"
    assert "/" not in name_of("../../etc/x")
    assert len(os.fsencode(name_of("ü" * 300))) < 255
