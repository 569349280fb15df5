"""ClockBound's path: taken only when nobody else writes there, and read as published by a client in C."""

import os
import struct
import subprocess
import time

import pytest
from agent.clockboundhost import ask, build_client, clients_interval, clients_status, daemon

from truechimer.readings import coarse_ns
from truechimer_agent.clockbound.layout import V1, V2, ErrorBound, Status
from truechimer_agent.clockbound.place import (
    FIRST_LOOK_S,
    SEEN_LIVE_S,
    Occupied,
    Place,
    writer_of,
)
from truechimer_agent.clockbound.terms import VALID_NS
from truechimer_agent.collecting import CollectFailure

LAYOUTS = pytest.mark.parametrize("layout", [V1, V2], ids=["v1", "v2"])
NS = 10**9


def bound(number=1, *, status=Status.SYNCHRONIZED, marker=None, age_ns=0):
    at_ns = coarse_ns() - age_ns
    return ErrorBound(at_ns, at_ns + VALID_NS, 1_000_000 + number, 15_000 + number, status, marker)


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    return build_client(tmp_path_factory.mktemp("clockbound"))


def abandoned(path, layout, generation=8):
    """A segment as a daemon of ClockBound's leaves it behind."""
    path.parent.mkdir(exist_ok=True)
    at_ns = coarse_ns() - 1_000_000
    left = ErrorBound(at_ns, (at_ns // NS + 1000) * NS, 5, 6, Status.SYNCHRONIZED)
    path.write_bytes(layout.header(generation) + layout.encode(left))


def moves_on(path):
    """Whether the file's bytes change, looked at for as long as a busy machine may need."""
    before = path.read_bytes()
    for _ in range(4000):
        if path.read_bytes() != before:
            return True
        time.sleep(0.005)
    return False


@LAYOUTS
@pytest.mark.parametrize("status", list(Status))
def test_a_client_in_c_agrees_to_the_nanosecond(tmp_path, client, layout, status):
    """Every field, and the interval that it computes at the instants of its own clocks."""
    place = Place(tmp_path / "clockbound" / "shm", layout)
    for age_ns in (0, 4 * NS, 6 * NS):
        published = bound(7, status=status, marker=2**63 + 5, age_ns=age_ns)
        assert place.put(published, 0.0)
        for seen in ask(client, tmp_path / "clockbound" / "shm", layout.version, count=20):
            expected = layout.decode((tmp_path / "clockbound" / "shm").read_bytes())
            assert expected.bound_ns == published.bound_ns
            assert seen["as_of_ns"] == published.as_of_ns
            assert seen["void_after_ns"] == published.void_after_ns
            assert seen["bound_ns"] == published.bound_ns
            assert seen["max_drift_ppb"] == published.max_drift_ppb
            assert seen["published_status"] == expected.status
            if layout is V2:
                assert (seen["marker"], seen["support"]) == (2**63 + 5, 1)
            interval = clients_interval(published, seen["real_ns"], seen["coarse_ns"])
            assert (seen["earliest_ns"], seen["latest_ns"]) == interval
            assert seen["status"] == clients_status(expected, seen["coarse_ns"])
    place.close()


@LAYOUTS
def test_a_client_that_maps_the_file_sees_whole_bounds_across_restarts_of_the_agent(tmp_path, client, layout):
    """Each bound's fields follow from its number; the file is never replaced or cut under the client."""
    path = tmp_path / "shm"
    place = Place(path, layout)
    place.put(bound(), 0.0)
    process = subprocess.Popen(
        [client, path, str(layout.version), "20000"], stdout=subprocess.PIPE, text=True
    )
    inode = path.stat().st_ino
    for number in range(1500):
        place.put(bound(number % 900), 0.0)
        if number % 100 == 0:
            place.close()
            place = Place(path, layout)
    lines = process.communicate(timeout=100)[0].splitlines()
    assert process.returncode == 0
    assert len(lines) == 20000
    seen = set()
    for line in lines:
        fields = {key: int(value) for key, value in (part.split(": ") for part in line[1:-1].split(", "))}
        number = fields['"bound_ns"'] - 1_000_000
        assert fields['"max_drift_ppb"'] - 15_000 == number
        assert fields['"void_after_ns"'] == fields['"as_of_ns"'] + VALID_NS
        seen.add(number)
    assert len(seen) > 1
    assert path.stat().st_ino == inode
    place.close()


@LAYOUTS
def test_a_live_daemons_path_is_not_taken_and_is_taken_once_it_is_dead(tmp_path, layout):
    """The daemon's as_of stands still: it is its generation that moves."""
    path = tmp_path / "shm"
    place = Place(path, layout)
    with daemon(path, layout, 0.01):
        assert place.put(bound(), 0.0) is False
        for second in range(1, 30):
            assert moves_on(path)
            with pytest.raises(Occupied, match="somebody else writes it"):
                place.put(bound(), float(second))
        assert moves_on(path)
        assert layout.decode(path.read_bytes()).as_of_ns == 0
    with pytest.raises(Occupied):
        place.put(bound(), 30.0)
    with pytest.raises(Occupied):
        place.put(bound(), 30.0 + SEEN_LIVE_S - 0.1)
    inode = path.stat().st_ino
    assert place.put(bound(3), 30.0 + SEEN_LIVE_S) is True
    assert layout.decode(path.read_bytes()).bound_ns == 1_000_003
    assert path.stat().st_ino == inode
    place.close()


@LAYOUTS
def test_a_daemon_that_sleeps_but_maps_the_file_keeps_its_path(tmp_path, layout):
    """ClockBound's waits for chronyd after a disruption without writing; /proc tells where it may be read."""
    path = tmp_path / "shm"
    place = Place(path, layout)
    with daemon(path, layout, 3600) as process:
        while not path.exists() or layout.decode(path.read_bytes()).bound_ns != 1:
            time.sleep(0.005)
        assert writer_of((path.stat().st_dev, path.stat().st_ino)) == process.pid
        assert place.put(bound(), 0.0) is False
        for second in (3, 4, 10, 13, 14, 25):
            with pytest.raises(Occupied, match=f"process {process.pid} maps it"):
                place.put(bound(), float(second))
    assert place.put(bound(), 40.0) is True
    place.close()


@LAYOUTS
def test_what_a_dead_daemon_left_behind_is_taken_after_three_seconds(tmp_path, layout):
    """In place and with the next generation, so that those who map it live on."""
    path = tmp_path / "shm"
    abandoned(path, layout, generation=65534)
    inode = path.stat().st_ino
    place = Place(path, layout)
    assert place.put(bound(), 100.0) is False
    assert place.put(bound(), 100.0 + FIRST_LOOK_S - 0.01) is False
    assert layout.generation_of(path.read_bytes()) == 65534
    assert place.put(bound(), 100.0 + FIRST_LOOK_S) is True
    assert layout.generation_of(path.read_bytes()) == 2
    assert path.stat().st_ino == inode
    place.close()


@LAYOUTS
def test_what_an_agent_left_behind_is_taken_at_once_and_mended(tmp_path, layout):
    """By its mark, void_after = as_of + 5 s; a generation left odd by a kill goes on to be even."""
    path = tmp_path / "shm"
    left = layout.encode(bound())
    path.write_bytes(layout.header(41) + left)
    place = Place(path, layout)
    assert place.put(bound(), 0.0) is True
    assert layout.generation_of(path.read_bytes()) == 42
    place.close()


@LAYOUTS
@pytest.mark.parametrize("raw", [b"", b"something else", bytes(200)])
def test_a_foreign_file_is_replaced_after_a_look_and_never_cut(tmp_path, layout, raw):
    path = tmp_path / "shm"
    path.write_bytes(raw)
    (tmp_path / "link").hardlink_to(path)
    place = Place(path, layout)
    assert place.put(bound(), 0.0) is False
    assert place.put(bound(), FIRST_LOOK_S) is True
    assert layout.generation_of(path.read_bytes()) == 4
    assert (tmp_path / "link").read_bytes() == raw
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "shm"]
    place.close()


@LAYOUTS
def test_an_agent_gives_way_to_a_daemon_that_starts_later(tmp_path, layout):
    path = tmp_path / "shm"
    place = Place(path, layout)
    assert place.put(bound(), 0.0)
    with daemon(path, layout, 0.01):
        assert moves_on(path)
        with pytest.raises(Occupied):
            place.put(bound(), 1.0)
        assert moves_on(path)
        assert layout.decode(path.read_bytes()).as_of_ns == 0
    with pytest.raises(Occupied):
        place.put(bound(), 2.0)
    assert place.put(bound(), 2.0 + SEEN_LIVE_S) is True
    place.close()


@LAYOUTS
def test_two_agents_do_not_share_a_path(tmp_path, layout):
    first, second = Place(tmp_path / "shm", layout), Place(tmp_path / "shm", layout)
    assert first.put(bound(1), 0.0)
    with pytest.raises(Occupied, match="another agent"):
        second.put(bound(2), 0.0)
    first.close()
    assert second.put(bound(2), 1.0)
    with pytest.raises(Occupied):
        first.put(bound(1), 2.0)
    second.close()


@LAYOUTS
def test_a_removed_file_is_made_anew(tmp_path, layout):
    """systemd removes the folder of a daemon that it stops."""
    path = tmp_path / "run" / "shm"
    place = Place(path, layout)
    place.put(bound(), 0.0)
    path.unlink()
    path.parent.rmdir()
    assert place.put(bound(5), 1.0)
    assert layout.decode(path.read_bytes()).bound_ns == 1_000_005
    assert path.stat().st_mode & 0o777 == 0o644
    place.close()


def test_a_folder_that_refuses_is_a_failure_with_a_hint(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CollectFailure, match="publishing at") as caught:
        Place(tmp_path / "file" / "shm", V2).put(bound(), 0.0)
    assert "docs/clockbound.md" in (caught.value.hint or "")


def test_only_a_shared_mapping_for_writing_makes_a_writer(tmp_path):
    (tmp_path / "1234").mkdir()
    device = f"{os.major(2049):02x}:{os.minor(2049):02x}"
    for line, found in [
        (f"7f00-7f01 r--s 00000000 {device} 77 /shm\n", None),
        (f"7f00-7f01 rw-p 00000000 {device} 77 /shm\n", None),
        (f"7f00-7f01 rw-s 00000000 {device} 78 /shm\n", None),
        (f"7f00-7f01 rw-s 00000000 {device} 77 /shm\n", 1234),
    ]:
        (tmp_path / "1234" / "maps").write_text(line)
        assert writer_of((2049, 77), tmp_path) == found


def test_the_client_refuses_what_is_not_its_version(tmp_path, client):
    """So that its agreement with the writer means something."""
    place = Place(tmp_path / "shm", V2)
    place.put(bound(), 0.0)
    with pytest.raises(AssertionError):
        ask(client, tmp_path / "shm", 1)
    with (tmp_path / "shm").open("r+b") as file:
        file.write(struct.pack("=I", 1))
    with pytest.raises(AssertionError):
        ask(client, tmp_path / "shm", 2)
    place.close()
