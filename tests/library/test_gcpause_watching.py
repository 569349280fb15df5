"""watch(): what a real CPython program tells of its collections, and that it never disturbs the program."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from truechimer import gcpause
from truechimer.gcpause import watching
from truechimer.gcpause.telling import Telling, default_socket
from truechimer.gcpause.watching import Watcher
from truechimer.gcpause.wire import Hello, Lines, Pause, Sum, decode
from truechimer.readings import mono_ns
from truechimer.segment import default_segment

S = 1_000_000_000


class Listener:
    """An agent's socket, and what came over each of its connections."""

    def __init__(self, path: Path, backlog: int = 16) -> None:
        self.path = path
        self.accepted: list[Connection] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen(backlog)
        self.socket.settimeout(20)

    def accept(self) -> Connection:
        self.accepted.append(Connection(self.socket.accept()[0]))
        return self.accepted[-1]

    def close(self) -> None:
        for connection in self.accepted:
            connection.close()
        self.socket.close()
        self.path.unlink(missing_ok=True)


class Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.lines = Lines()

    def records(self) -> list[Hello | Pause | Sum]:
        """What has come so far."""
        self.socket.setblocking(False)
        try:
            return [decode(line) for line in self.lines.feed(self.socket.recv(1 << 20))]
        except BlockingIOError:
            return []

    def rest(self) -> list[Hello | Pause | Sum]:
        """Everything to the connection's end."""
        self.socket.settimeout(20)
        found = []
        while data := self.socket.recv(1 << 16):
            found += [decode(line) for line in self.lines.feed(data)]
        return found

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def listener(tmp_path):
    made = Listener(tmp_path / "pauses.sock")
    yield made
    gcpause.unwatch()
    made.close()


class Clock:
    def __init__(self) -> None:
        self.now_ns = 5 * S

    def __call__(self) -> int:
        return self.now_ns


class Program:
    """A watcher whose collections the test makes up."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.watcher = Watcher(Telling(str(path), "cpython", "web"), 1_000_000, self.clock)

    def collects(self, duration_ns: int) -> None:
        self.watcher("start", {})
        self.clock.now_ns += duration_ns
        self.watcher("stop", {})


def test_long_ones_are_told_singly_and_short_ones_in_a_sum_each_second(listener):
    """A pause of the threshold or longer goes at once; the others' count, sum and longest follow."""
    program = Program(listener.path)
    agent = listener.accept()
    assert agent.records() == [Hello("cpython", "web", 5 * S)]
    program.collects(1_000_000)
    assert agent.records() == [Pause(5 * S, 1_000_000)]
    for duration_ns in (5, 999_999, 7):
        program.collects(duration_ns)
    assert agent.records() == []
    program.clock.now_ns = 6 * S
    program.collects(100)
    assert agent.records() == [Sum(5 * S + 1_000_000, 4, 1_000_111, 999_999)]
    program.collects(3)
    program.watcher.end()
    assert agent.rest() == [Sum(6 * S + 100, 1, 3, 3)]


def test_what_finds_no_room_is_told_as_a_sum_later_and_nothing_waits(listener):
    """An agent that does not read: counts and sums stay exact, in order, once it does."""
    program = Program(listener.path)
    agent = listener.accept()
    told = [2_000_000 + number for number in range(5000)]
    for duration_ns in told:
        program.collects(duration_ns)
    program.collects(10)
    first = agent.records()[1:]
    while more := agent.records():
        first += more
    assert 10 < len(first) < len(told)
    program.clock.now_ns += S
    program.collects(3_000_000)
    program.clock.now_ns += S
    program.collects(4_000_000)
    later = agent.records()
    program.watcher.end()
    later += agent.rest()
    assert [pause.duration_ns for pause in first] == told[: len(first)]
    everything = [*told, 10, 3_000_000, 4_000_000]
    sums = [one for one in later if isinstance(one, Sum)]
    singles = [*first, *(one for one in later if isinstance(one, Pause))]
    assert sum(one.pauses for one in sums) + len(singles) == len(everything)
    assert sum(one.total_ns for one in sums) + sum(one.duration_ns for one in singles) == sum(everything)
    assert max(one.max_ns for one in sums) == 3_000_000


