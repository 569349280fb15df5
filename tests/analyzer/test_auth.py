"""Who may do what: tokens, scopes, sessions, and pages of other sites."""

import asyncio
import hashlib
import os
import time

import pytest
from analyzer.analyzer_process import Analyzer, line
from starlette.datastructures import URL
from starlette.requests import Request

from truechimer.errors import ConfigError
from truechimer_analyzer.server.auth import Authority, read_tokens
from truechimer_analyzer.server.guard import Guard

SECRETS = {"writer": ["write"], "reader": ["read"], "boss": ["admin"]}


def tokens_text(secrets=SECRETS):
    return "".join(
        f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(f"{name}-secret".encode()).hexdigest()}"\n'
        f"scopes = {scopes}\n".replace("'", '"')
        for name, scopes in secrets.items()
    )


def write_tokens(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    path = write_tokens(folder / "tokens.toml", tokens_text())
    process = Analyzer(folder, server=f'tokens_file = "{path}"', listen="0.0.0.0:0")
    process.host = "127.0.0.1"
    yield process
    process.end()


def bearer(name, kind="Bearer"):
    return {"Authorization": f"{kind} {name}-secret"}


@pytest.mark.parametrize(
    ("who", "write", "read"),
    [
        (None, 401, 401),
        ("writer", 204, 403),
        ("reader", 403, 200),
        ("boss", 204, 200),
        ("stranger", 401, 401),
    ],
)
@pytest.mark.parametrize("kind", ["Bearer", "Token", "bearer"])
def test_scopes(guarded, who, write, read, kind):
    """Each token may do what its scopes say, admin all; in both forms of the header."""
    headers = bearer(who, kind) if who else {}
    answer = guarded.write(line(1_700_000_000).encode(), headers=headers)
    assert answer.status == write
    if write == 401:
        assert answer.json["code"] == "unauthorized"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/api/v1/clocks", "/metrics", "/api/v1/series?measurement=truechimer_kernel"):
        assert guarded.get(path, headers=headers).status == read
    assert guarded.get("/healthz", headers=headers).status == 200
    assert guarded.get("/", headers=headers).status == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic cmVhZGVyOng=", "reader-secret", "Bearer reader", "Token \xff"]
)
def test_other_credentials_are_none(guarded, header):
    """Nothing, another scheme, a name instead of the secret."""
    assert guarded.get("/api/v1/clocks", headers={"Authorization": header}).status == 401


def test_session_of_the_page(guarded):
    """The form gives a cookie that scripts and other sites cannot use, which reads and never writes."""
    assert b"<form" in guarded.get("/login").body
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{guarded.port}"}
    refused = guarded.request("POST", "/login", b"token=wrong", form)
    assert refused.status == 401
    assert "set-cookie" not in refused.headers
    assert guarded.request("POST", "/login", b"token=writer-secret", form).status == 401
    entered = guarded.request("POST", "/login", b"token=reader-secret", form)
    assert (entered.status, entered.headers["location"]) == (303, "./")
    cookie = entered.headers["set-cookie"]
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert attribute in cookie
    assert "reader-secret" not in cookie
    session = {"Cookie": cookie.partition(";")[0]}
    assert guarded.get("/api/v1/clocks", headers=session).status == 200
    assert guarded.write(line(1_700_000_000).encode(), headers=session).status == 401
    assert guarded.request("POST", "/logout", b"", session).status == 303
    assert guarded.get("/api/v1/clocks", headers=session).status == 401


def test_login_form_is_bounded(guarded):
    """A form larger than any token is refused."""
    assert guarded.request("POST", "/login", b"token=" + b"x" * 10_000).status == 413


