import pytest

from sim.engine_bench import EngineBench


@pytest.fixture(scope="session")
def bench_of():
    """The bench of a DMA engine with given parameters, made once."""
    made = {}

    def get(kind, **parameters):
        key = (kind, *sorted(parameters.items()))
        if key not in made:
            parameters = {"burst_beats": 16} | parameters
            engine = kind(**parameters)
            parameters.pop("outstanding", None)
            made[key] = EngineBench(engine, **parameters)
        return made[key]

    return get
