"""The convolution engine: fetch, loader, sequencer, datapath and storer, chained."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.transfer import Transfer
from hw.overlay.description import MEMORY_ADDR_BITS
from hw.stream import ByteBeat
from hw.tile.datapath import Datapath
from hw.tile.fetch import Fetch
from hw.tile.kept import KeptMaps
from hw.tile.loader import COUNT_BITS, Loader
from hw.tile.preset import Preset
from hw.tile.profile import Profile
from hw.tile.residual import Residual
from hw.tile.sequencer import Sequencer
from hw.tile.storer import Storer

__all__ = ["Engine"]


class Engine(wiring.Component):
    """Carry out the instructions that come in on `code`, reading and writing within `limit` bytes of `base`.

    `start` empties the counters; `finished` rises when END has been reached and everything is in memory, and
    stays until the next start. `illegal` and `outside` pulse and leave the engine halted until a reset.
    """

    def __init__(self, preset: Preset, *, technology: str | None = None):
        self.preset, self._technology = preset, technology
        beat = stream.Signature(ByteBeat(preset.bus_bits))
        transfer = stream.Signature(Transfer(MEMORY_ADDR_BITS))
        self.profile = Profile()
        super().__init__(
            {
                "start": In(1),
                "base": In(MEMORY_ADDR_BITS),
                "limit": In(32),
                "code": In(beat),
                "read": Out(transfer),
                "read_data": In(beat),
                "write": Out(transfer),
                "write_data": Out(beat),
                "written": In(1),
                "finished": Out(1),
                "illegal": Out(1),
                "illegal_number": Out(24),
                "outside": Out(1),
                "outside_addr": Out(32),
                "busy": Out(1),
                "wait_load": Out(1),
                "wait_store": Out(1),
                "wait_drain": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        preset = self.preset
        m.submodules.fetch = fetch = Fetch(bus_bits=preset.bus_bits, depth=preset.queue)
        m.submodules.loader = loader = Loader(preset)
        m.submodules.sequencer = sequencer = Sequencer(preset, drain_cycles=Datapath.drain_cycles(preset))
        m.submodules.datapath = datapath = Datapath(preset, technology=self._technology)
        m.submodules.storer = storer = Storer(preset)
        m.submodules.residual = residual = Residual(preset, technology=self._technology)
        m.submodules.kept = kept = KeptMaps(preset)
        m.submodules.profile = profile = self.profile

        wiring.connect(m, wiring.flipped(self.code), fetch.i)
        for index, unit in enumerate((loader.i, sequencer.i, storer.i)):
            wiring.connect(m, fetch.units[index], unit)
        m.d.comb += [
            loader.start.eq(self.start),
            sequencer.start.eq(self.start),
            storer.start.eq(self.start),
        ]
        wiring.connect(m, loader.request, wiring.flipped(self.read))
        wiring.connect(m, wiring.flipped(self.read_data), loader.data)
        wiring.connect(m, storer.request, wiring.flipped(self.write))
        wiring.connect(m, storer.data, wiring.flipped(self.write_data))
        wiring.connect(m, loader.kept_request, kept.request)
        wiring.connect(m, kept.data, loader.kept_data)

        stored, stored_kept = Signal(COUNT_BITS), Signal(COUNT_BITS)
        m.d.sync += [stored.eq(stored + self.written), stored_kept.eq(stored_kept + storer.kept)]
        with m.If(self.start):
            m.d.sync += [stored.eq(0), stored_kept.eq(0)]
        m.d.comb += [
            fetch.start.eq(self.start),
            loader.computed.eq(sequencer.complete),
            loader.stored.eq(stored),
            loader.stored_kept.eq(stored_kept),
            loader.residual_freed.eq(storer.residual_freed),
            sequencer.loaded.eq(loader.complete),
            sequencer.slot_freed.eq(storer.freed),
            storer.row_ready.eq(datapath.row_ready),
            storer.residual_ready.eq(loader.residual_ready),
            residual.write.eq(loader.residual_write),
            residual.write_addr.eq(loader.residual_addr),
            residual.write_data.eq(loader.bank_data),
            residual.addr.eq(storer.residual_addr),
            residual.word.eq(datapath.slot_word),
            residual.adds.eq(storer.adds),
            residual.how.as_value().eq(storer.how.as_value()),
            storer.word.eq(residual.sum),
            kept.write.eq(storer.kept_write),
            kept.write_addr.eq(storer.kept_addr),
            kept.write_data.eq(residual.sum),
            datapath.slot_addr.eq(storer.addr),
            datapath.bank_addr.eq(loader.bank_addr),
            datapath.bank_write.eq(loader.bank_write),
            datapath.bank_data.eq(loader.bank_data),
            datapath.weight_write_addr.eq(loader.weight_addr),
            datapath.weight_write.eq(loader.weight_write),
            datapath.feature_addr.eq(sequencer.feature_addr),
            datapath.weight_addr.eq(sequencer.weight_addr),
            datapath.beat.eq(sequencer.beat),
            datapath.config.eq(sequencer.config),
        ]
        for unit in (loader, storer):
            m.d.comb += [unit.base.eq(self.base), unit.limit.eq(self.limit)]
        m.d.comb += [
            self.illegal.eq(fetch.illegal),
            self.illegal_number.eq(fetch.number),
            self.outside.eq(loader.outside | storer.outside),
            self.outside_addr.eq(storer.outside_addr),
            self.busy.eq(sequencer.busy),
            self.wait_load.eq(sequencer.waits_load),
            self.wait_store.eq(sequencer.waits_store),
            self.wait_drain.eq(sequencer.waits_drain),
            profile.start.eq(self.start),
            profile.keep.eq(sequencer.layer),
            profile.index.eq(sequencer.layer_index),
            profile.first.eq(sequencer.layer_first),
            profile.events[:5].eq(
                1 | self.busy << 1 | self.wait_load << 2 | self.wait_store << 3 | self.wait_drain << 4
            ),
            profile.events[5].eq(self.read_data.valid & self.read_data.ready),
            profile.events[6].eq(self.write_data.valid & self.write_data.ready),
        ]
        with m.If(loader.outside):
            m.d.comb += self.outside_addr.eq(loader.outside_addr)
        idle = fetch.empty & loader.idle & sequencer.idle & storer.idle & (storer.requested == stored)
        # Twice, because queues take a cycle or two to show what was put in.
        settled = Signal(4)
        m.d.sync += settled.eq((settled << 1) | (idle & fetch.end & ~self.start))
        with m.If(self.start):
            m.d.sync += settled.eq(0)
        m.d.comb += self.finished.eq(settled.all())
        return m
