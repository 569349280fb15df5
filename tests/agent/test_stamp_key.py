"""The mesh's key: what a file may hold, who may read it, and what it signs."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import ConfigError
from truechimer_agent.stamp.key import Key, load_key

SECRET = bytes(range(32))


def written(path, content, mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_digest_is_hmac_sha_256_truncated_to_128_bits():
    """RFC 4231's test case 3."""
    key, text = Key(b"\xaa" * 20), b"\xdd" * 50
    expected = bytes.fromhex("773ea91e36800e46854db8ebd09181a7")
    assert key.digest(text) == expected
    assert key.fits(text, expected)
    assert not key.fits(text, bytes(16))
    assert not key.fits(text + b"\xdd", expected)


@given(secret=st.binary(min_size=16, max_size=200), text=st.binary(max_size=300))
def test_any_key_and_text_give_what_the_standard_library_gives(secret, text):
    """Keys of more than a block of 64 bytes too; asked twice, as the hashes of the key are kept."""
    key = Key(secret)
    for _ in range(2):
        assert key.digest(memoryview(text)) == hmac.new(secret, text, "sha256").digest()[:16]


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        SECRET + b"\n",
        SECRET + b"\r\n",
        SECRET.hex().encode(),
        SECRET.hex().upper().encode() + b"\n",
        b"0001 0203 0405 0607 0809 0a0b 0c0d 0e0f\n1011 1213 1415 1617 1819 1a1b 1c1d 1e1f\n",
    ],
)
def test_raw_bytes_and_hex_text_spell_the_same_key(tmp_path, content):
    """One line end at the end does not count; hex may be spaced."""
    assert load_key(written(tmp_path / "key", content)).digest(b"x") == Key(SECRET).digest(b"x")


def test_a_text_that_is_not_hex_is_the_key_itself(tmp_path):
    """Base64 is not decoded: it is 44 bytes of key."""
    text = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert load_key(written(tmp_path / "key", text + b"\n")).digest(b"x") == Key(text).digest(b"x")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "too short"),
        (b"0123456789abcde", "whole number of bytes"),
        (b"0123456789abcdef0123456789abcd", "15 bytes is too short"),
        (b"passphrase 15 b", "too short"),
        (b"x" * 5000, "no key"),
    ],
)
def test_what_is_no_key_is_refused_with_the_way_to_make_one(tmp_path, content, says):
    """Too short, half a byte, too long."""
    with pytest.raises(ConfigError, match=says) as caught:
        load_key(written(tmp_path / "key", content))
    assert "openssl rand" in caught.value.hint


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o666])
def test_a_file_that_others_can_open_is_refused(tmp_path, mode):
    """A key that everybody can read is none."""
    with pytest.raises(ConfigError, match="open to every user") as caught:
        load_key(written(tmp_path / "key", SECRET, mode))
    assert "chmod" in caught.value.hint


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_owner_and_group_may_read_it(tmp_path, mode):
    """root:truechimer-agent 0640 is the usual way."""
    assert load_key(written(tmp_path / "key", SECRET, mode)).digest(b"") == Key(SECRET).digest(b"")


def test_an_absent_file_and_a_folder_say_so(tmp_path):
    """With the reason and the hint."""
    for path, why in ((tmp_path / "absent", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigError, match=why) as caught:
            load_key(path)
        assert caught.value.hint


def test_a_key_does_not_tell_itself():
    """Not in logs, not in tracebacks."""
    assert SECRET.hex()[:8] not in repr(Key(SECRET))
    assert repr(SECRET)[2:10] not in repr(Key(SECRET))
