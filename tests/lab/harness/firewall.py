"""Real firewall rules (nftables) in a host's own namespace."""

from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self

from lab.harness.network import Host

Packets = Literal["replies", "requests", "queries"]
What = Literal["drop", "reject"]
TABLE = "tclab"
_HOOKS = {
    "replies": ("input", "saddr", "sport"),
    "requests": ("output", "daddr", "dport"),
    "queries": ("input", "saddr", "dport"),
}


class Firewall:
    """Drops or rejects a host's NTP packets, from construction to `close` or the end of the context.

    `replies` that come to a client, the `requests` that it sends (either way, that is EPERM to the sender),
    or the `queries` that come to a server (rejected, the client is told so). `only` holds it to those peers.
    """

    def __init__(
        self, host: Host, packets: Packets, what: What = "drop", *, only: Sequence[str] = ()
    ) -> None:
        self.host = host
        hook, side, port = _HOOKS[packets]
        match = f"ip {side} {{ {', '.join(only)} }} " if only else ""
        host.run(
            "nft",
            "-f",
            "-",
            stdin=(
                f"table inet {TABLE} {{\n"
                f"  chain ntp {{\n"
                f"    type filter hook {hook} priority filter\n"
                f"    {match}udp {port} 123 counter {what}\n"
                "  }\n"
                "}\n"
            ),
        )

    def rules(self) -> str:
        """What the kernel holds, with counters."""
        return self.host.run("nft", "list", "table", "inet", TABLE).stdout

    def close(self) -> None:
        """Let everything through again."""
        self.host.run("nft", "delete", "table", "inet", TABLE, check=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
