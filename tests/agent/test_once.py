"""One look shows every target that it probed, also those that stay silent."""

from __future__ import annotations

import contextlib
import socket

from agent.meshhost import reflector

from truechimer.codes import ProbeOutcome
from truechimer.config.model import AgentConfig, MeshConfig, NtpConfig, ProbeConfig
from truechimer_agent import once


@contextlib.contextmanager
def silent_port():
    """A listener that never accepts and whose backlog is full: SYNs are dropped."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_silent_target_is_shown_as_lost(tmp_path, monkeypatch):
    """Its probe's time-out ends after the look itself: that is waited for."""
    monkeypatch.setattr(once, "PROBE_LOOK_S", 0.3)
    with silent_port() as port:
        probe = ProbeConfig("tcp", f"127.0.0.1:{port}", name="silent", interval_s=0.25, timeout_s=0.8)
        config = AgentConfig(node="n", probe=(probe,), state_dir=tmp_path, runtime_dir=tmp_path)
        document = once.look(config)
    seen = [sample for sample in document["samples"] if sample["tags"].get("peer") == "silent"]
    assert seen
    assert {sample["fields"]["outcome"] for sample in seen} == {ProbeOutcome.LOST}


def test_the_mesh_is_probed_once(tmp_path):
    """Round trips with bounds and the path's counts; this host answers nobody for that."""
    with reflector("b") as port:
        mesh = MeshConfig(listen="192.0.2.1:1", peers=(f"b@127.0.0.1:{port}",))
        config = AgentConfig(
            cluster="c",
            node="a",
            ntp=NtpConfig(servers=()),
            mesh=mesh,
            state_dir=tmp_path,
            runtime_dir=tmp_path,
        )
        document = once.look(config)
    samples = {sample["measurement"]: sample for sample in document["samples"]}
    assert samples["truechimer_rtt"]["tags"]["via"] == "stamp"
    assert "upper_seconds" in samples["truechimer_rtt"]["fields"]
    path = samples["truechimer_path"]["fields"]
    assert path["sent"] == path["received"] >= 1
    assert "truechimer_reflector" not in samples