def test_an_agent_that_comes_back_is_told_from_then_on(listener, tmp_path):
    """It is looked for once a second at most; what happened while nobody listened is not told."""
    program = Program(listener.path)
    agent = listener.accept()
    agent.close()
    listener.close()
    program.collects(1_500_000)
    program.clock.now_ns += 2 * S
    program.collects(1_600_000)
    again = Listener(tmp_path / "pauses.sock")
    program.collects(1_700_000)  # tried too lately
    program.clock.now_ns += S
    program.collects(1_800_000)  # this one finds the agent
    since_ns = program.clock.now_ns
    program.collects(1_900_000)
    program.watcher.end()
    assert again.accept().rest() == [Hello("cpython", "web", since_ns), Pause(since_ns, 1_900_000)]
    again.close()


def test_no_agent_a_full_backlog_and_a_path_too_long_are_no_errors(tmp_path):
    """Nothing is raised, and nothing waits."""
    for path in (tmp_path / "pauses.sock", tmp_path / ("x" * 200), tmp_path):
        Program(path).collects(5_000_000)
    crowded = Listener(tmp_path / "pauses.sock", backlog=0)
    programs = [Program(crowded.path) for _ in range(8)]
    began_ns = mono_ns()
    for program in programs:
        program.collects(5_000_000)
    assert mono_ns() - began_ns < 5 * S
    for program in programs:
        program.watcher.end()
    crowded.close()


def test_a_program_that_closed_our_descriptor_gets_nothing_into_its_own_files(listener):
    """The number may be another socket by now: it is neither written to nor closed."""
    program = Program(listener.path)
    listener.accept()
    number = program.watcher._telling._socket.fileno()
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), number)
    program.collects(2_000_000)
    program.watcher.end()
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    os.fstat(number)
    os.close(number)
    ours.close()
    theirs.close()


def test_real_collections_are_told_with_their_times(listener):
    """Each is inside the program's own bracket around gc.collect()."""
    truth = []
    kept = [[] for _ in range(200_000)]
    gcpause.watch(name="a web/service", socket=listener.path, threshold_s=0.0)
    agent = listener.accept()
    for _ in range(5):
        began_ns = mono_ns()
        gc.collect()
        truth.append((began_ns, mono_ns()))
    gcpause.unwatch()
    gcpause.unwatch()
    hello, *told = agent.rest()
    assert hello.name == "a_web/service"
    for began_ns, ended_ns in truth:
        inside = [
            one
            for one in told
            if began_ns <= one.start_mono_ns <= one.start_mono_ns + one.duration_ns <= ended_ns
        ]
        assert len(inside) == 1
    assert len(kept) == 200_000
    assert not [one for one in gc.callbacks if isinstance(one, Watcher)]


def test_watching_again_replaces_the_first(listener):
    """One entry of gc.callbacks, the new name."""
    for name in ("one", "two"):
        gcpause.watch(name=name, socket=listener.path)
    assert len([one for one in gc.callbacks if isinstance(one, Watcher)]) == 1
    assert listener.accept().rest()[0].name == "one"
    assert listener.accept().records()[0].name == "two"


@pytest.fixture
def watched(tmp_path):
    """Watched, and nobody listens."""
    gcpause.watch(name="web", socket=tmp_path / "pauses.sock")
    yield
    gcpause.unwatch()


class Ending:
    """A finalizer that runs inside a collection, whatever it does."""

    def __init__(self, what):
        self.what = what
        self.itself = self

    def __del__(self):
        self.what()


