"""Power: read through pynq where there are rails, said plainly where there are none."""

import re
from types import SimpleNamespace

import pynq
import pytest

from host import power
from host.power import Energy, choose_rail, measure_power


def rail(name: str, *, sensor: bool = True):
    return SimpleNamespace(power=SimpleNamespace(name=f"{name}_power") if sensor else None)


def test_elsewhere_there_is_none_and_it_says_so(monkeypatch):
    monkeypatch.delenv("BOARD", raising=False)
    with measure_power() as energy:
        pass
    assert not energy.is_measured
    assert energy.describe(10) == (
        "power: none measured, because this is no board with power rails (PYNQ images name theirs in BOARD)"
    )


def test_a_board_without_sensors(monkeypatch):
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    monkeypatch.setattr(pynq, "get_rails", lambda: {"VCC": rail("VCC", sensor=False)})
    with measure_power() as energy:
        pass
    assert "pynq finds no rail with a power sensor on Pynq-Z2" in energy.describe(10)


class Frame:
    """As much of a pandas DataFrame as is read."""

    columns = ("Mark", "12V_power")

    def __init__(self, watts, seconds):
        self._watts = watts
        self.index = [_Moment(second) for second in seconds]

    def __len__(self):
        return len(self._watts)

    def __getitem__(self, name):
        assert name == "12V_power"
        return SimpleNamespace(mean=lambda: sum(self._watts) / len(self._watts))


class _Moment:
    def __init__(self, second):
        self._second = second

    def __sub__(self, other):
        return SimpleNamespace(total_seconds=lambda: self._second - other._second)


@pytest.mark.parametrize(
    ("watts", "seconds", "text"),
    [
        ([10.0, 14.0, 12.0], [0.0, 1.0, 2.0], r"12.000 W on rail 12V over 2.00 s \(3 samples\), 0.24 J per"),
        ([10.0], [0.0], "none measured, because the run was too short for two samples"),
        ([], [], "none measured, because the run was over before the first sample"),
    ],
)
def test_joules_per_inference(monkeypatch, watts, seconds, text):
    log = []

    class Recorder:
        def __init__(self, sensor):
            log.append(sensor.name)
            self.frame = Frame(watts, seconds)

        def record(self, interval):
            log.append(interval)
            return self

        def __enter__(self):
            log.append("on")

        def __exit__(self, *_):
            log.append("off")

    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setattr(pynq, "get_rails", lambda: {"INT": rail("INT"), "12V": rail("12V")})
    monkeypatch.setattr(pynq, "DataRecorder", Recorder)
    with measure_power() as energy:
        log.append("body")
    assert log == ["12V_power", power.INTERVAL_S, "on", "body", "off"]
    assert re.search(text, energy.describe(100))


def test_a_missing_pandas_is_named(monkeypatch):
    def recorder(_sensor):
        raise ImportError("pandas")

    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setattr(pynq, "get_rails", lambda: {"12V": rail("12V")})
    monkeypatch.setattr(pynq, "DataRecorder", recorder)
    with measure_power() as energy:
        pass
    assert "needs pandas: pip install pandas" in energy.describe(1)


def test_rails_are_chosen_by_what_they_carry():
    rails = {"MGT": rail("MGT"), "INT": rail("INT"), "dead": rail("dead", sensor=False)}
    assert choose_rail(rails) == "INT"
    assert choose_rail({"odd": rail("odd")}) == "odd"
    assert choose_rail(rails, "MGT") == "MGT"
    with pytest.raises(ValueError, match="no rail 'dead' with a power sensor; it has MGT, INT"):
        choose_rail(rails, "dead")


def test_no_inference_no_share():
    energy = Energy(rail="12V", watts=2.0, seconds=3.0, samples=5)
    assert energy.joules == 6.0
    assert "per inference" not in energy.describe(0)
