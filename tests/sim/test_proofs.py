"""The proofs hold for our units, and neither they nor the sweep pass a unit that is broken."""

import re
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.proofs.bitwuzla_shell import statements
from sim.proofs.catalog import PROOFS
from sim.proofs.paths import StreamPathError, check_streams, combinational_paths
from sim.proofs.runner import Proof, prove
from sim.proofs.stream_contract import Contract
from sim.proofs.streams import queue_rules
from sim.stream_sweep import StreamViolation, sweep

ROOT = Path(__file__).parents[2]


class Broken(wiring.Component):
    """The skid buffer with one fault of choice."""

    i: In(stream.Signature(2))
    o: Out(stream.Signature(2))

    def __init__(self, fault=""):
        self.fault = fault
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        skid, skid_valid = Signal(2), Signal()
        m.d.comb += self.i.ready.eq(~skid_valid)
        free = self.o.ready if self.fault == "waits" else ~self.o.valid | self.o.ready
        with m.If(free):
            m.d.sync += [self.o.valid.eq(self.i.valid | skid_valid), skid_valid.eq(0)]
            m.d.sync += self.o.payload.eq(self.i.payload)
            with m.If(skid_valid & (self.fault != "reorders")):
                m.d.sync += self.o.payload.eq(skid)
            if self.fault == "doubles":
                m.d.sync += skid_valid.eq(skid_valid & ~self.i.valid)
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [skid.eq(self.i.payload), skid_valid.eq(self.fault != "loses")]
            if self.fault == "changes":
                m.d.sync += self.o.payload.eq(self.i.payload)
        return m


FAULTS = {
    "loses": ("stays inside|lost", "is 'nothing'"),
    "doubles": ("room inside, but not ready", "no end after .* o gave 10000 items"),
    "reorders": ("lost, doubled, altered or reordered", "should be"),
    "changes": ("changed its payload while stalled", "changed its payload while stalled"),
    "waits": ("stays inside although the output is free", "is 'nothing'"),
}


def _proof(unit):
    rules = queue_rules(capacity=2, latency_cycles=1)
    return Proof(unit=f"a {unit.fault or 'sound'} one", contract=lambda: Contract(unit, rules), depth=10)


def _sweep(unit):
    return sweep(
        unit,
        items=lambda length, random: {"i": [random.getrandbits(2) for _ in range(length)]},
        golden=lambda given: {"o": given["i"]},
    )


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.unit)
def test_every_unit_is_proven(proof):
    """In the folder of `colonnade prove`, whose results it reuses as long as nothing has changed."""
    verdict = prove(proof, folder=ROOT / "build" / "proofs")
    assert verdict.proven, f"{verdict.fault}; counterexample: {verdict.trace}"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_proof_finds_a_planted_fault(fault, tmp_path):
    verdict = prove(_proof(Broken(fault)), folder=tmp_path)
    assert not verdict.proven
    assert re.search(FAULTS[fault][0], verdict.fault)
    assert verdict.trace.read_text().startswith("$")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_sweep_finds_a_planted_fault(fault):
    with pytest.raises(StreamViolation, match=FAULTS[fault][1]):
        _sweep(Broken(fault))


def test_without_a_fault_the_copy_passes_both_and_is_remembered(tmp_path):
    assert _sweep(Broken()) == 125
    first = prove(_proof(Broken()), folder=tmp_path)
    assert (first.proven, first.cached) == (True, False)
    second = prove(_proof(Broken()), folder=tmp_path)
    assert (second.proven, second.cached) == (True, True)
    assert not prove(_proof(Broken()), folder=tmp_path, again=True).cached


def test_a_changed_unit_is_not_taken_for_the_one_that_was_proven(tmp_path):
    sound = Broken()
    assert prove(_proof(sound), folder=tmp_path).proven
    sound.fault = "loses"
    renamed = Proof(unit="a sound one", contract=_proof(sound).contract, depth=10)
    assert not prove(renamed, folder=tmp_path).proven


def test_a_contract_whose_cover_is_out_of_reach_fails(tmp_path):
    shallow = Proof(unit="shallow", contract=_proof(Broken()).contract, depth=3)
    assert prove(shallow, folder=tmp_path).fault == "never happens: item: four items have left"


class Eager(wiring.Component):
    """Offers only while the taker is ready, which every simulation of a patient taker would pass."""

    i: In(stream.Signature(2))
    o: Out(stream.Signature(2))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.o.valid.eq(self.i.valid & self.o.ready), self.i.ready.eq(self.o.ready)]
        m.d.comb += self.o.payload.eq(self.i.payload)
        return m


def test_valid_that_follows_ready_is_refused_by_structure(tmp_path):
    assert ("o.ready", "o.valid") in combinational_paths(Eager())
    with pytest.raises(StreamPathError, match=r"Eager: o\.valid follows o\.ready within the cycle"):
        check_streams(Eager())
    with pytest.raises(StreamPathError, match="must never wait"):
        _sweep(Eager())
    rules = queue_rules(capacity=1, latency_cycles=1)
    verdict = prove(Proof(unit="eager", contract=lambda: Contract(Eager(), rules), depth=5), folder=tmp_path)
    assert "follows o.ready" in verdict.fault


def test_the_solver_reads_a_statement_as_soon_as_it_is_whole():
    script = ["; a comment (\n", "(assert\n", "  (= |a(;b| c)) ; why\n", "(check-sat)\n"]
    assert list(statements(script)) == ["(assert\n   (= |a(;b| c)) ; why", "(check-sat)"]
