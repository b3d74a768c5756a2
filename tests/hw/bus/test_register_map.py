import dataclasses

import pytest

from hw.bus.register_map import Access, Counter, Field, Register, RegisterMap

SNAPSHOT = Register.word("SNAPSHOT", bits=1, access=Access.SNAPSHOT)


def example() -> RegisterMap:
    return RegisterMap(
        name="example",
        items=[
            Register.word("ID", access=Access.CONSTANT, reset=7, doc="Who."),
            SNAPSHOT,
            Counter(name="CYCLES", bits=40, doc="Time."),
            Counter(name="FEW", bits=8),
            Register(
                name="MODE", fields=[Field(name="A", bits=3, reset=5), Field(name="B", offset=8, doc="Bee.")]
            ),
        ],
    )


def test_offsets_follow_the_order_and_counters_take_their_words():
    names = ["ID", "SNAPSHOT", "CYCLES_LO", "CYCLES_HI", "FEW", "MODE"]
    assert [register.name for register in example().registers] == names
    assert [example().offset(name) for name in names] == [0, 4, 8, 12, 16, 20]


def test_appending_a_register_moves_none():
    longer = dataclasses.replace(example(), items=[*example().items, Register.word("NEW")])
    assert all(
        longer.offset(register.name) == example().offset(register.name) for register in example().registers
    )


def test_fields_are_packed_from_bit_zero_unless_placed():
    assert [(p.offset, p.mask) for p in example()["MODE"].placements] == [(0, 0b111), (8, 0x100)]
    assert example()["MODE"].reset == 5


def test_the_map_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        example().name = "other"


def test_constants_can_be_replaced_and_nothing_else():
    replaced = example().with_constants(ID=9)
    assert replaced["ID"].reset == 9
    assert [r.name for r in replaced.registers] == [r.name for r in example().registers]
    with pytest.raises(ValueError, match="register MODE is not constant"):
        example().with_constants(MODE=1)
    with pytest.raises(ValueError, match=r"no register 'NOBODY'; it has ID, SNAPSHOT"):
        example().with_constants(NOBODY=1)


def test_the_docs_table_has_a_row_a_field():
    rows = example().markdown().splitlines()
    assert rows[2] == "| 0x000 | ID | 31:0 | ID | constant | 0x7 | Who. |"
    assert rows[-1] == "| 0x014 | MODE | 8 | B | read-write | 0x0 | Bee. |"
    assert len(rows) == 2 + 7


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Field(name="lower"),
            "name of a field must be upper case letters, digits and _, not 'lower'",
        ),
        (lambda: Field(name="A", bits=33), r"field A: bits must be in 1 \.\. 32, not 33"),
        (lambda: Field(name="A", bits=2, reset=4), "field A: reset 4 does not fit in 2 bits"),
        (lambda: Field(name="A", access=Access.PULSE, reset=1), "field A: a pulse field has no reset value"),
        (lambda: Register(name="R", fields=[]), "register R has no field"),
        (
            lambda: Register(name="R", fields=[Field(name="A"), Field(name="A")]),
            "R has two fields of one name",
        ),
        (
            lambda: Register(name="R", fields=[Field(name="A", bits=20), Field(name="B", bits=13)]),
            "field B ends at bit 32, past bit 31; move it to a register of its own",
        ),
        (
            lambda: Register(name="R", fields=[Field(name="A", bits=4), Field(name="B", offset=3)]),
            "register R: fields A and B share bit 3",
        ),
        (
            lambda: Register(
                name="R",
                fields=[
                    Field(name="DONE", access=Access.WRITE_ONE_TO_CLEAR),
                    Field(name="START", access=Access.PULSE),
                ],
            ),
            "register R: a write-one-to-clear field must not share a word with another writable field",
        ),
        (lambda: Counter(name="C", bits=65), r"counter C: bits must be in 1 \.\. 64, not 65"),
        (
            lambda: RegisterMap(name="m", items=[Register.word("A"), Register.word("A")]),
            "m: register A stands in the map twice",
        ),
        (
            lambda: RegisterMap(name="m", items=[Register.word("A"), Register.word("B")], size=4),
            "m: 2 registers do not fit in a window of 4 bytes",
        ),
        (
            lambda: RegisterMap(name="m", items=[Counter(name="C")]),
            "m has counters, so it needs one SNAPSHOT field",
        ),
        (
            lambda: RegisterMap(
                name="m", items=[Register.word("A_B"), Register(name="A", fields=[Field(name="B")])]
            ),
            "m: the register bank would have the port 'a_b' twice; rename a field",
        ),
    ],
)
def test_a_bad_map_is_refused_with_the_rule(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_sticky_field_may_share_its_word_with_what_cannot_be_written():
    fields = [Field(name="A", access=Access.WRITE_ONE_TO_CLEAR), Field(name="B", access=Access.READ_ONLY)]
    assert Register(name="R", fields=fields).writable
