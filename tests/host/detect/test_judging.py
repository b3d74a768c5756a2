"""Precision through the pipeline is the evaluation's, exactly."""

import os
from pathlib import Path

import numpy as np
import pytest

from host.detect.engines import ModelEngine
from host.detect.faces import SinkError
from host.detect.judging import JudgeSink
from host.detect.pipeline import Pipeline, Settings
from host.detect.sources import PicturesSource
from models.detector.judging import LEAST_SCORE, judge
from models.detector.pictures import voc_split
from models.detector.scenes import generated_scenes
from models.detector.zoo import detector_names, load_detector

DATA = Path(os.environ.get("COLONNADE_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.mark.parametrize("kind", ["scenes", "photographs"])
def test_boxes_and_precision_are_those_of_the_evaluation(kind):
    if kind == "scenes":
        pictures, size = generated_scenes(12, seed=9), (96, 128)
    else:
        if not (DATA / "voc").is_dir():
            pytest.skip("the photographs of the data folder are not there")
        whole = voc_split(DATA, "test_split")
        pictures, size = whole.select(whole.names[::60], "every 60th"), (256, 256)
    detector = load_detector(detector_names()[-1])
    expected = judge(pictures, detector.runner(size), size, classes=20, coco=True)
    sink = JudgeSink(20)
    settings = Settings(least_score=LEAST_SCORE)
    engine = ModelEngine(detector, size)
    Pipeline(PicturesSource(pictures), engine, [sink], classes=detector.classes, settings=settings).run()
    assert len(sink.found) == len(pictures)
    for found, wanted in zip(sink.found, expected.found, strict=True):
        assert found.boxes.tobytes() == wanted.boxes.tobytes()
        assert found.scores.tobytes() == wanted.scores.tobytes()
        assert np.array_equal(found.classes, wanted.classes)
    for metric, judged in (("voc07", expected.voc07), ("voc12", expected.voc12), ("coco", expected.coco)):
        assert np.array_equal(sink.precision(metric).classes, judged.classes, equal_nan=True)
    assert sum(len(found) for found in sink.found) > len(pictures)  # or there was nothing to compare
    if kind == "photographs":
        assert sink.precision().mean > 20


def test_without_truth_nothing_can_be_judged(event):
    with pytest.raises(SinkError, match="nothing is known of the objects in 'picture 0'; judge --source voc"):
        JudgeSink(20).take(event())