def test_other_sites_pages_are_refused(guarded, running):
    """With a foreign or opaque Origin nothing is answered, with tokens and without; our own is."""
    for one, headers in ((guarded, bearer("boss")), (running, {})):
        own = f"http://127.0.0.1:{one.port}"
        for origin, status in ((own, 204), ("http://evil.example", 403), ("null", 403), (own + "1", 403)):
            assert one.write(b"", headers={**headers, "Origin": origin}).status == status, origin


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/metrics%0a", 400),
        ("/metrics%00", 400),
        ("/healthz%0a", 400),
        ("/api/v1/clocks%0a", 400),
        ("/api/v1/clocks%7f", 400),
        ("/metrics/", 401),
        ("/metrics;x", 401),
        ("/%61pi/v1/clocks", 401),
        ("/api/v2/write", 401),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "x?", "x/healthz?", "x#", "[", "x/login/.."])
def test_a_path_is_judged_as_the_router_reads_it(guarded, path, status, host):
    """Neither a Host header nor an encoded character makes it another for the guard than for the routes."""
    assert guarded.get(path, headers={"Host": host}).status == status


def test_the_guard_does_not_ask_the_address_of_a_request():
    """Older frameworks put the address together from the Host header; the path is the scope's."""
    sent = []

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        raise AssertionError("reached")

    class Closed:
        open = False

    for path in ("/api/v1/clocks", "/metrics"):
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "server": ("127.0.0.1", 1),
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"x?")],
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Request, "url", URL("http://x/?/healthz"))
            asyncio.run(Guard(app, Closed())(scope, None, send))
    assert [message["status"] for message in sent if "status" in message] == [401, 401]


def test_open_analyzer_answers_to_its_own_names_only(running):
    """Without tokens a foreign Host header (DNS rebinding) reads nothing."""
    for host, status in (
        (f"localhost:{running.port}", 200),
        ("127.0.0.1", 200),
        ("[::1]:1", 200),
        ("evil.example", 421),
    ):
        assert running.get("/api/v1/clocks", headers={"Host": host}).status == status
    assert running.get("/login").status == 303


def test_no_secret_is_logged(guarded):
    """Neither tokens nor sessions are in the log of a verbose analyzer."""
    guarded.request("POST", "/login", b"token=some-wrong-secret")
    log = guarded.log.read_text()
    assert "sign-in refused" in log
    for secret in ("some-wrong-secret", *(f"{name}-secret" for name in SECRETS)):
        assert secret not in log


def test_tokens_are_read_again_when_they_change(tmp_path):
    """A token that was taken out is refused, with its sessions; a file that became wrong changes nothing."""
    path = write_tokens(tmp_path / "tokens.toml", tokens_text())
    authority = Authority(path)
    reader = authority.token_of("reader-secret")
    session = authority.begin_session(reader)
    assert authority.token_of_session(session) == reader
    write_tokens(path, "broken")
    authority.reload()
    assert authority.token_of("reader-secret") is not None
    write_tokens(path, tokens_text({"boss": ["admin"]}))
    os.utime(path, ns=(1, 1))
    deadline = time.monotonic() + 20  # noqa: TID251 - a test's own deadline
    while authority.token_of("reader-secret") is not None:
        assert time.monotonic() < deadline  # noqa: TID251
        time.sleep(0.05)
    assert authority.token_of_session(session) is None
    assert authority.token_of("boss-secret") is not None


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (tokens_text(), 0o640, "may be read by others"),
        ("", 0o600, "[[token]]"),
        ("x = [", 0o600, "no TOML"),
        ('[[token]]\nname = "a"\nsha256 = "ab"\nscopes = ["read"]\n', 0o600, "64 hexadecimal"),
        (tokens_text({"a": ["everything"]}), 0o600, "scopes"),
        (tokens_text({"a": []}), 0o600, "scopes"),
        (tokens_text({"a": ["read"]}) * 2, 0o600, "the same name"),
        (tokens_text() + "extra = 1\n", 0o600, "nothing else"),
    ],
)
def test_wrong_tokens_files(tmp_path, text, mode, said):
    """Each mistake is named."""
    with pytest.raises(ConfigError) as caught:
        read_tokens(write_tokens(tmp_path / "tokens.toml", text, mode))
    assert said in str(caught.value)


def test_missing_tokens_file_says_how_to_make_one(tmp_path):
    """The hint is the command."""
    with pytest.raises(ConfigError) as caught:
        read_tokens(tmp_path / "none")
    assert "sha256sum" in caught.value.hint
