"""Takes weight images in, word by word, and says whether the weights that lie in the banks are whole."""

from enum import IntEnum

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.dataflow.bank_memory import LoadSignature
from models.program.image import MAGIC
from models.program.pipeline_shape import IMAGE_WORD_BITS, PipelineShape

__all__ = ["WeightLoader", "WeightPortSignature"]

#: CRC-32 as of Ethernet and zlib, bits from the lowest up, and its register after a message and its CRC.
POLYNOMIAL = 0xEDB88320
RESIDUE = 0xDEBB20E3
ONES = (1 << IMAGE_WORD_BITS) - 1


class WeightPortSignature(wiring.Signature):
    """Through which weights are replaced, from the loader's side; what it says of them are levels.

    `abandon` gives up an image that was not finished; `valid` says that the weights are whole, and
    `model_hash` which they are; `shape_hash` is the digest of the shape that an image must have.
    """

    def __init__(self):
        super().__init__(
            {
                "words": In(stream.Signature(IMAGE_WORD_BITS)),
                "abandon": In(1),
                "valid": Out(1),
                "loading": Out(1),
                "refused_shape": Out(1),
                "refused_crc": Out(1),
                "model_hash": Out(64),
                "shape_hash": Out(32),
            }
        )


class _State(IntEnum):
    """What the next word is."""

    MAGIC = 0
    SHAPE = 1
    HASH_LOW = 2
    HASH_HIGH = 3
    PAYLOAD = 4
    CRC = 5
    CHECK = 6


class WeightLoader(wiring.Component):
    """Check and store the images of models/program/image.py.

    Takes a word in `WORD_CYCLES` cycles, since the CRC goes bit by bit: a register write of a host is slower.

    An image for another shape is refused at its second word and changes nothing. From the third word of one
    that fits on, `valid` is low; it rises `CHECK_CYCLES` after the last word if the CRC is right. Words that
    begin no image are skipped and count as `refused_shape`. Both refusals stay until the next image begins.
    `abandon` forgets an image that was not finished; the next word begins another.

    A reset forgets an unfinished image as well, but not what is in the memories, which no reset clears.
    """

    WORD_CYCLES = IMAGE_WORD_BITS
    #: From the last word, taken, to `valid`.
    CHECK_CYCLES = 3

    def __init__(self, *, shape: PipelineShape, model_hash: int | None = None):
        """`model_hash` of the weights that the banks hold from the start; None: they hold none."""
        self._shape = shape
        self._model_hash = model_hash
        super().__init__(
            {
                "weights": Out(WeightPortSignature()),
                "load": Out(LoadSignature(shape.banks)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        state = Signal(_State)
        # They describe the memories, and live as long as their contents.
        port = self.weights
        weights_valid = Signal(init=self._model_hash is not None, reset_less=True)
        model_hash = Signal(64, init=self._model_hash or 0, reset_less=True)
        m.d.comb += [
            port.valid.eq(weights_valid),
            port.model_hash.eq(model_hash),
            port.shape_hash.eq(self._shape.digest),
        ]
        crc = Signal(IMAGE_WORD_BITS, init=ONES)
        at = Signal(range(IMAGE_WORD_BITS))  # the bit of the word that the CRC takes next
        word, load = port.words.payload, self.load
        depths = [bank.depth for bank in self._shape.banks for _ in range(bank.slices)]
        row, slice_index = Signal.like(load.row), Signal.like(load.slice)
        last_row = Array(Const(depth - 1, len(load.row)) for depth in depths)[slice_index]
        accepted = port.words.valid & port.words.ready
        # The CRC takes a bit in the cycle after it was chosen, and words reach the banks in the cycle after
        # they were accepted: the choice is wide and the way is long.
        bit, bit_valid = Signal(), Signal()
        # A word waits for its last bit before it is taken: so there is time to compare it.
        is_magic, is_digest = Signal(), Signal()

        m.d.comb += [
            port.words.ready.eq((at == IMAGE_WORD_BITS - 1) & (state != _State.CHECK)),
            port.loading.eq(state != _State.MAGIC),
        ]
        m.d.sync += [
            load.data.eq(word),
            load.row.eq(row),
            load.slice.eq(slice_index),
            load.write.eq(accepted & (state == _State.PAYLOAD)),
            bit.eq(word.bit_select(at, 1)),
            bit_valid.eq(port.words.valid & (state != _State.CHECK)),
            is_magic.eq(word == MAGIC),
            is_digest.eq(word == self._shape.digest),
        ]
        with m.If(port.words.valid & (state != _State.CHECK)):
            m.d.sync += at.eq(at + 1)
        with m.If(bit_valid):
            m.d.sync += crc.eq((crc >> 1) ^ Mux(bit ^ crc[0], POLYNOMIAL, 0))

        def finish(refusal: Signal | None = None) -> None:
            m.d.sync += [state.eq(_State.MAGIC), crc.eq(ONES), bit_valid.eq(0)]
            if refusal is not None:
                m.d.sync += refusal.eq(1)

        with m.Switch(state):
            with m.Case(_State.MAGIC), m.If(accepted):
                with m.If(is_magic):
                    m.d.sync += [state.eq(_State.SHAPE), port.refused_shape.eq(0), port.refused_crc.eq(0)]
                with m.Else():
                    finish(port.refused_shape)
            with m.Case(_State.SHAPE), m.If(accepted):
                m.d.sync += state.eq(_State.HASH_LOW)
                with m.If(~is_digest):
                    finish(port.refused_shape)
            with m.Case(_State.HASH_LOW, _State.HASH_HIGH), m.If(accepted):
                m.d.sync += [
                    state.eq(state + 1),
                    weights_valid.eq(0),
                    model_hash.word_select(state == _State.HASH_HIGH, 32).eq(word),
                    slice_index.eq(0),
                    row.eq(0),
                ]
            with m.Case(_State.PAYLOAD), m.If(accepted):
                m.d.sync += row.eq(row + 1)
                with m.If(row == last_row):
                    m.d.sync += [row.eq(0), slice_index.eq(slice_index + 1)]
                    with m.If(slice_index == len(depths) - 1):
                        m.d.sync += state.eq(_State.CRC)
            with m.Case(_State.CRC), m.If(accepted):
                m.d.sync += state.eq(_State.CHECK)
            with m.Case(_State.CHECK), m.If(~bit_valid):
                finish()
                with m.If(crc == RESIDUE):
                    m.d.sync += weights_valid.eq(1)
                with m.Else():
                    m.d.sync += port.refused_crc.eq(1)
        with m.If(port.abandon):
            m.d.sync += at.eq(0)
            finish()
        return m
