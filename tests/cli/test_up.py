"""`truechimer up`, as a process, with stand-ins for the daemons (tests/cli/fakes)."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import psutil
import pytest

FAKES = Path(__file__).parent / "fakes"
TIMEOUT_S = 60


class Up:
    """A running `truechimer up`."""

    def __init__(self, folder, *options, **env):
        self.folder = folder
        path = os.pathsep.join([str(FAKES), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "truechimer_cli", "up", "--data-dir", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **env},
            start_new_session=True,
        )

    def pid_of(self, daemon):
        return int(wait_for((self.folder / daemon / "journal").read_text))

    def ready(self):
        # The whole greeting: what readline has buffered, communicate does not see.
        line = self.process.stdout.readline()
        assert "http://127.0.0.1:" in line, line + self.process.stderr.read()
        self.greeting = line
        while not self.greeting.splitlines()[-1].startswith("Ask "):
            self.greeting += self.process.stdout.readline()
        return line.split()[-1], self.pid_of("agent"), self.pid_of("analyzer")

    def end(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out, err


def wait_for(attempt):
    for _ in range(TIMEOUT_S * 50):
        try:
            if found := attempt():
                return found
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def start(tmp_path):
    begun = []

    def start(*options, folder=None, **env):
        begun.append(Up(folder or tmp_path / "data", *(options or ("--listen", "127.0.0.1:0")), **env))
        return begun[-1]

    yield start
    for up in begun:
        if up.process.poll() is None:
            up.process.kill()
        up.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_runs_until_it_is_told_to_stop_and_ends_quietly(start, number):
    """Exit 0, nothing on stderr but the daemons' warnings, the agent stopped before the analyzer."""
    up = start()
    url, agent, analyzer = up.ready()
    code, _, err = up.end(number)
    assert code == 0
    assert err == "analyzer: WARNING somebody should see this\n"
    assert "pauses   every 10 ms" in up.greeting
    assert gone(agent)
    assert gone(analyzer)
    assert (up.folder / "agent" / "ended").read_text() == "before the analyzer"
    assert "nobody needs to see this" in (up.folder / "logs" / "analyzer.log").read_text()
    agent_config = tomllib.loads((up.folder / "agent.toml").read_text())
    assert agent_config["sink"][0]["url"] == url
    assert agent_config["runtime_dir"] == str(up.folder / "run")


def test_for_ends_it_by_itself(start):
    up = start("--listen", "127.0.0.1:0", "--for", "1.5")
    _, agent, analyzer = up.ready()
    assert up.end()[0] == 0
    assert gone(agent)
    assert gone(analyzer)


def test_ctrl_c_while_starting_ends_it_quietly(start):
    up = start(FAKE_ANALYZER="silent")
    analyzer = up.pid_of("analyzer")
    assert up.end(signal.SIGINT) == (0, "", "")
    assert gone(analyzer)


def test_kill_9_takes_the_daemons_along(start):
    up = start()
    _, agent, analyzer = up.ready()
    up.process.kill()
    assert wait_for(lambda: gone(agent) and gone(analyzer))


def test_a_daemon_that_dies_is_said_with_its_last_words_and_the_other_is_stopped(start):
    up = start(FAKE_AGENT="die")
    code, _, err = up.end()
    assert code == 1
    assert "the agent ended with exit code 7" in err
    assert "the fake agent has had enough" in err
    assert "Traceback" not in err
    assert gone(up.pid_of("analyzer"))


def test_an_analyzer_that_cannot_start_is_said(start):
    code, out, err = start(FAKE_ANALYZER="die").end()
    assert (code, out) == (1, "")
    assert "the analyzer ended with exit code 5" in err
    assert "the disk of the fake is full" in err


def test_a_taken_port_is_never_replaced(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = start("--listen", f"127.0.0.1:{port}").end()
    assert (code, out) == (2, "")
    assert f"127.0.0.1:{port} is taken by another program" in err
    assert "--listen" in err


def test_a_second_up_in_the_same_folder_is_told_who_runs_and_where(start):
    first = start()
    url, _, _ = first.ready()
    code, _, err = start().end()
    assert code == 2
    assert f"process {first.process.pid}" in err
    assert url in err
    assert first.process.poll() is None


def test_the_folder_is_free_again_afterwards_even_after_kill_9(start):
    first = start()
    _, agent, analyzer = first.ready()
    first.process.kill()
    first.process.wait()
    wait_for(lambda: gone(agent) and gone(analyzer))
    second = start()
    second.ready()
    assert second.end(signal.SIGTERM)[0] == 0


def test_a_configuration_gives_node_and_probes_but_not_the_folders(start, tmp_path):
    config = tmp_path / "agent.toml"
    config.write_text(
        'node = "other"\nstate_dir = "/nowhere"\n[ntp]\nservers = []\n'
        '[[probe]]\nkind = "tcp"\ntarget = "127.0.0.1:9"\n[[sink]]\nkind = "influx"\nurl = "http://elsewhere"\n'
    )
    up = start("--listen", "127.0.0.1:0", "--config", str(config))
    url, _, _ = up.ready()
    code, _, _ = up.end(signal.SIGTERM)
    written = tomllib.loads((up.folder / "agent.toml").read_text())
    assert (code, written["node"], written["state_dir"]) == (0, "other", str(up.folder / "agent"))
    assert [sink["url"] for sink in written["sink"]] == [url]
    assert [probe["target"] for probe in written["probe"]] == ["127.0.0.1:9"]
    assert "other" in up.greeting


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "0.0.0.0:0"), "on this host only"),
        (("--listen", "8723"), "no port"),
        (("--listen", "127.0.0.1:0", "--for", "-1"), "--for"),
        (("--listen", "127.0.0.1:0", "--config", "/no/such/agent.toml"), "no such file"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_2(start, options, said):
    code, out, err = start(*options).end()
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_made_is_one_message(start, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = start(folder=tmp_path / "file" / "data").end()
    assert code == 2
    assert "--data-dir" in err


def test_a_daemon_that_will_not_end_is_killed(tmp_path, monkeypatch):
    """Child alone: `up` waits longer than a test wants to."""
    from truechimer_cli.upping.children import Child

    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    monkeypatch.setenv("FAKE_ANALYZER", "stubborn")
    (tmp_path / "analyzer").mkdir()
    config = tmp_path / "a.toml"
    address = json.dumps(f"embedded:{tmp_path}/analyzer")
    config.write_text(f'[server]\nlisten = "127.0.0.1:0"\n[store]\naddress = {address}\n')
    child = Child(
        "analyzer", ["-m", "truechimer_analyzer", "--config", str(config)], tmp_path / "log", verbose=False
    )
    wait_for(lambda: "listening" in (tmp_path / "log").read_text())
    assert child.stop(timeout_s=0.3) is False
    assert child.exit_code == -signal.SIGKILL
