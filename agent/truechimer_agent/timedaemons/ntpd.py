"""ntpd, classic and ntpsec, asked by the control messages that ntpq sends (RFC 9327).

Not by ntpq: ntpsec's takes a third of a second of CPU to start, which every 16 s would be more than the
whole agent, and waits ten seconds for silence.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from typing import TYPE_CHECKING

from truechimer.codes import Leap
from truechimer.errors import DecodeError, NothingThere
from truechimer_agent.timedaemons.believed import Believed, finite, whole
from truechimer_agent.timedaemons.modesix import Answer, Operation, request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer.readings import Clocks

LOOPBACK = ("127.0.0.1", 123)
TIMEOUT_S = 1.0
MS_PER_S = 1000.0
_DATAGRAM_BYTES = 2048
_VARIABLE = re.compile(r'\s*([A-Za-z_][\w.]*)\s*=(\s*"[^"]*"\s*|[^,"]*)(?:,|\Z)')
_ASSOCIATION_BYTES = 4
_REACHED = 0x1000
"""The bit of a peer's status word that says it is reachable (RFC 9327, 3.2)."""


async def read(address: tuple[str, int], timeout_s: float = TIMEOUT_S) -> tuple[str, bytes]:
    """The daemon's variables and its associations' status words.

    Raises NothingThere when nobody answers, DecodeError when the answer is no control message.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(address)
            async with asyncio.timeout(timeout_s):
                variables = await _asked(sock, Operation.READ_VARIABLES)
                return variables.decode("ascii", "replace"), await _asked(sock, Operation.READ_STATUS)
        except TimeoutError:
            raise NothingThere("ntpd does not answer control messages on loopback") from None
        except OSError as error:
            raise NothingThere(f"ntpd cannot be asked: {error.strerror}") from error


async def _asked(sock: socket.socket, operation: Operation) -> bytes:
    loop = asyncio.get_running_loop()
    sequence = secrets.randbits(16)
    answer = Answer(operation, sequence)
    await loop.sock_sendall(sock, request(operation, sequence))
    while True:
        whole_answer = answer.take(await loop.sock_recv(sock, _DATAGRAM_BYTES))
        if whole_answer is not None:
            return whole_answer


def variables_of(text: str) -> dict[str, str]:
    """``name=value, name="value"`` by name, as ntpd writes them. Raises DecodeError for anything else."""
    found: dict[str, str] = {}
    text = text.rstrip("\r\n\0 ,")
    at = 0
    while at < len(text):
        match = _VARIABLE.match(text, at)
        if match is None:
            raise DecodeError(f"no variable of ntpd: {text[at : at + 40]!r}")
        found[match[1]] = match[2].strip().strip('"')
        at = match.end()
    return found


def parse(text: str, associations: bytes) -> Believed:
    """Both answers. Raises DecodeError.

    ``offset`` (ms) is server − W at the last update, of which the daemon has slewed some part since.
    """
    values = variables_of(text)
    if len(associations) % _ASSOCIATION_BYTES:
        raise DecodeError(f"{len(associations)} bytes are no list of associations")
    words = [int.from_bytes(associations[at + 2 : at + 4], "big") for at in range(0, len(associations), 4)]
    return Believed(
        daemon="ntpd",
        leap=Leap(whole(_of(values, "leap"), "the leap", 3)),
        stratum=whole(_of(values, "stratum"), "the stratum", 255),
        system_time_s=finite(_of(values, "offset"), "the offset") / MS_PER_S,
        root_delay_s=finite(_of(values, "rootdelay"), "the root delay") / MS_PER_S,
        root_dispersion_s=finite(_of(values, "rootdisp", "rootdispersion"), "the root dispersion") / MS_PER_S,
        frequency_ppm=finite(_of(values, "frequency"), "the frequency"),
        reachable_sources=sum(bool(word & _REACHED) for word in words),
    )


def _of(values: Mapping[str, str], *names: str) -> str:
    for name in names:
        if name in values:
            return values[name]
    raise DecodeError(f"ntpd does not tell its {names[0]}")


class Ntpd:
    """ntpd on this host's loopback."""

    name = "ntpd"

    def __init__(self, address: tuple[str, int] = LOOPBACK, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s

    async def ask(self, clocks: Clocks) -> Believed:  # noqa: ARG002 - the figures are of the moment of asking
        """What it believes now."""
        return parse(*await read(self._address, self._timeout_s))
