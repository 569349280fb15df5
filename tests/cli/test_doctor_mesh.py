"""doctor: the mesh's port and key."""

import json
import socket
import subprocess
import sys

import pytest

from truechimer_cli.doctor import mesh
from truechimer_cli.main import run

HOLD = (
    "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0)); "
    "print(s.getsockname()[1], flush=True); sys.stdin.read()"
)


def test_a_free_port_is_free_in_both_families():
    """Port 0 always is."""
    for listen in ("127.0.0.1:0", "[::1]:0", ":0"):
        assert mesh.port(listen).ok


@pytest.mark.parametrize(("name", "ok"), [("truechimer_agent", True), ("other", False)])
def test_a_taken_port_is_fine_when_the_agent_has_it(name, ok):
    """Told by the command line of its holder; another program is not fine."""
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLD, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    port = int(holding.stdout.readline())
    try:
        found = mesh.port(f"127.0.0.1:{port}")
    finally:
        holding.communicate("")
    assert found.ok is ok
    if not ok:
        assert "another program" in found.why
        assert "ss -ulnp" in found.fix


def test_no_permission_and_no_such_address_are_explained(monkeypatch):
    """What a port below 1024 needs, and what may be written."""
    assert "no such address" in mesh.port("192.0.2.77:0").why

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert "CAP_NET_BIND_SERVICE" in mesh.port("127.0.0.1:862").fix


def test_a_key_is_looked_at_as_the_agent_would(tmp_path):
    """None, a good one, and one that everybody can read."""
    assert mesh.key(None).ok
    path = tmp_path / "mesh.key"
    path.write_text("0123456789abcdef" * 4)
    path.chmod(0o600)
    assert mesh.key(path).ok
    path.chmod(0o644)
    assert not mesh.key(path).ok
    assert "chmod" in mesh.key(path).fix


def test_doctor_looks_at_the_mesh_where_there_is_one(tmp_path, capsys):
    """Two more checks with [mesh], none without."""
    for text, names in (("", set()), ('[mesh]\nlisten = "127.0.0.1:0"\n', {"mesh_port", "mesh_key"})):
        path = tmp_path / "agent.toml"
        path.write_text(text)
        run(["doctor", "--config", str(path), "--json"])
        checks = {found["check"] for found in json.loads(capsys.readouterr().out)["checks"]}
        assert {name for name in checks if name.startswith("mesh")} == names
