"""Extensions: found, told apart, and never read beyond the packet."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.stamp import tlv


def extension(kind, value, flags=tlv.UNRECOGNISED):
    return tlv.HEADER.pack(flags, kind, len(value)) + value


BASE = bytes(44)
OURS = extension(tlv.MESH, bytes(16))
HMAC = extension(tlv.HMAC, bytes(16))


def test_each_kind_is_found_where_it_begins():
    """Ours, the HMAC, padding, and one that nobody here understands."""
    padding, foreign = extension(tlv.EXTRA_PADDING, b"pad"), extension(3, b"abcd")
    found = tlv.read(BASE + padding + OURS + foreign + HMAC, 44)
    assert found == tlv.Extensions(
        mesh_at=51, hmac_at=79, padding=(44,), unknown=(71,), malformed_at=None, end=99
    )


def test_a_second_one_of_ours_is_not_understood():
    """The first counts."""
    found = tlv.read(BASE + OURS + OURS, 44)
    assert (found.mesh_at, found.unknown) == (44, (64,))


def test_what_is_cut_off_or_of_a_wrong_length_ends_the_reading():
    """RFC 8972 section 4: the M flag; what follows is not looked at."""
    assert tlv.read(BASE + OURS[:-1], 44).malformed_at == 44
    assert tlv.read(BASE + OURS + b"\x80\xf0", 44).malformed_at == 64
    wrong = tlv.read(BASE + extension(tlv.HMAC, bytes(12)) + OURS, 44)
    assert (wrong.malformed_at, wrong.mesh_at) == (44, None)


def test_zeros_are_padding_and_no_extensions():
    """A TWAMP sender's: 1,428 zeros are not 357 empty extensions."""
    found = tlv.read(BASE + bytes(1428), 44)
    assert found == tlv.Extensions(None, None, (), (), None, 44)


def test_a_packet_full_of_extensions_is_read_in_part():
    """Whoever sends hundreds does not mean well."""
    found = tlv.read(BASE + extension(9, b"") * 300, 44)
    assert len(found.unknown) == 32


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_within_the_packet(data):
    """No error, and all places lie inside and are in order."""
    found = tlv.read(BASE + data, 44)
    places = [*found.padding, *found.unknown]
    places += [at for at in (found.mesh_at, found.hmac_at, found.malformed_at) if at is not None]
    assert len(set(places)) == len(places)
    assert all(44 <= at < 44 + len(data) for at in places)
    assert found.end <= 44 + len(data)
