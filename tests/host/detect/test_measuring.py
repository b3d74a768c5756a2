"""The cost of each stage, measured alone."""

from host.detect.measuring import HOST_STAGES, stage_times


def test_every_stage_is_measured_for_every_frame(numbered, brightness, classes):
    reported = []
    engine = brightness(pause_s=0.003)
    spent = stage_times(numbered(5).frames(), engine, classes=classes, report=lambda: reported.append(True))
    assert set(spent) == {*HOST_STAGES, "engine"}
    assert all(len(values) == 5 and (values > 0).all() for values in spent.values())
    assert spent["engine"].min() >= 3
    assert len(reported) == 5
