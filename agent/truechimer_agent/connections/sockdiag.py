"""All TCP sockets of this host's namespace, asked of the kernel (sock_diag(7)) through pyroute2."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from pyroute2.netlink import NLM_F_DUMP, NLM_F_MULTI, NLM_F_REQUEST, NLMSG_DONE
from pyroute2.netlink.diag import SOCK_DIAG_BY_FAMILY, DiagSocket, inet_diag_req
from pyroute2.netlink.marshal import Marshal

from truechimer_agent.collecting import CollectFailure
from truechimer_agent.connections import tcpinfo
from truechimer_agent.connections.dump import Dump, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truechimer_agent.connections.tcpinfo import Connection

_STATES = 1 << tcpinfo.ESTABLISHED | 1 << tcpinfo.LISTEN


class _Whole(Marshal):  # type: ignore[misc]  # pyroute2 has no types
    """Leaves datagrams as they came: pyroute2 would decode every field of every message.

    DiagSocket's own takes an error of the kernel's for a message, and waits for more.
    """

    def parse(self, data: bytes, *_: object, **__: object) -> Iterator[dict[str, Any]]:
        dump = read(bytes(data))
        yield {"header": {"type": SOCK_DIAG_BY_FAMILY, "flags": NLM_F_MULTI}, "dump": dump}
        if dump.ended:
            yield {"header": {"type": NLMSG_DONE}}


def connections() -> list[Connection]:
    """Established and listening ones of both families. Blocks: for a thread of its own.

    Raises CollectFailure when the kernel refuses.
    """
    found: list[Connection] = []
    with DiagSocket() as diag:
        diag.set_marshal(_Whole())
        diag.bind()
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in diag.nlm_request(
                _request(family), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP
            ):
                dump: Dump = message["dump"]
                if dump.errno:
                    raise CollectFailure(f"asking the kernel for TCP sockets: {os.strerror(dump.errno)}")
                found += dump.connections
    return found


def _request(family: int) -> Any:  # noqa: ANN401 - a dict of pyroute2's
    request = inet_diag_req()
    request["sdiag_family"] = family
    request["sdiag_protocol"] = socket.IPPROTO_TCP
    request["idiag_ext"] = 1 << (tcpinfo.INFO - 1)
    request["idiag_states"] = _STATES
    return request