def test_a_program_that_ends_amid_a_collection_leaves_others_their_calls(watched):
    """CPython goes through its list by place: the callback after ours would miss the collection's end."""
    phases = []

    def theirs(phase, info):
        phases.append(phase)

    def unwatch_elsewhere():
        ending = threading.Thread(target=gcpause.unwatch)
        ending.start()
        ending.join()

    gc.callbacks.append(theirs)
    try:
        Ending(unwatch_elsewhere)
        gc.collect()
    finally:
        gc.callbacks.remove(theirs)
    assert phases == ["start", "stop"]
    assert not [one for one in gc.callbacks if isinstance(one, Watcher)]


def test_a_fork_leaves_what_the_program_does_with_collection_meanwhile(watched):
    """Another thread's disable, enable, thresholds and Coordinator stand; else all is as it was."""
    before = gc.get_threshold()
    coordinator = gcpause.Coordinator()

    def fork_amid(change):
        watching._before_fork()
        assert gc.get_threshold()[0] == 0
        change()
        watching._after_fork()

    try:
        fork_amid(gc.disable)
        assert not gc.isenabled()
        fork_amid(gc.enable)
        assert gc.isenabled()
        fork_amid(coordinator.start)
        assert not gc.isenabled()
        fork_amid(coordinator.stop)
        assert gc.isenabled()
        fork_amid(lambda: fork_amid(lambda: None))
        assert gc.get_threshold() == before
        fork_amid(lambda: gc.set_threshold(123))
        assert gc.get_threshold()[0] == 123
        fork_amid(gcpause.unwatch)
        assert gc.get_threshold()[0] == 123
    finally:
        gc.enable()
        gc.set_threshold(*before)


def test_a_fork_before_which_nothing_was_watched_is_not_counted(tmp_path):
    """watch() between a fork's two hooks, from another thread: the next fork is guarded all the same."""
    before = gc.get_threshold()
    watching._before_fork()
    assert gc.get_threshold() == before
    gcpause.watch(name="web", socket=tmp_path / "pauses.sock")
    try:
        watching._after_fork()
        watching._before_fork()
        assert gc.get_threshold()[0] == 0
        watching._after_fork()
    finally:
        gcpause.unwatch()
    assert gc.get_threshold() == before


