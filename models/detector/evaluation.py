"""Float, quantised and integer detector on the same pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.detector.boxes import letterbox, sorted_pixels
from models.detector.judging import Judged, judge, network_runner
from models.detector.pictures import PictureSet, voc_split
from models.detector.scenes import generated_scenes
from models.detector.zoo import Detector

if TYPE_CHECKING:
    from models.detector.network import Network

__all__ = ["canvases", "evaluate", "fake_quantised", "summary", "test_pictures", "topology_of"]

#: Where there are no photographs.
SCENES = 24


def test_pictures(data: Path | None) -> tuple[PictureSet, str]:
    """The test split, or generated scenes and the reason why."""
    from models.can_ids.captures import data_folder

    try:
        return voc_split(data_folder(data), "test_split"), ""
    except FileNotFoundError as error:
        return generated_scenes(SCENES, seed=1_000), str(error)


def evaluate(
    detector: Detector,
    pictures: PictureSet,
    *,
    side: int,
    quantised: bool,
    report: Callable[[str, int], None] = lambda *_: None,
) -> dict[str, Judged]:
    """Judgements by model: float, quantised (torch, if asked for) and integer."""
    size = (side, side)
    runners = {"float": detector.float_runner()}
    if quantised:
        runners["quantised"] = network_runner(fake_quantised(detector))
    runners["integer"] = detector.runner(size)
    judged = {}
    for name, runner in runners.items():
        judged[name] = judge(
            pictures,
            runner,
            size,
            classes=len(detector.classes),
            coco=True,
            report=lambda done, name=name: report(name, done),  # type: ignore[misc]
        )
    return judged


def fake_quantised(detector: Detector) -> Network:
    """The torch network that training had."""
    from models.detector.floating import quantised_network

    about = detector.described
    return quantised_network(detector.path, topology_of(detector), about["exponents"], about["layers"])


def topology_of(detector: Detector) -> Any:
    """The node list that a detector was trained as."""
    from models.detector.topology import yolox_nano

    topology = yolox_nano(width=detector.described["width"], classes=detector.classes)
    return replace(topology, digits=detector.described["digits"])


def canvases(pictures: PictureSet, count: int, size: tuple[int, int]) -> np.ndarray:
    """Pixels as the network takes them, of pictures spread evenly over the set."""
    places = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).astype(int)
    return np.stack([sorted_pixels(letterbox(pictures[place].pixels, size)[0]) for place in places])


def summary(judged: dict[str, Judged]) -> dict[str, Any]:
    """As the .json of a detector keeps it."""
    return {
        name: {
            "voc07": one.voc07.mean,
            "voc12": one.voc12.mean,
            "coco": one.coco.mean if one.coco else float("nan"),
            "per_class": one.voc07.classes.tolist(),
        }
        for name, one in judged.items()
    }
