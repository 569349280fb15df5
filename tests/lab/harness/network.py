"""Hosts as network namespaces, joined by a bridge in a namespace of its own.

The machine's own namespace gets no interface, address or route. A namespace's name carries its owner's pid
and start time, so that concurrent runs never collide and what a killed run left can be told and removed.
"""

import contextlib
import ctypes
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from lab.harness.link import Link
from lab.harness.processes import CommandResult, Process, environment

NETNS_DIR = Path("/run/netns")
CLONE_NEWNET = 0x40000000
NAME_PATTERN = re.compile(r"tclab-(?P<pid>\d+)-(?P<start>\d+)-\d+-.+")

_numbers = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)


def free_port() -> int:
    """A TCP port of this machine's loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_ticks(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot (proc(5), stat field 22); None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _ip(*args: str, lines: Sequence[str] = ()) -> str:
    """Run ip(8), with `lines` as its batch; RuntimeError with its words when it fails."""
    command = ["ip", *args, *(("-batch", "-") if lines else ())]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, env=environment())
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} {list(lines)}: {done.stderr.strip()}")
    return done.stdout


def _remove_namespace(name: str) -> None:
    """Kill what still runs in the namespace and delete it; one that is gone already is fine."""
    with contextlib.suppress(RuntimeError):
        for pid in _ip("netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(RuntimeError):
        _ip("netns", "delete", name)


def sweep_stale() -> list[str]:
    """Remove the namespaces, and what runs in them, of lab runs whose process is gone; return their names."""
    stale = []
    for path in NETNS_DIR.glob("tclab-*"):
        match = NAME_PATTERN.fullmatch(path.name)
        if match and _start_ticks(int(match["pid"])) != int(match["start"]):
            _remove_namespace(path.name)
            stale.append(path.name)
    return stale


@dataclass(frozen=True)
class Response:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as a JSON document."""
        return json.loads(self.body)


class Host:
    """A network namespace (or, with `namespace=None`, this machine itself) that programs run in.

    `address` and `address6` are what other hosts of the network reach it by.
    """

    def __init__(
        self,
        name: str,
        *,
        namespace: str | None,
        port: str = "",
        address: str,
        address6: str,
        switch: str = "",
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address
        self.address6 = address6
        self._switch = switch
        self._port = port
        self.cleanups = contextlib.ExitStack()

    @property
    def namespace_path(self) -> Path:
        """The file that stands for its namespace (ValueError for this machine itself)."""
        if self.namespace is None:
            raise ValueError("this machine itself has no namespace of the lab's")
        return NETNS_DIR / self.namespace

    def command(self, *args: str) -> list[str]:
        """The arguments that run `args` in this host; no wrapper stays around the program."""
        if self.namespace is None:
            return list(args)
        return ["nsenter", f"--net={self.namespace_path}", "--", *args]

    def run(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str = "",
    ) -> CommandResult:
        """Run a command to its end; with `check`, RuntimeError with its output when it fails."""
        done = subprocess.run(
            self.command(*args),
            env=environment(env),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            input=stdin,
        )
        result = CommandResult(tuple(args), done.returncode, done.stdout, done.stderr)
        if check and result.exit_code != 0:
            raise RuntimeError(str(result))
        return result

    def popen(self, *args: str, log: Path, env: Mapping[str, str] | None = None) -> Process:
        """Start a process in this host; it ends with the network at the latest."""
        process = Process(self.command(*args), log=log, env=env)
        self.cleanups.callback(process.close)
        return process

    def socket(
        self, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM, proto: int = 0
    ) -> socket.socket:
        """A socket of this host for the calling process (a socket stays in the namespace it is made in)."""
        if self.namespace is None:
            return socket.socket(family, kind, proto)
        made: list[socket.socket] = []
        failed: list[OSError] = []
        path = self.namespace_path

        def enter_and_make() -> None:
            # setns moves the calling thread alone, and this thread ends here.
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
                        number = ctypes.get_errno()
                        raise OSError(number, os.strerror(number), str(path))
                finally:
                    os.close(descriptor)
                made.append(socket.socket(family, kind, proto))
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=enter_and_make)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Response:
        """One HTTP request made from inside this host (OSError when nobody answers)."""
        parts = urlsplit(url)
        address, port = parts.hostname or "127.0.0.1", parts.port or 80
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
        with contextlib.closing(self.socket(family, socket.SOCK_STREAM)) as stream:
            stream.settimeout(timeout_s)
            stream.connect((address, port))
            connection.sock = stream
            try:
                connection.request(method, target, body=body, headers=dict(headers or {}))
                answer = connection.getresponse()
                return Response(answer.status, dict(answer.getheaders()), answer.read())
            except http.client.HTTPException as error:
                raise ConnectionError(f"{method} {url}: {error!r}") from error
            finally:
                connection.close()

    def ip(self, *args: str) -> str:
        """Run ip(8) on this host's interfaces (its own is eth0)."""
        if self.namespace is None:
            raise ValueError("this machine's own interfaces are not the lab's to change")
        return _ip("-n", self.namespace, *args)

    def disconnect(self) -> None:
        """Pull the cable: this host and the others hear nothing of each other, and its own link goes down."""
        _ip("-n", self._switch, "link", "set", self._port, "down")

    def reconnect(self) -> None:
        """Put the cable back."""
        _ip("-n", self._switch, "link", "set", self._port, "up")

    def close(self) -> None:
        """End every process started here, the last one first, and run the other `cleanups`."""
        self.cleanups.close()


