"""The lab itself is right: its servers are as wrong as they should be, its shifted clocks as shifted."""

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab.harness import (
    ChronyClient,
    ChronyServer,
    CpuLoad,
    Host,
    Network,
    NtpAnswer,
    ShiftedClock,
    VictoriaMetrics,
    ntp_exchange,
    this_machine,
    wait_until,
)
from lab.harness.network import NETNS_DIR, sweep_stale

pytestmark = pytest.mark.lab


def best_answer(host: Host, server: ChronyServer) -> NtpAnswer:
    """The answer of the least delay of some, which a busy machine disturbs least."""
    answers = [ntp_exchange(host, server.address) for _ in range(10)]
    return min((answer for answer in answers if answer), key=lambda answer: answer.delay_s)


def assert_contains(answer: NtpAnswer, offset_s: float) -> None:
    # chronyd's stamps resolve 1 µs or better and carry up to its own precision of random bits.
    assert abs(answer.offset_s - offset_s) <= answer.delay_s / 2 + 2e-6
    assert answer.delay_s < 0.01


def test_an_honest_server_and_one_37_ms_behind(network: Network) -> None:
    honest, liar, client = (network.host(name) for name in ("honest", "liar", "client"))
    with ChronyServer(honest) as true_server, ChronyServer(liar) as false_server:
        false_server.doffset(0.037)
        true_answer, false_answer = best_answer(client, true_server), best_answer(client, false_server)
        assert true_answer.stratum == false_answer.stratum == 1
        assert_contains(true_answer, 0.0)
        assert_contains(false_answer, -0.037)
        false_server.makestep()
        assert_contains(best_answer(client, false_server), 0.0)
        false_server.doffset(-0.037)
        assert_contains(best_answer(client, false_server), 0.037)


def test_a_drifting_server_gets_later_and_later(network: Network) -> None:
    client, server = network.host("client"), ChronyServer(network.host("drifting"))
    server.dfreq(5000)
    first = best_answer(client, server)
    later = wait_until(
        lambda: (answer := best_answer(client, server)).offset_s < first.offset_s - 0.002 and answer,
        "2 ms of drift",
    )
    assert later.offset_s < first.offset_s < 0.0005


def test_a_chronyd_client_follows_the_server(network: Network) -> None:
    server = ChronyServer(network.host("server"))
    with ChronyClient(network.host("client"), [server.address]) as client:
        client.wait_synchronised()
        assert client.tracking()[1] == server.address
        assert [source[2] for source in client.sources()] == [server.address]


def test_nobody_answers_on_a_port_nobody_holds_or_over_a_pulled_cable(network: Network) -> None:
    client, server = network.host("client"), ChronyServer(network.host("server"))
    assert ntp_exchange(client, client.address) is None
    server.host.disconnect()
    assert ntp_exchange(client, server.address, timeout_s=0.2) is None
    server.host.reconnect()
    assert wait_until(lambda: ntp_exchange(client, server.address), "the cable to work again")
    assert ntp_exchange(client, server.host.address6) is not None


def test_networks_side_by_side_do_not_see_each_other(network: Network) -> None:
    with Network() as other:
        server = ChronyServer(network.host("same-name"))
        stranger = other.host("same-name")
        assert stranger.address == server.address
        assert ntp_exchange(stranger, server.address, timeout_s=0.2) is None


def test_a_network_leaves_no_namespace_and_no_process(tmp_path: Path) -> None:
    with Network() as network:
        host = network.host("host")
        process = host.popen("sleep", "600", log=tmp_path / "log")
        stray = host.run("sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!").stdout.strip()
        assert (NETNS_DIR / str(host.namespace)).exists()
    assert process.exit_code is not None
    assert not (NETNS_DIR / str(host.namespace)).exists()
    wait_until(lambda: not running(int(stray)), "the stray process to be gone")


def running(pid: int) -> bool:
    """Whether the process lives (one that ended and was not yet reaped does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_the_next_run_sweeps_what_a_killed_one_left(network: Network) -> None:
    program = (
        "import os, signal\n"
        "from lab.harness import Network\n"
        "network = Network().__enter__()\n"
        "print(network.host('left').namespace, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(tests)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    left = NETNS_DIR / done.stdout.strip()
    assert left.name.endswith("-left"), done.stderr
    kept = network.host("kept")
    sweep_stale()
    assert not left.exists()
    assert (NETNS_DIR / str(kept.namespace)).exists()


CLOCKS = """
import ctypes, datetime, json, socket, struct, sys, time
SO_TIMESTAMPNS, SO_TIMESTAMPNS_NEW, SO_TIMESTAMP, SO_TIMESTAMPING = 35, 64, 29, 37

def stamp(option, value, form):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.setsockopt(socket.SOL_SOCKET, option, value)
        control = []
        while not control:  # the kernel turns its stamping on a little after the option is set
            s.sendto(b"x", s.getsockname())
            _, control, _, _ = s.recvmsg(16, 256)
        seconds, part = struct.unpack_from("qq", control[0][2])
        return seconds * 10**9 + part * form

