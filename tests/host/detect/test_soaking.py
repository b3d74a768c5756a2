"""What a long run is watched for."""

from host.detect import soaking
from host.detect.pipeline import Pipeline
from host.detect.soaking import SoakObserver


def test_order_and_memory_are_watched(event, monkeypatch):
    resident = iter([100.0, 100.5, 103.0, 102.0])
    monkeypatch.setattr(soaking, "resident_mb", lambda: next(resident, 101.0))
    soaked = SoakObserver(10)
    for index in (0, 1, 3, 2, 4):
        soaked(event(index))
    assert (soaked.frames, soaked.out_of_order, soaked.growth_mb) == (5, 1, 3.0)


def test_memory_of_a_run_is_flat(numbered, brightness, classes):
    soaked = SoakObserver(1500)
    Pipeline(numbered(1500), brightness(), classes=classes, observers=[soaked]).run()
    assert (soaked.frames, soaked.out_of_order) == (1500, 0)
    assert soaked.warm_mb > 10
    # 1,200 frames of 9 KB would be 11 MB.
    assert soaked.growth_mb < 5


def test_what_leaks_is_seen(numbered, brightness, classes):
    kept = []
    soaked = SoakObserver(1500)
    leak = lambda event: kept.append(event.pixels.repeat(10))  # noqa: E731
    Pipeline(numbered(1500), brightness(), classes=classes, observers=[soaked, leak]).run()
    assert soaked.growth_mb > 50
