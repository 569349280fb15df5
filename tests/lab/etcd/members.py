"""Debian's etcd: three members on hosts that are joined pair by pair by links."""

from __future__ import annotations

import base64
import re
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

from lab.harness.clocks import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from lab.etcd.settings import Settings
    from lab.harness.link import Link
    from lab.harness.network import Host, Network
    from lab.harness.processes import Process

CLIENT = "http://127.0.0.1:2379"
PEER_PORT = 2380
ASK_S = 2.0
ANSWER_S = 20.0
_METRIC = re.compile(r"^(etcd_server_\w+) (\S+)$", re.MULTILINE)


class Far:
    """Three hosts, and the links between them; each has one address that the others reach over their link."""

    def __init__(self, network: Network, count: int = 3) -> None:
        self.hosts: list[Host] = [network.host(f"e{number}") for number in range(count)]
        self.addresses = {host.name: f"10.79.0.{number}" for number, host in enumerate(self.hosts, 1)}
        self.links: dict[tuple[str, str], Link] = {}
        for host in self.hosts:
            host.ip("address", "add", f"{self.addresses[host.name]}/32", "dev", "lo")
        for seed, (near, far) in enumerate(combinations(self.hosts, 2), 1):
            link = network.link(near, far, seed=seed)
            self.links[near.name, far.name] = link
            for here, there in ((near, far), (far, near)):
                route = (f"{self.addresses[there.name]}/32", "via", link.address_of(there))
                source = self.addresses[here.name]
                here.ip("route", "add", *route, "dev", link.device, "src", source)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a member says: who leads in which term, and how often that has changed since it started."""

    member_id: int
    leader_id: int
    term: int
    changes: int

    @property
    def leads(self) -> bool:
        """Whether it takes itself for the leader."""
        return self.leader_id == self.member_id


class Member:
    """One etcd; `kill` and `start` again as often as one likes."""

    def __init__(self, host: Host, directory: Path, flags: tuple[str, ...], pid_file: Path) -> None:
        self.host, self.name = host, host.name
        self._directory, self._flags, self._pid_file = directory, flags, pid_file
        directory.mkdir(parents=True, exist_ok=True)
        self.process: Process = self._started()

    def _started(self) -> Process:
        data = ("--data-dir", str(self._directory / self.name))
        log = self._directory / f"{self.name}.log"
        process = self.host.popen("etcd", "--name", self.name, *data, *self._flags, log=log)
        self._pid_file.write_text(f"{process.pid}\n")
        return process

    def restart(self) -> None:
        """Start it again after it was killed, with what it has on disk."""
        self.process.close()
        self.process = self._started()

    def close(self) -> None:
        """Leave nothing of it running."""
        self.process.close()

    def ask(self, path: str, body: bytes = b"{}", timeout_s: float = ASK_S) -> Any:
        """The answer of its JSON gateway; OSError when there is none, or an error."""
        answer = self.host.request("POST", CLIENT + path, body=body, timeout_s=timeout_s)
        if answer.status != 200:
            raise ConnectionError(f"{self.name}: {path}: {answer.status} {answer.body[:200]!r}")
        return answer.json()

    def metrics(self) -> dict[str, float]:
        """Its own metrics of the server that have no labels (OSError when it does not answer)."""
        page = self.host.request("GET", f"{CLIENT}/metrics", timeout_s=ASK_S).body.decode()
        return {name: float(value) for name, value in _METRIC.findall(page)}

    def seen(self) -> Seen | None:
        """What it says now; None when it does not answer."""
        try:
            status = self.ask("/v3/maintenance/status")
            changes = int(self.metrics()["etcd_server_leader_changes_seen_total"])
        except (OSError, KeyError):
            return None
        header = status["header"]
        return Seen(int(header["member_id"]), int(status.get("leader", 0)), int(header["raft_term"]), changes)

    def put(self, timeout_s: float = ANSWER_S) -> None:
        """Write something: answered when a majority has it (OSError when it is not)."""
        key = base64.b64encode(b"key").decode()
        self.ask("/v3/kv/put", f'{{"key": "{key}", "value": "{key}"}}'.encode(), timeout_s)


class Cluster:
    """Three members with the same settings; whose pid is in which file is told by `pid_files`, by host."""

    def __init__(self, far: Far, directory: Path, settings: Settings, pid_files: Mapping[str, Path]) -> None:
        self.settings = settings
        addresses = far.addresses
        known = ",".join(f"{name}=http://{address}:{PEER_PORT}" for name, address in addresses.items())
        self._stack = ExitStack()
        self.members: list[Member] = []
        with ExitStack() as stack:
            for host in far.hosts:
                peer = f"http://{addresses[host.name]}:{PEER_PORT}"
                flags = (
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                    *("--listen-client-urls", CLIENT, "--advertise-client-urls", CLIENT),
                    *("--initial-cluster", known, "--initial-cluster-state", "new"),
                    *("--heartbeat-interval", str(settings.heartbeat_ms)),
                    *("--election-timeout", str(settings.election_ms)),
                    *("--logger", "zap", "--log-outputs", "stderr"),
                )
                member = Member(host, directory, flags, pid_files[host.name])
                stack.callback(member.close)
                self.members.append(member)
            self.wait_agreed()
            self._stack = stack.pop_all()

    def leader(self) -> Member | None:
        """Who leads in the newest term that any member knows of, if somebody does."""
        said = [(seen, member) for member in self.members if (seen := member.seen()) is not None]
        newest = max((seen.term for seen, _ in said), default=0)
        return next((member for seen, member in said if seen.leads and seen.term == newest), None)

    def wait_led(self, timeout_s: float = 60.0) -> Member:
        """Wait for a leader."""
        return wait_until(self.leader, "a leader of etcd", timeout_s=timeout_s, evidence=self._logs)

    def wait_agreed(self, timeout_s: float = 60.0) -> list[Seen]:
        """Wait until all members follow the same leader; what they say then."""

        def agreed() -> list[Seen] | None:
            for member in self.members:
                if member.process.exit_code is not None:
                    raise RuntimeError(f"{member.name} has ended\n{self._logs()}")
            said = [seen for member in self.members if (seen := member.seen()) is not None]
            same = {(seen.leader_id, seen.term) for seen in said if seen.leader_id}
            return said if len(said) == len(self.members) and len(same) == 1 else None

        return wait_until(
            agreed, "all to follow one leader", timeout_s=timeout_s, every_s=0.1, evidence=self._logs
        )

    def _logs(self) -> str:
        return "\n".join(f"{member.name}: {member.process.log_text()[-3000:]}" for member in self.members)

    def close(self) -> None:
        """Leave nothing of it running."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
