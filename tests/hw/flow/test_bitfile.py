import pytest

from hw.flow.bitfile import BitFile
from hw.flow.tools import FlowError
from hw.overlay.package import dummy_bitstream

BODY = b"\xff" * 16 + bytes.fromhex("aa995566") + bytes(range(40))
BIT = BitFile(design="top;x", part="7z020clg400", date="2024/05/01", time="10:00:00", body=BODY)


def test_pynq_reads_what_we_write():
    from pynq.pl_server.embedded_device import parse_bit_header

    content = BIT.stamped(design="copy", digest="ab12").to_bytes()
    parsed = parse_bit_header(content)
    assert (parsed["design"], parsed["part"], parsed["date"]) == ("copy", "7z020clg400", "1970/01/01")
    assert (int(parsed["length"]), parsed["data"]) == (len(BODY), BODY)
    assert b"digest=ab12" in content


def test_parsing_gives_back_what_was_written():
    assert BitFile.parse(BIT.to_bytes(), name="x.bit") == BIT


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda bit: b"\0" + bit, "it does not begin as one"),
        (lambda bit: bit[:20], "its header ends early"),
        (lambda bit: bit[:-1], r"has 59 bytes of data where its header says 60; build it again"),
        (lambda bit: bit.replace(b"c\0\x0b", b"f\0\x0b"), "its header lacks a field"),
        (lambda bit: bit.replace(bytes.fromhex("aa995566"), bytes(4)), "holds no configuration data"),
    ],
)
def test_half_a_file_is_refused(spoil, complaint):
    with pytest.raises(FlowError, match=rf"^x\.bit .*{complaint}"):
        BitFile.parse(spoil(BIT.to_bytes()), name="x.bit")


def test_a_simulation_only_file_is_no_bitstream():
    with pytest.raises(FlowError, match="holds no configuration data"):
        BitFile.parse(dummy_bitstream(name="copy", digest="0"), name="copy.bit")
