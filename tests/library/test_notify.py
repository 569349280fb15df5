"""sd_notify: what the service manager hears, and silence without one."""

import os
import socket

from truechimer.notify import notify, watchdog_interval_s


def test_state_reaches_a_path_socket(tmp_path, monkeypatch):
    """A manager listening at a path receives the text."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        assert notify("READY=1\nSTATUS=fine")
        assert manager.recv(100) == b"READY=1\nSTATUS=fine"


def test_state_reaches_an_abstract_socket(monkeypatch):
    """An address with @ means the abstract namespace."""
    name = f"truechimer-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        assert notify("STOPPING=1")
        assert manager.recv(100) == b"STOPPING=1"


def test_no_manager_is_no_error(tmp_path, monkeypatch):
    """Without a manager, or with one that is gone, the daemon goes on."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("READY=1")


def test_watchdog_interval_is_half_and_only_ours(monkeypatch):
    """Half the allowed time; none when unset, nonsense or meant for another process."""
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    assert watchdog_interval_s() == 1.5
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_interval_s() == 1.5
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval_s() is None
    monkeypatch.delenv("WATCHDOG_PID")
    for text in ("", "0", "soon"):
        monkeypatch.setenv("WATCHDOG_USEC", text)
        assert watchdog_interval_s() is None
