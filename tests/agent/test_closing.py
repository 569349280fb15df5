"""The agent ends when it is told to, whatever its disk does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from truechimer.readings import monotonic_s
from truechimer_agent.spool import Spool

HANG = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static void hang(void) { struct stat s; while (stat(getenv("HANG_FILE"), &s) == 0) usleep(20000); }
int fsync(int f) { hang(); int (*r)(int) = dlsym(RTLD_NEXT, "fsync"); return r(f); }
int fdatasync(int f) { hang(); int (*r)(int) = dlsym(RTLD_NEXT, "fdatasync"); return r(f); }
"""
CONFIG = """
node = "n"
cluster = "c"
state_dir = "{root}/state"
runtime_dir = "{root}/run"
[ntp]
servers = ["127.0.0.1:1"]
[[sink]]
kind = "influx"
url = "http://127.0.0.1:1"
"""


def test_closing_gives_up_while_another_thread_hangs_in_the_spool(tmp_path, caplog):
    """The outbox waits for its fsync with the lock in hand: closing says so and goes on."""
    hanging, release = threading.Event(), threading.Event()

    def boot_ns() -> int:
        if hanging.is_set():
            release.wait()
        return 1

    spool = Spool.open(tmp_path / "s", 1 << 20, sinks=("a",), boot_id="b", boot_ns=boot_ns)
    hanging.set()
    thread = threading.Thread(target=spool.append, args=(b"m,node=a v=1 1\n", 1))
    thread.start()
    assert not spool.close(timeout_s=0.05)
    assert "the disk does not answer" in caplog.text
    release.set()
    thread.join()
    assert spool.close(timeout_s=10)
    again = Spool.open(tmp_path / "s", 1 << 20, sinks=("a",), boot_id="b", boot_ns=lambda: 1)
    assert again.stats().batches == 1
    again.close()


@pytest.mark.lab
def test_sigterm_ends_the_agent_while_every_fsync_hangs(tmp_path):
    """As a dying disk or a hung network file system has it."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to build the hanging fsync with")
    source, library, hang = tmp_path / "hang.c", tmp_path / "hang.so", tmp_path / "HANG"
    source.write_text(HANG)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    (tmp_path / "agent.toml").write_text(CONFIG.format(root=tmp_path))
    with (tmp_path / "log").open("w") as log:
        agent = subprocess.Popen(
            [sys.executable, "-m", "truechimer_agent", "run", "--config", tmp_path / "agent.toml"],
            env={**os.environ, "LD_PRELOAD": str(library), "HANG_FILE": str(hang)},
            stderr=log,
        )
    try:
        _wait_for((tmp_path / "state" / "spool.sqlite-wal").exists)
        hang.touch()
        _wait_for(lambda: _waits_in_fsync(agent.pid))
        began_s = monotonic_s()
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)
        assert monotonic_s() - began_s < 20
        assert agent.returncode == 0, (tmp_path / "log").read_text()
        assert "the disk does not answer" in (tmp_path / "log").read_text()
    finally:
        hang.unlink(missing_ok=True)
        agent.kill()
        agent.wait()


def _waits_in_fsync(pid: int) -> bool:
    """The spool's thread sleeps in short steps: it is in our fsync."""
    return any("nanosleep" in (task / "wchan").read_text() for task in Path(f"/proc/{pid}/task").iterdir())


def _wait_for(condition) -> None:
    deadline_s = monotonic_s() + 20
    while not condition():
        assert monotonic_s() < deadline_s
        time.sleep(0.05)
    time.sleep(0.5)
