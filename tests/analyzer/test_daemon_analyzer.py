"""The analyzer's process: starting, ending, and every wrong start with its message and exit code."""

import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import pytest
from analyzer.analyzer_process import Analyzer, analyzer, line

TOKENS = f'[[token]]\nname = "a"\nsha256 = "{hashlib.sha256(b"a").hexdigest()}"\nscopes = ["admin"]\n'


def start_wrongly(tmp_path, server="", store=None, text=None):
    """Run until it ends by itself: its exit code and message."""
    config = tmp_path / "wrong.toml"
    config.write_text(
        text or f'[server]\n{server}\n[store]\naddress = "{store or f"embedded:{tmp_path}/store"}"\n'
    )
    ran = subprocess.run(
        [sys.executable, "-m", "truechimer_analyzer", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    return ran.returncode, ran.stderr


def test_port_taken(tmp_path):
    """The message names the port, who holds it, and what to do; exit 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = start_wrongly(tmp_path, f'listen = "127.0.0.1:{port}"')
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}: address already in use (PID {os.getpid()}" in said
    assert "[server] listen" in said


def test_second_analyzer_in_the_same_folder(tmp_path):
    """It is told who holds the store; the first goes on."""
    with analyzer(tmp_path) as first:
        code, said = start_wrongly(tmp_path, 'listen = "127.0.0.1:0"')
        assert code == 2
        assert f"in use by another process (PID {first.process.pid})" in said
        assert first.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ('listen = "0.0.0.0:0"', "needs [server] tokens_file"),
        ('listen = "127.0.0.1:0"\ntokens_file = "/nonexistent"', "is not there"),
        ('listen = "127.0.0.1:0"\ntls_key = "/nonexistent"', "go together"),
        ('listen = "127.0.0.1:0"\ntls_key = "/none"\ntls_certificate = "/none"', "tls_certificate"),
        ('listen = "192.0.2.1:0"', "cannot listen on 192.0.2.1:0"),
        ('listen = "127.0.0.1:0"\nlisen = "x"', "lisen"),
    ],
)
def test_wrong_configuration(tmp_path, server, said):
    """Exit 2 with what is wrong."""
    code, message = start_wrongly(tmp_path, server)
    assert code == 2
    assert said in message


def test_store_that_cannot_be(tmp_path):
    """A store's directory that is a file, or an address that is none: exit 2."""
    (tmp_path / "file").write_text("")
    listen = 'listen = "127.0.0.1:0"'
    assert "cannot keep a store" in start_wrongly(tmp_path, listen, f"embedded:{tmp_path}/file")[1]
    code, said = start_wrongly(tmp_path, listen, "influxdb://h")
    assert code == 2
    assert "embedded:DIR" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_quickly_with_streams_and_slow_clients_open(tmp_path, number):
    """Exit 0 within seconds, whatever clients hold open; what was acknowledged is there afterwards."""
    process = Analyzer(tmp_path)
    assert process.write(line(1_700_000_000).encode()).status == 204
    held = [socket.create_connection((process.host, process.port)) for _ in range(3)]
    held[0].sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    held[1].sendall(b"POST /api/v2/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
    held[0].recv(100)
    process.process.send_signal(number)
    code, took_s = process.end()
    assert code == 0
    assert took_s < 8
    for one in held:
        one.close()
    assert "Traceback" not in process.log.read_text()
    with analyzer(tmp_path) as again:
        assert again.times() == [1_700_000_000]


def test_service_manager_hears(tmp_path):
    """READY once requests are answered, WATCHDOG while all is well, STOPPING at the end."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        process = Analyzer(tmp_path, environment={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"})
        heard = [manager.recv(1000).decode() for _ in range(4)]
        process.end()
        while heard[-1] != "STOPPING=1":
            heard.append(manager.recv(1000).decode())
    ready = next(text for text in heard if text.startswith("READY=1"))
    assert f"STATUS=listening on {process.url}" in ready
    assert heard.count("WATCHDOG=1") >= 2


def test_damaged_database_is_kept_aside(tmp_path):
    """The analyzer starts, says so loudly, and takes samples."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "samples.duckdb").write_bytes(b"damage" * 5000)
    with analyzer(tmp_path) as process:
        assert process.write(line(1_700_000_000).encode()).status == 204
        assert "the database is damaged; kept aside" in process.log.read_text()
    assert len(list((tmp_path / "store").glob("*.damaged-*"))) == 1


def test_hangup_reads_the_tokens_again(tmp_path):
    """SIGHUP: a new token is known at once, and the process goes on."""
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS)
    path.chmod(0o600)
    with analyzer(tmp_path, server=f'tokens_file = "{path}"') as process:
        new = {"Authorization": "Bearer b"}
        assert process.get("/api/v1/clocks", headers=new).status == 401
        path.write_text(TOKENS.replace(hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()))
        process.process.send_signal(signal.SIGHUP)
        for _ in range(100):
            if process.get("/api/v1/clocks", headers=new).status == 200:
                break
            time.sleep(0.05)
        assert process.get("/api/v1/clocks", headers=new).status == 200
        assert process.get("/api/v1/clocks", headers={"Authorization": "Bearer a"}).status == 401


def test_tls(tmp_path):
    """With a certificate and its key the same is served over TLS."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}".split(),
        capture_output=True,
    )
    assert made.returncode == 0, made.stderr
    with analyzer(tmp_path, server=f'tls_certificate = "{certificate}"\ntls_key = "{key}"') as process:
        assert process.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(f"{process.url}/healthz", context=trust, timeout=20) as answer:
            assert answer.status == 200
