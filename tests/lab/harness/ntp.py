"""One plain NTP exchange, written from the RFC and not from the product, to know what a server says."""

import contextlib
import secrets
import socket
import struct
from dataclasses import dataclass

from lab.harness.clocks import wall_ns
from lab.harness.network import Host

# RFC 5905 section 7.3: version 4, mode 3 (client); seconds count from 1900.
CLIENT_HEADER = bytes([0x23]) + bytes(39)
NTP_TO_UNIX_S = 2_208_988_800
PACKET_BYTES = 48


@dataclass(frozen=True)
class NtpAnswer:
    """What one exchange says: `offset_s` = server − this machine's wall clock, certain to ± `delay_s` / 2."""

    offset_s: float
    delay_s: float
    stratum: int
    leap: int
    root_delay_s: float
    root_dispersion_s: float


def _unix_ns(stamp: bytes) -> int:
    seconds, fraction = (int.from_bytes(part, "big") for part in (stamp[:4], stamp[4:]))
    return (seconds - NTP_TO_UNIX_S) * 1_000_000_000 + (fraction * 1_000_000_000 >> 32)


def ntp_exchange(host: Host, address: str, port: int = 123, *, timeout_s: float = 1.0) -> NtpAnswer | None:
    """Ask the server once from inside `host`; None when nobody answers in time or the port is refused.

    Offset and delay by RFC 5905 section 8 from user-space stamps around the two system calls.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    nonce = secrets.token_bytes(8)
    with contextlib.closing(host.socket(family)) as sender:
        sender.settimeout(timeout_s)
        try:
            sender.connect((address, port))
            sent_ns = wall_ns()
            sender.send(CLIENT_HEADER + nonce)
            while True:
                reply = sender.recv(1024)
                received_ns = wall_ns()
                if len(reply) >= PACKET_BYTES and reply[24:32] == nonce:
                    break
        except (TimeoutError, ConnectionError):
            return None
    server_received_ns, server_sent_ns = _unix_ns(reply[32:40]), _unix_ns(reply[40:48])
    root_delay, root_dispersion = struct.unpack("!II", reply[4:12])
    return NtpAnswer(
        offset_s=((server_received_ns - sent_ns) + (server_sent_ns - received_ns)) / 2e9,
        delay_s=((received_ns - sent_ns) - (server_sent_ns - server_received_ns)) / 1e9,
        stratum=reply[1],
        leap=reply[0] >> 6,
        root_delay_s=root_delay / 65536,
        root_dispersion_s=root_dispersion / 65536,
    )