libc = ctypes.CDLL(None)
for line in sys.stdin:
    pair = (ctypes.c_int64 * 2)()
    libc.gettimeofday(pair, None)
    libc.time.restype = ctypes.c_int64
    timex = (ctypes.c_int64 * 32)()
    libc.adjtimex(timex)
    nano = ctypes.c_int32.from_buffer(timex, 40).value & 0x2000
    print(json.dumps({
        "wall": {
            "clock_gettime": time.clock_gettime_ns(time.CLOCK_REALTIME),
            "time": time.time_ns(),
            "datetime": int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1e9),
            "coarse": time.clock_gettime_ns(5),
            "gettimeofday": pair[0] * 10**9 + pair[1] * 1000,
            "adjtimex": timex[9] * 10**9 + timex[10] * (1 if nano else 1000),
            "SO_TIMESTAMPNS": stamp(SO_TIMESTAMPNS, 1, 1),
            "SO_TIMESTAMPNS_NEW": stamp(SO_TIMESTAMPNS_NEW, 1, 1),
            "SO_TIMESTAMP": stamp(SO_TIMESTAMP, 1, 1000),
            "SO_TIMESTAMPING": stamp(SO_TIMESTAMPING, 8 | 16, 1),
        },
        "whole_seconds": libc.time(None),
        "steady": {str(c): time.clock_gettime_ns(c) for c in (
            time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, time.CLOCK_BOOTTIME)},
    }), flush=True)
"""


def test_a_shifted_clock_moves_the_wall_and_kernel_stamps_and_nothing_else(
    shifted_clock: Callable[..., ShiftedClock],
) -> None:
    clock = shifted_clock()
    true_reader = reader({})
    shifted_reader = reader(clock.env)
    with true_reader, shifted_reader:
        for shift_ns in (0, 500_000_000, -500_000_000, 3_600_000_000_123, -86_400_000_000_999, 0):
            clock.set_ns(shift_ns)
            before, shifted, after = ask(true_reader), ask(shifted_reader), ask(true_reader)
            for name, value in shifted["wall"].items():
                # The coarse clock is of the last tick; the others are cut to a microsecond or better.
                slack_ns = 20_000_000 if name == "coarse" else 2_000
                earliest, latest = before["wall"][name] - slack_ns, after["wall"][name] + slack_ns
                assert earliest <= value - shift_ns <= latest, (name, shift_ns)
            assert abs(shifted["whole_seconds"] - shifted["wall"]["time"] / 1e9) < 3
            for name, value in shifted["steady"].items():
                assert before["steady"][name] <= value <= after["steady"][name]
    assert clock.shift_ns == 0


def reader(env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLOCKS],
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: "subprocess.Popen[str]") -> dict:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_an_ntp_client_on_a_shifted_host_measures_the_shift(
    network: Network, shifted_clock: Callable[..., ShiftedClock]
) -> None:
    server = ChronyServer(network.host("server"))
    clock = shifted_clock(-1_500_000_000)
    with ChronyClient(network.host("client"), [server.address], env=clock.env) as client:
        client.wait_synchronised()
        # Its virtual clock was corrected at once, so what it measured first is only in its log.
        wrong = re.search(r"System clock wrong by (\S+) seconds", client.process.log_text())
        assert wrong is not None
        assert float(wrong[1]) == pytest.approx(1.5, abs=0.01)


def test_victoria_metrics_gives_back_what_it_took(network: Network, tmp_path: Path) -> None:
    with VictoriaMetrics(network.host("store"), tmp_path) as store:
        times_ms = [1_795_378_090_020, 1_795_378_091_020]
        store.write("".join(f"lab,node=a value={i}.5 {ms}000000\n" for i, ms in enumerate(times_ms)))
        (series,) = store.export('{__name__="lab_value"}')
        assert (
            series.labels == {"__name__": "lab_value", "db": "", "node": "a"} or series.labels["node"] == "a"
        )
        assert series.values == (0.5, 1.5)
        assert list(series.times_ms) == times_ms


def test_victoria_metrics_runs_on_this_machine_too(tmp_path: Path) -> None:
    with VictoriaMetrics(this_machine(), tmp_path) as store:
        store.write("lab value=1 1795378090020000000\n")
        assert [series.values for series in store.export("lab_value")] == [(1.0,)]
    with pytest.raises(OSError, match="refused") as refused:
        store.request("GET", "/health")
    assert refused.value.errno == errno.ECONNREFUSED


def test_load_keeps_processors_busy_and_ends(network: Network, tmp_path: Path) -> None:
    with CpuLoad(network.host("host"), 2, tmp_path) as load:
        workers = load.process.descendants()
        assert len(workers) >= 2
    assert load.process.exit_code is not None
    wait_until(lambda: not any(running(worker.pid) for worker in workers), "the workers to be gone")
