"""mesh: STAMP probes to the chosen peers: round trips, losses by direction, how far two clocks can differ."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from truechimer.errors import ConfigError
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.mesh.choice import choose
from truechimer_agent.mesh.link import COUNTS, Manner
from truechimer_agent.mesh.members import MembersFile, node_id, parse_members, without
from truechimer_agent.mesh.sending import Schedule, Sending
from truechimer_agent.stamp.key import load_key

if TYPE_CHECKING:
    from truechimer.config.model import AgentConfig, MeshConfig
    from truechimer_agent.collecting import Host, Observation
    from truechimer_agent.mesh.members import Member
    from truechimer_agent.pauses.stalllog import StallLog

NS = 1e9
PPB_PER_PPM = 1000
SETTLE_S = 1.0
"""How long a list of members must stay the same before it counts."""


class Mesh:
    """Probes ``degree`` of the members of ``[mesh]``, each once per ``interval_s`` and DSCP class."""

    interval_s = 10.0

    def __init__(self, host: Host, config: AgentConfig, mesh: MeshConfig, stalls: StallLog) -> None:
        self._host = host
        self._config = config
        self._mesh = mesh
        self._stalls = stalls
        self._file = None if mesh.peers_file is None else MembersFile(mesh.peers_file)
        self._sending: Sending | None = None
        self._again: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Begin to probe. Raises Lacking when the key is not to be used."""
        config, mesh = self._config, self._mesh
        try:
            key = None if mesh.key_file is None else load_key(mesh.key_file)
        except ConfigError as error:
            raise Lacking(str(error), hint=error.hint) from error
        manner = Manner(
            node_id(config.cluster, config.node),
            key,
            round(mesh.timeout_s * NS),
            round(config.ntp.max_drift_ppm * PPB_PER_PPM),
        )
        schedule = Schedule(mesh.interval_s, mesh.timeout_s, mesh.dscp)
        self._sending = Sending(self._host, self._stalls, config.cluster, config.node, manner, schedule)
        self._sending.start()
        if self._file is None:
            self._choose(parse_members(mesh.peers))
        else:
            self._file.look()
            self._choose(self._file.members or ())

    async def collect(self) -> list[Observation]:
        """What became known of every path. Raises what is wrong on this host's side, or with the list."""
        sending = self._sending
        assert sending is not None
        self._look_at_file()
        for report in sending.report():
            self._host.emit(report)
        sending.check()
        if self._file is not None and self._file.complaint is not None:
            raise CollectFailure(self._file.complaint, hint="one NAME@HOST[:PORT] a line")
        return []

    async def finish(self, longest_s: float) -> None:
        """Begin no more probes; wait until those in flight have ended, at most ``longest_s``."""
        if self._sending is not None:
            await self._sending.finish(longest_s)

    async def close(self) -> None:
        """Stop probing; what is known of the paths by now is handed over."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._sending is not None:
            for report in self._sending.report():
                if any(report.fields[name] for name in COUNTS):
                    self._host.emit(report)
            await self._sending.stop()
            self._sending = None

    def _look_at_file(self) -> None:
        file = self._file
        if file is None:
            return
        if file.look():
            self._choose(file.members or ())
        if file.unsettled and self._again is None:
            self._again = asyncio.get_running_loop().call_later(SETTLE_S, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        self._look_at_file()

    def _choose(self, members: tuple[Member, ...]) -> None:
        assert self._sending is not None
        own = self._config.node
        others = {member.name: member for member in without(own, members)}
        chosen = choose(own, others, self._mesh.degree)
        self._sending.choose([others[name] for name in chosen], others.values())
