"""What the whole agent costs at default rates: CPU and PSS by process, in a base install of its own.

Usage: python bench/agent_cost.py [--seconds 300] [--mesh 8] [--python python3]

Makes a fresh virtual environment, installs this checkout's base into it, starts the agent there with 4 NTP
servers, 8 TCP targets and a sink (all of them on loopback, in this process), and reads /proc. No root needed.
With --mesh it also probes so many peers by STAMP once a second, and answers as many.
Goals: CPU ≤ 1.5 % of a core, summed PSS ≤ 90 MiB.
"""

from __future__ import annotations

import argparse
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NTP_SERVERS = 4
TCP_TARGETS = 8
UNIX_TO_NTP_S = 2_208_988_800


class NtpHandler(socketserver.BaseRequestHandler):
    """Answers as a stratum 1 server whose truth is this machine's wall clock."""

    def handle(self) -> None:
        data, sock = self.request
        (origin,) = struct.unpack_from("!Q", data, 40)
        now = int((time.time() + UNIX_TO_NTP_S) * 2**32) % 2**64
        sock.sendto(
            struct.pack("!BBbb12x4Q", 4 << 3 | 4, 1, 4, -23, now, origin, now, now), self.client_address
        )


class TcpHandler(socketserver.BaseRequestHandler):
    """Accepts and lets go."""


class SinkHandler(BaseHTTPRequestHandler):
    """Takes every batch."""

    protocol_version = "HTTP/1.1"
    batches = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        SinkHandler.batches += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(server: socketserver.BaseServer) -> int:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])  # type: ignore[index]


def serve_mesh(stack: ExitStack, count: int, python: Path) -> str:
    """As many agents' mesh in one process; the section by which the measured agent is in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        own = free.getsockname()[1]
    process = subprocess.Popen(
        [python, "-c", MESH, str(count), str(own)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stack.callback(process.wait)
    assert process.stdin is not None
    assert process.stdout is not None
    stack.callback(process.stdin.close)
    ports = process.stdout.readline().split()
    peers = [f"n{number}@127.0.0.1:{port}" for number, port in enumerate(ports)]
    section = f'[mesh]\nlisten = "127.0.0.1:{own}"\npeers = {peers}\n'.replace("'", '"')
    return section + f"degree = {count}\n"


MESH = """
import asyncio, sys, tempfile, threading
from dataclasses import replace
from truechimer.config.model import AgentConfig, MeshConfig
from truechimer.readings import SystemClocks
from truechimer_agent.collectors.mesh import Mesh
from truechimer_agent.collectors.reflector import Reflections
from truechimer_agent.hostclock import HostClock
from truechimer_agent.pauses.stalllog import StallLog

class Host:
    def __init__(self):
        self.clock = HostClock(SystemClocks(), None)
        self.clocks, self.steady = self.clock.clocks, self.clock.steady
        self.steady_now_ns = self.clock.steady_now_ns
    def emit(self, observation):
        pass

async def main(count, port):
    host, kept, ports = Host(), [], []
    for number in range(count):
        config = replace(AgentConfig(), cluster="default", node=f"n{number}")
        mesh = MeshConfig(listen="127.0.0.1:0", peers=(f"bench@127.0.0.1:{port}",))
        kept += [Reflections(host.clock, mesh, "default", config.node), Mesh(host, config, mesh, StallLog())]
        for collector in kept[-2:]:
            await collector.open()
        ports.append(kept[-2].port)
    print(*ports, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for collector in kept:
        await collector.close()

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


def base_environment(folder: Path, python: str) -> Path:
    """A virtual environment with the base install only."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), str(ROOT)], check=True)
    return folder / "bin/python"


def processes(parent: int) -> list[int]:
    """The agent's main process and all its descendants."""
    found = [parent]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_kib(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise KeyError(key)


def name_of(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return next((word for word in words if word.startswith("truechimer")), " ".join(words[:3]))


SLEEPER = """
import time
deadline, began = time.monotonic_ns(), time.process_time()
for _ in range(2000):
    deadline += 10_000_000
    time.sleep(max(0, deadline - time.monotonic_ns()) * 1e-9)
print(100 * (time.process_time() - began) / 20)
"""
"""What the meter's wakes alone cost here and now: they come to cold caches, and machines differ."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--settle", type=float, default=10, help="seconds before the measurement begins")
    parser.add_argument("--mesh", type=int, default=0, help="peers in the mesh")
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        python = base_environment(folder / "venv", options.python)
        ntp = [serve(socketserver.UDPServer(("127.0.0.1", 0), NtpHandler)) for _ in range(NTP_SERVERS)]
        socketserver.TCPServer.request_queue_size = 128
        tcp = [serve(socketserver.TCPServer(("127.0.0.1", 0), TcpHandler)) for _ in range(TCP_TARGETS)]
        sink = serve(ThreadingHTTPServer(("127.0.0.1", 0), SinkHandler))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            health = free.getsockname()[1]
        config = folder / "agent.toml"
        config.write_text(
            f'node = "bench"\nstate_dir = "{folder}/state"\nruntime_dir = "{folder}/run"\n'
            f"[ntp]\nservers = {[f'127.0.0.1:{port}' for port in ntp]}\n".replace("'", '"')
            + "".join(f'[[probe]]\nkind = "tcp"\ntarget = "127.0.0.1:{port}"\n' for port in tcp)
            + f'[[sink]]\nkind = "influx"\nurl = "http://127.0.0.1:{sink}"\n'
            + f'[health]\nlisten = "127.0.0.1:{health}"\n'
            + (serve_mesh(stack, options.mesh, python) if options.mesh else "")
        )
        with (folder / "log").open("wb") as log:
            agent = subprocess.Popen(
                [python, "-m", "truechimer_agent", "run", "--config", config], stderr=log, cwd=folder
            )
        try:
            time.sleep(options.settle)
            pids = processes(agent.pid)
            before = {pid: cpu_s(pid) for pid in pids}
            began = time.monotonic()
            time.sleep(options.seconds)
            took = time.monotonic() - began
            print(
                f"{took:.0f} s, {NTP_SERVERS} NTP servers, {TCP_TARGETS} TCP targets, "
                f"{options.mesh} peers in the mesh, base install only"
            )
            print(f"{'process':<36}{'CPU %':>8}{'PSS MiB':>9}{'RSS MiB':>9}")
            total_cpu = total_pss = 0.0
            for pid in pids:
                share = 100 * (cpu_s(pid) - before[pid]) / took
                pss, rss = memory_kib(pid, "Pss") / 1024, memory_kib(pid, "Rss") / 1024
                print(f"{name_of(pid):<36}{share:>8.2f}{pss:>9.1f}{rss:>9.1f}")
                total_cpu += share
                total_pss += pss
            print(f"{'all':<36}{total_cpu:>8.2f}{total_pss:>9.1f}")
            print(f"batches taken by the sink: {SinkHandler.batches}")
            sleeper = subprocess.run(
                [python, "-I", "-S", "-c", SLEEPER], capture_output=True, text=True, check=True
            )
            print(f"beside it, a process that only wakes every 10 ms: {float(sleeper.stdout):.2f} %")
            met = total_cpu <= 1.5 and total_pss <= 90
            print("goals (CPU ≤ 1.5 %, PSS ≤ 90 MiB):", "met" if met else "NOT met")
        finally:
            agent.terminate()
            agent.wait(10)
            sys.stderr.write((folder / "log").read_text())
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