def this_machine() -> Host:
    """The machine itself as a host, for programs on its loopback that need no namespace (and no root)."""
    return Host("this-machine", namespace=None, address="127.0.0.1", address6="::1")


class Network:
    """Hosts joined by a bridge; a context manager that leaves nothing behind.

    The addresses (10.77.0.N/16 and fd77::N/64) are the same in every network: none is seen outside its own.
    """

    def __init__(self) -> None:
        pid = os.getpid()
        self._prefix = f"tclab-{pid}-{_start_ticks(pid)}-{next(_numbers)}"
        self._switch = f"{self._prefix}-switch"
        self.hosts: dict[str, Host] = {}
        self._link_numbers = itertools.count()

    def __enter__(self) -> Self:
        sweep_stale()
        _ip("netns", "add", self._switch)
        try:
            _ip(
                "-n",
                self._switch,
                lines=["link add name br0 type bridge mcast_snooping 0", "link set br0 up"],
            )
        except BaseException:
            _remove_namespace(self._switch)
            raise
        return self

    def host(self, name: str) -> Host:
        """Add a host; names are unique within the network."""
        if name in self.hosts:
            raise ValueError(f"this network has a host {name!r} already")
        number = len(self.hosts) + 1
        namespace, port = f"{self._prefix}-{name}", f"port{number}"
        host = Host(
            name,
            namespace=namespace,
            port=port,
            address=f"10.77.{number >> 8}.{number & 255}",
            address6=f"fd77::{number:x}",
            switch=self._switch,
        )
        _ip("netns", "add", namespace)
        self.hosts[name] = host
        _ip(
            "-n",
            self._switch,
            lines=[
                f"link add name {port} type veth peer name eth0 netns {namespace}",
                f"link set {port} master br0 up",
            ],
        )
        _ip(
            "-n",
            namespace,
            lines=[
                "link set lo up",
                f"address add {host.address}/16 dev eth0",
                f"address add {host.address6}/64 dev eth0 nodad",
                "link set eth0 up",
            ],
        )
        return host

    def link(self, near: Host, far: Host, *, seed: int = 1) -> Link:
        """Join two hosts by one more line, whose delay, loss and so on a test sets per direction.

        `seed` is of its chance: the same packets in the same order meet the same fate.
        """
        return Link(near, far, next(self._link_numbers), seed=seed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts.values():
            host.close()
        for host in self.hosts.values():
            if host.namespace is not None:
                _remove_namespace(host.namespace)
        _remove_namespace(self._switch)
        self.hosts.clear()
