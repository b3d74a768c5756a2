from pathlib import Path

import numpy as np
import pytest

from hw.tile.instruction import BYTES, FIELDS, Instruction, Opcode, decode, disassemble, markdown

DOCS = Path(__file__).parents[3] / "docs" / "tile.md"


@pytest.mark.parametrize("opcode", Opcode)
def test_every_field_survives_encoding(opcode):
    rng = np.random.default_rng(int(opcode))
    values = {name: int(rng.integers(1 << bits)) for name, bits, _ in FIELDS[opcode]}
    word = Instruction(opcode, values).encode()
    assert len(word) == BYTES
    assert decode(word) == Instruction(opcode, values)


@pytest.mark.parametrize("opcode", Opcode)
def test_fields_leave_room_for_opcode_and_check(opcode):
    assert 8 + sum(bits for _, bits, _ in FIELDS[opcode]) <= 8 * (BYTES - 1)


def test_any_damaged_byte_is_found():
    word = Instruction(Opcode.LAYER, {"index": 7, "first": 1}).encode()
    for place in range(BYTES):
        damaged = bytearray(word)
        damaged[place] ^= 0x10
        with pytest.raises(ValueError, match="check byte is wrong; compile the model again"):
            decode(bytes(damaged))


def test_unknown_opcode_and_bad_values_are_refused():
    with pytest.raises(ValueError, match="there is no opcode 0x00"):
        decode(bytes(BYTES))
    with pytest.raises(ValueError, match="LAYER: index has 8 bits, 256 does not fit"):
        Instruction(Opcode.LAYER, {"index": 256, "first": 0}).encode()
    with pytest.raises(ValueError, match="LAYER has the fields index, first, not"):
        Instruction(Opcode.LAYER, {}).encode()


def test_disassembly_and_table_name_every_instruction():
    code = b"".join(
        Instruction(opcode, {name: 1 for name, _, _ in fields}).encode() for opcode, fields in FIELDS.items()
    )
    assert [each.opcode for each in disassemble(code)] == list(FIELDS)
    assert all(opcode.name in markdown() for opcode in Opcode)


def test_the_docs_have_the_table():
    assert markdown() in DOCS.read_text()
