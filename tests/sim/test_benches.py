import shutil

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sim.benches import runner
from sim.benches.runner import Bench, discover

#: `make sim` runs the benches at full length; here they are to notice a break, not to search for one.
SHORT = {
    "lengths": 9, "seeds": 2, "accesses": 200, "copies": 3, "timed_bytes": 4096,
    "loads": 25, "computes": 15, "stores": 8, "cycles": 2000,
}  # fmt: skip


@pytest.mark.parametrize("bench", discover(), ids=lambda bench: bench.name)
def test_bench(bench):
    folder = bench.run(**{name: SHORT[name] for name in bench.parameters.keys() & SHORT})
    shutil.rmtree(folder)


class Inverter(wiring.Component):
    i: In(1)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(~self.i)
        return m


@pytest.fixture(scope="module")
def build_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("benches")


@pytest.fixture
def bench_of(tmp_path, build_folder, monkeypatch):
    """Makes a bench of the inverter with the given tests."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(runner, "BUILD_FOLDER", build_folder)
    return lambda source: _bench(tmp_path, source)


def _bench(tmp_path, source):
    (tmp_path / "inverter_tests.py").write_text("import cocotb\n" + source)
    return Bench(name="inverter", component=Inverter, module="inverter_tests", parameters={"level": 1})


def test_a_failing_test_fails_the_bench_with_its_name_and_message(bench_of):
    source = (
        "from sim.benches.runner import parameters\n"
        "@cocotb.test()\nasync def good(dut): assert parameters() == {'level': 0}\n"
        "@cocotb.test()\nasync def bad(dut): assert False, 'for this reason'\n"
    )
    with pytest.raises(AssertionError, match=r"(?s)'inverter': bad failed.*for this reason"):
        bench_of(source).run(level=0)


def test_a_module_without_tests_fails(bench_of):
    with pytest.raises(AssertionError, match="'inverter': "):
        bench_of("").run()


def test_a_parameter_that_the_bench_lacks_is_refused(bench_of):
    with pytest.raises(ValueError, match="bench 'inverter' has no parameter 'levels'; it has"):
        bench_of("").run(levels=0)
