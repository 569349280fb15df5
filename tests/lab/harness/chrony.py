"""Real chronyd, as servers with a known error and as a client.

`-x` leaves the kernel's clock alone: chronyd then keeps a virtual clock, which its answers carry and which
`doffset`, `dfreq` and `makestep` move.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.harness.network import Host
from lab.harness.ntp import ntp_exchange

# The column of a line of measurements.log that holds the offset.
MEASURED_OFFSET = 11


class Chronyd:
    """A chronyd with folder, command socket and pid file of its own.

    chronyd refuses command sockets in a folder that others can enter, and a socket's path may have 107 bytes
    at most, so the folder is a short one of our own and not the test's.
    """

    def __init__(
        self,
        host: Host,
        name: str,
        lines: Sequence[str],
        env: Mapping[str, str] | None = None,
        command_port: int = 0,
    ) -> None:
        self.host = host
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="tc-chrony-")
        host.cleanups.callback(self._folder.cleanup)
        directory = Path(self._folder.name)
        directory.chmod(0o750)
        self.socket = directory / "sock"
        configuration = directory / "chrony.conf"
        configuration.write_text(
            "\n".join(
                [
                    *lines,
                    f"bindcmdaddress {self.socket}",
                    f"cmdport {command_port}",
                    f"pidfile {directory / 'pid'}",
                    "",
                ]
            )
        )
        self.process = host.popen(
            "chronyd", "-x", "-d", "-u", "root", "-f", str(configuration), log=directory / "log", env=env
        )

    def chronyc(self, *command: str, check: bool = True) -> str:
        """Run a chronyc command on it and return its output, comma-separated where it is a report."""
        result = self.host.run("chronyc", "-n", "-c", "-h", str(self.socket), *command, check=check)
        return result.stdout

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.process.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ChronyServer(Chronyd):
    """An NTP server of stratum 1 on `host`, telling the kernel's time until told otherwise.

    Servers with the `env` of one ShiftedClock tell its W: their time steps together, at one instant.
    """

    def __init__(
        self,
        host: Host,
        name: str = "",
        *,
        port: int = 123,
        stratum: int = 1,
        env: Mapping[str, str] | None = None,
    ) -> None:
        lines = [f"local stratum {stratum}", "allow all", f"port {port}"]
        super().__init__(host, name or host.name, lines, env)
        self.address = host.address
        self.port = port
        try:
            self.process.wait_ready(
                lambda: ntp_exchange(host, host.address, port, timeout_s=0.2),
                f"chronyd {self.name} to answer NTP",
            )
        except BaseException:
            self.close()
            raise

    def doffset(self, seconds: float) -> None:
        """Move its clock by −`seconds`, at once: doffset(0.037) puts it exactly 37 ms *behind*."""
        self.chronyc("doffset", repr(seconds))

    def dfreq(self, ppm: float) -> None:
        """Let its clock drift by `ppm` from now on, on top of earlier calls."""
        self.chronyc("dfreq", repr(ppm))

    def makestep(self) -> None:
        """Put its clock right: forget what `doffset` and the drift have done so far (the drift goes on)."""
        # A virtual clock forgets and then says "500 Failure", since there is nothing that it could step.
        self.chronyc("makestep", check=False)


class ChronyClient(Chronyd):
    """A chronyd that follows `servers` (IPv4: ADDRESS or ADDRESS:PORT) on a virtual clock of its own.

    With a folder for its log of measurements it asks 32 times a second. `command_port` 323 lets every
    user of the host ask it, as a chronyd that is installed does.
    """

    def __init__(
        self,
        host: Host,
        servers: Sequence[str],
        *,
        name: str = "",
        env: Mapping[str, str] | None = None,
        log_measurements: Path | None = None,
        command_port: int = 0,
    ) -> None:
        lines, polls = ["port 0"], "minpoll 0 maxpoll 2"
        self._measurements = None if log_measurements is None else log_measurements / "measurements.log"
        if log_measurements is not None:
            lines += [f"logdir {log_measurements}", "log rawmeasurements"]
            polls = "minpoll -5 maxpoll -5"
        for server in servers:
            address, _, port = server.partition(":")
            lines.append(f"server {address} port {port or 123} iburst {polls}")
        super().__init__(host, name or f"{host.name}-client", lines, env, command_port)

    def wait_synchronised(self, timeout_s: float = 60.0) -> None:
        """Wait until it has selected a source (or raise TimeoutError with its log)."""
        self.process.wait_ready(
            lambda: self.socket.exists() and self._leap() in {"Normal", "Insert second", "Delete second"},
            f"chronyd {self.name} to synchronise",
            timeout_s=timeout_s,
        )

    def _leap(self) -> str:
        """The last field of `chronyc -c tracking`, `Not synchronised` before there is a source."""
        return self.chronyc("tracking", check=False).strip().rpartition(",")[2]

    def tracking(self) -> list[str]:
        """The fields of `chronyc -c tracking`."""
        return self.chronyc("tracking").strip().split(",")

    def sources(self) -> list[list[str]]:
        """The fields of each line of `chronyc -c sources`."""
        return [line.split(",") for line in self.chronyc("sources").splitlines()]

    def measured_offsets(self) -> list[float]:
        """Each measurement's offset in seconds, against its own virtual clock (chrony.conf(5), log)."""
        if self._measurements is None:
            raise ValueError(f"chronyd {self.name} logs no measurements")
        lines = [line.split() for line in self._measurements.read_text().splitlines()]
        return [
            float(fields[MEASURED_OFFSET])
            for fields in lines
            if len(fields) > MEASURED_OFFSET and fields[0][0].isdigit()
        ]