def test_a_fork_waits_by_the_clock(monkeypatch):
    """Beside threads that compute a nap lasts much longer than it was meant to."""
    naps = []
    monkeypatch.setattr(watching, "_LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(watching, "sleep", lambda _: naps.append(time.sleep(0.005)))
    watching._wait(lambda: False)
    assert len(naps) == watching._LEAST_NAPS


def test_a_fork_waits_for_a_collection_after_which_the_watcher_leaves(watched):
    """unwatch() amid it: until then it is still called, and may yield to the thread that forks."""
    held = []

    def elsewhere():
        gcpause.unwatch()
        watching._before_fork()
        held.append(gc.get_threshold()[0])
        watching._after_fork()

    def in_collection():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(watching, "_LONGEST_WAIT_S", 0.01)
        Ending(in_collection)
        gc.collect()
    assert held == [0]
    assert gc.get_threshold()[0]


def test_a_collection_is_seen_though_another_watcher_was_put_in_amid_it(watched, tmp_path, monkeypatch):
    """The new one has not seen it begin; the one that it replaces has."""
    monkeypatch.setattr(watching, "_FEW_OBJECTS", -1)
    seen = []

    def elsewhere():
        gcpause.watch(name="again", socket=tmp_path / "pauses.sock")
        seen.append(watching._is_collecting_elsewhere(watching._watcher))

    def in_collection():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    Ending(in_collection)
    gc.collect()
    assert seen == [True]
    assert not watching._is_collecting_elsewhere(watching._watcher)


def test_a_fork_collects_nothing_where_the_program_turned_collection_off(watched):
    """Neither by gc.disable(), as a Coordinator does, nor by a threshold of 0."""
    thresholds = gc.get_threshold()
    for turn_off in (gc.disable, lambda: gc.set_threshold(0)):
        turn_off()
        try:
            before = [one["collections"] for one in gc.get_stats()]
            watching._before_fork()
            watching._after_fork()
            assert [one["collections"] for one in gc.get_stats()] == before
        finally:
            gc.enable()
            gc.set_threshold(*thresholds)


def test_the_socket_is_beside_the_segment(monkeypatch):
    """Both go by the same variable and default."""
    for value in ("/some/where", None):
        if value:
            monkeypatch.setenv("TRUECHIMER_RUNTIME_DIR", value)
        else:
            monkeypatch.delenv("TRUECHIMER_RUNTIME_DIR")
        assert Path(default_socket()).parent == default_segment().parent


def run(program: str, *arguments: object, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def test_a_forked_child_tells_of_itself_on_a_connection_of_its_own(listener):
    """Parent and child do not share the stream, and the child's collections work."""
    done = run(
        """
        import gc, os, sys
        from truechimer import gcpause
        gcpause.watch(name="forking", socket=sys.argv[1], threshold_s=0.0)
        child = os.fork()
        gc.collect()
        if child:
            os.waitpid(child, 0)
        else:
            gcpause.unwatch()
            os._exit(0)
        """,
        listener.path,
        options=("-W", "error", "-X", "dev"),
    )
    assert done.stderr == ""
    first, second = listener.accept().rest(), listener.accept().rest()
    assert isinstance(first[0], Hello)
    assert isinstance(second[0], Hello)
    assert [record for record in first[1:] if isinstance(record, Pause)]
    assert [record for record in second[1:] if isinstance(record, Pause)]


def test_a_fork_amid_another_threads_collections_leaves_the_child_able_to_collect(listener):
    """Without waiting, a child could inherit the mark "a collection is running" and never collect again."""
    done = run(
        """
        import gc, os, sys, threading
        from truechimer import gcpause
        sys.setswitchinterval(1e-5)
        gcpause.watch(name="forking", socket=sys.argv[1], threshold_s=0.0)
        over = False
        def collect():
            while not over:
                for _ in range(1000):
                    cycle = []
                    cycle.append(cycle)
        threads = [threading.Thread(target=collect) for _ in range(3)]
        for thread in threads:
            thread.start()
        bad = 0
        for _ in range(30):
            child = os.fork()
            if not child:
                gc.collect()
                stuck = gc.get_stats()[2]["collections"]
                gc.collect()
                os._exit(gc.get_stats()[2]["collections"] == stuck)
            bad += os.waitpid(child, 0)[1] != 0
        over = True
        for thread in threads:
            thread.join()
        print(bad, gc.isenabled())
        """,
        listener.path,
    )
    assert done.stdout == "0 True\n"
    assert done.stderr == ""


def test_threads_signals_and_finalizers_at_once_raise_nothing(listener):
    """Collections from several threads, handlers amid them, finalizers that collect, watch and unwatch."""
    done = run(
        """
        import gc, signal, sys, threading, time
        from truechimer import gcpause
        sys.setswitchinterval(1e-5)
        path, hits, over = sys.argv[1], [], False
        gcpause.watch(name="busy", socket=path, threshold_s=0.0)
        class Last:
            def __init__(self): self.me = self
            def __del__(self): gc.collect()
        def handle(*_):
            hits.append(1); gc.collect(); gcpause.unwatch(); gcpause.watch(name="busy", socket=path)
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        def churn():
            while not over:
                for _ in range(50):
                    cycle = [[] for _ in range(20)]; cycle.append(cycle)
                Last()
        threads = [threading.Thread(target=churn) for _ in range(3)]
        for thread in threads: thread.start()
        end = time.monotonic() + 1.5
        while time.monotonic() < end: gc.collect(1)
        over = True
        for thread in threads: thread.join()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(len(hits) > 5, sum(1 for one in gc.callbacks if type(one).__name__ == "Watcher"))
        """,
        listener.path,
    )
    assert done.stdout == "True 1\n"
    assert done.stderr == ""
