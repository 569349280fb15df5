"""The list of members: what it says, and what becomes of a file that changes under a running agent."""

import os

import pytest

from truechimer.errors import ConfigError
from truechimer_agent.mesh.members import (
    LARGEST_FILE,
    Member,
    MembersFile,
    node_id,
    parse_member,
    parse_members,
    without,
)

A = Member("a", "10.0.0.1", 862)
B = Member("b", "db-b.example", 8620)


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("a@10.0.0.1", A),
        ("b@db-b.example:8620", B),
        ("c@[fd77::3]:900", Member("c", "fd77::3", 900)),
        ("c@fd77::3", Member("c", "fd77::3", 862)),
        ("two words @ host", Member("two words", "host", 862)),
    ],
)
def test_a_member_is_a_name_and_where_it_listens(text, member):
    """The port is STAMP's when none is written."""
    assert parse_member(text) == member


@pytest.mark.parametrize("text", ["10.0.0.1", "@10.0.0.1", "a@", "a@10.0.0.1:0", "a@host:port", "a\x01@h"])
def test_what_is_no_member_is_refused(text):
    """No name, no host, no port, or control characters."""
    with pytest.raises(ConfigError):
        parse_member(text)


def test_comments_and_empty_lines_say_nothing():
    """A # inside a name does."""
    lines = [
        "# the rack",
        "",
        "  a@10.0.0.1  # the first",
        "#b@nowhere",
        "b@db-b.example:8620\t# last",
        "c#1@h",
    ]
    assert parse_members(lines) == (A, B, Member("c#1", "h", 862))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["a@10.0.0.1", "", "b 10.0.0.2"], "line 3: 'b 10.0.0.2' is no NAME@HOST"),
        (["a@10.0.0.1", "b@h", "a@10.0.0.9"], "line 3: a is on line 1 already"),
        (["a@10.0.0.1:99999"], "line 1: "),
    ],
)
def test_a_wrong_line_is_named(lines, says):
    """By its number."""
    with pytest.raises(ConfigError, match=says):
        parse_members(lines)


def test_a_node_is_none_of_its_own_peers():
    """It may be listed, with any address."""
    assert without("a", (A, B)) == (B,)
    assert without("c", (A, B)) == (A, B)


def test_a_nodes_id_is_of_cluster_and_name():
    """And nothing that another pair of names spells."""
    assert node_id("prod", "db-1") == bytes.fromhex("859a59b0eb9f161e")
    assert (
        len({node_id("prod", "db-1"), node_id("prod", "db-2"), node_id("test", "db-1"), node_id("p", "d")})
        == 4
    )


@pytest.fixture
def listed(tmp_path):
    """A file with two members, taken."""
    path = tmp_path / "peers"
    path.write_text("a@10.0.0.1\nb@db-b.example:8620\n")
    file = MembersFile(path)
    assert file.look()
    assert file.members == (A, B)
    return path, file


def replace(path, text):
    """As careful programs do."""
    path.with_suffix(".new").write_bytes(text.encode() if isinstance(text, str) else text)
    path.with_suffix(".new").replace(path)


def test_a_change_is_taken_when_it_has_settled(listed):
    """At the second look at which it is the same; the next one finds nothing new."""
    path, file = listed
    assert not file.look()
    replace(path, "b@db-b.example:8620\n")
    assert not file.look()
    assert file.unsettled
    assert file.look()
    assert file.members == (B,)
    assert not file.unsettled
    assert not file.look()


def test_a_file_that_is_being_written_is_waited_for(listed):
    """A list that is cut off in the middle is not taken for a shorter one."""
    path, file = listed
    with path.open("w") as writing:
        for line in ("a@10.0.0.1\n", "b@db-b.example", ":8620\n", "c@10.0.0.3\n"):
            writing.write(line)
            writing.flush()
            assert not file.look()
            assert file.unsettled
            assert file.members == (A, B)
    assert file.look()
    assert file.members == (A, B, Member("c", "10.0.0.3", 862))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a@10.0.0.1\nb@db-b\nb@\n", "line 3"),
        (b"a@10.0.0.1\nb@\xff\xfe\n", "line 2: it is not UTF-8"),
        (b"\0" * 40, "line 1"),
        ("", "lists nobody"),
        ("# all gone\n", "lists nobody"),
        ("#" * (LARGEST_FILE + 1), "larger than"),
    ],
)
def test_garbage_keeps_the_old_members_and_says_why(listed, text, says):
    """Until it is put right."""
    path, file = listed
    replace(path, text)
    for _ in range(4):
        assert not file.look()
    assert file.members == (A, B)
    assert says in file.complaint
    assert "members read before stay" in file.complaint
    replace(path, "a@10.0.0.1\n")
    assert not file.look()
    assert file.complaint is not None
    assert file.look()
    assert file.members == (A,)
    assert file.complaint is None


def test_a_file_that_goes_away_keeps_the_old_members(listed):
    """It says so; when it comes back it is read at once."""
    path, file = listed
    path.unlink()
    for _ in range(2):
        assert not file.look()
        assert "No such file" in file.complaint
        assert file.members == (A, B)
    path.write_text("a@10.0.0.1\n")
    assert file.look()
    assert file.members == (A,)
    assert file.complaint is None


def test_a_file_that_comes_later_is_taken(tmp_path):
    """Before, there are no members, which is not the same as none."""
    file = MembersFile(tmp_path / "peers")
    assert not file.look()
    assert file.members is None
    assert file.complaint is not None
    (tmp_path / "peers").write_text("a@10.0.0.1\n")
    assert file.look()
    assert file.members == (A,)


def test_a_change_that_leaves_size_and_time_is_seen(listed):
    """A replaced file has another inode."""
    path, file = listed
    status = path.stat()
    replace(path, "a@10.0.0.1\nc@db-c.example:8620\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    file.look()
    assert file.look()
    assert file.members[1].name == "c"
