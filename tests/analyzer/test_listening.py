"""Connections: how many, and how long one may go without being read."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time

import pytest
from analyzer.analyzer_process import Analyzer, line

from truechimer.config.model import ServerConfig
from truechimer_analyzer.server import listening

BODY = b"x" * 8_000_000
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def big_answers(monkeypatch):
    """A port where every answer is big, and who stops reading is cut off after 0.5 s."""
    monkeypatch.setattr(listening, "READER_TIMEOUT_S", 0.5)
    started = threading.Event()
    control = {}

    async def app(scope, receive, send):
        headers = [(b"content-length", str(len(BODY)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})

    async def main(listener):
        stop = asyncio.Event()
        control.update(stop=stop, loop=asyncio.get_running_loop())
        config = ServerConfig(listen="127.0.0.1:0")
        await listening.serve(app, listener, config, stop=stop, ready=started.set, closing=lambda: None)

    with listening.bind("127.0.0.1:0") as listener:
        # The kernel's own buffers hold next to nothing: what the server sees is the reader's pace.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        thread = threading.Thread(target=lambda: asyncio.run(main(listener)))
        thread.start()
        assert started.wait(20)
        yield listener.getsockname()
        control["loop"].call_soon_threadsafe(control["stop"].set)
        thread.join(20)


def asking(address):
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    reader.settimeout(20)
    reader.connect(address)
    reader.sendall(REQUEST)
    return reader


def test_a_slow_reader_gets_all_of_a_big_answer(big_answers):
    """Whoever goes on reading is not cut off, however long the whole takes."""
    with asking(big_answers) as reader:
        got = 0
        while part := reader.recv(400_000):
            got += len(part)
            time.sleep(0.01)
            if got < 3_000_000:
                time.sleep(0.02)
    assert got > len(BODY)


def test_a_reader_that_stopped_is_cut_off(big_answers):
    """Its connection ends before the answer does."""
    with asking(big_answers) as reader:
        time.sleep(2)
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while part := reader.recv(400_000):
                got += len(part)
    assert got < len(BODY)


def test_idle_connections_do_not_use_up_the_descriptors(tmp_path, monkeypatch):
    """More connections than files may be opened: those beyond are closed, then writes go on."""
    code = (
        "import resource, sys, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200));"
        "sys.argv[0] = 'x'; runpy.run_module('truechimer_analyzer', run_name='__main__')"
    )
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **options: real([sys.executable, "-c", code, *command[3:]], **options),
    )
    process = Analyzer(tmp_path)
    monkeypatch.undo()
    held = []
    try:
        for _ in range(400):
            held.append(socket.create_connection((process.host, process.port), timeout=20))
        time.sleep(0.5)
        closed = sum(ended(one) for one in held)
        assert closed >= 300
        for one in held:
            one.close()
        for _ in range(100):
            with contextlib.suppress(OSError):
                if process.write(line(1_700_000_000).encode()).status == 204:
                    break
            time.sleep(0.1)
        else:
            pytest.fail("no write got through")
    finally:
        for one in held:
            one.close()
        process.end()
    assert len(process.log.read_text()) < 20_000


def ended(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_the_limit_of_open_files_is_raised_and_bounds_connections():
    """Soft to hard; as many connections as that leaves room for, 1000 at most."""
    code = (
        "import resource; from truechimer_analyzer.server.listening import raise_descriptor_limit\n"
        "for hard in (900, 300, 100):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (min(100, hard), hard))\n"
        "    print(raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["772", "900", "172", "300", "1", "100"], ran.stderr
