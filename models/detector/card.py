"""The card of a trained detector, written anew from its .json whenever that changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from models.detector.cost import cost_of, resized
from models.detector.zoo import Detector

__all__ = ["SIDES", "update", "write_card"]

#: Canvas sides of the cost table.
SIDES = (320, 416, 512)


def update(detector: Detector, **entries: Any) -> None:
    """Put entries into the .json, and write the card from it."""
    detector.described.update(entries)
    _write(detector.path.with_suffix(".json"), json.dumps(detector.described, indent=1) + "\n")
    write_card(detector)


def write_card(detector: Detector) -> Path:
    return _write(detector.path.with_suffix(".md"), "\n".join(_lines(detector)) + "\n")


def _write(path: Path, text: str) -> Path:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(text)
    partial.replace(path)
    return path


def _lines(detector: Detector) -> list[str]:
    about = detector.described
    exact = about.get("exact")
    return [
        f"# {detector.path.stem}",
        "",
        f"Object detection, {len(detector.classes)} classes of PASCAL VOC. {about['weights']}",
        "",
        f"- Input: blue, green, red pixels 0..255, letterboxed and sorted by 2x2 blocks into 12 channels "
        f"(`models.detector.boxes`); {about['size'][0]}x{about['size'][1]} in the file, any multiple of 32.",
        f"- Started from: {about['started_from']}.",
        f"- Trained by `{about['command']}` on {about['trained_on']}: {about['float_steps']} float steps, "
        f"{about['shift_steps']} with shift weights, batch {about['batch']}, seed {about['seed']}.",
        "- Chosen by pictures held out of the train split; the test split was never trained, tuned, "
        "calibrated or stopped on.",
        f"- Licence: {about['licence']}",
        *(f"- {note}" for note in about.get("notes", ())),
        *(
            [
                f"- torch, the QONNX executor and the integer program were compared on {exact['pictures']} "
                f"pictures ({exact['of']}): {exact['different']} differ in any element of any output map."
            ]
            if exact
            else []
        ),
        "",
        "## Cost of one picture",
        "",
        *_costs(detector),
        "",
        "## Learning curve",
        "",
        "| step | weights | mean loss | mAP (VOC2007) of held-out pictures |",
        "|---|---|---|---|",
        *(
            f"| {one['step']} | {one['stage']} | {one['loss']:.3f} | {one['held_out_map']:.2f} |"
            if one["loss"] == one["loss"]
            else f"| {one['step']} | {one['stage']} | before training | {one['held_out_map']:.2f} |"
            for one in about["curve"]
        ),
        "",
        *_results(about.get("results")),
    ]


def _costs(detector: Detector) -> list[str]:
    lines = [
        "A lane-cycle is a cycle of 16 x 16 lanes that take one digit each; layers with a filter for each "
        "channel use 9 of 16, and need three cycles at least to read a window's new pixels.",
        "",
        "| input | GMAC | million lane-cycles | weight bits | bytes of the largest map | widest sum, bits |",
        "|---|---|---|---|---|---|",
    ]
    for side in SIDES:
        cost = cost_of(resized(detector.program, (side, side)))
        lines.append(
            f"| {side}x{side} | {cost.macs / 1e9:.3f} | {cost.lane_cycles / 1e6:.2f} | "
            f"{cost.weight_bits:,} | {cost.largest_map_bytes:,} | {cost.largest_sum_bits} |"
        )
    return lines


def _results(results: dict[str, Any] | None) -> list[str]:
    if not results:
        return ["Not evaluated on photographs yet: `colonnade evaluate detector`."]
    models = results["models"]
    lines = [
        f"## Results on {results['pictures']}",
        "",
        f"{results['count']:,} pictures at {results['side']}x{results['side']}, by `{results['command']}`.",
        "",
        "| model | mAP VOC2007 (11 points) | mAP VOC2012 (all points) | COCO average |",
        "|---|---|---|---|",
    ]
    for name, one in models.items():
        lines.append(f"| {name} | {one['voc07']:.2f} | {one['voc12']:.2f} | {one['coco']:.2f} |")
    lines += ["", "| class, VOC2007 | " + " | ".join(models) + " |", "|---" * (len(models) + 1) + "|"]
    for index, class_ in enumerate(results["classes"]):
        values = " | ".join(f"{one['per_class'][index]:.1f}" for one in models.values())
        lines.append(f"| {class_} | {values} |")
    return lines
