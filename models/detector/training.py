"""Float fine-tuning, then shift weights with distillation; seeded, resumable. Needs torch."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.detector.augment import Batch, batch_of
from models.detector.boxes import sorted_pixels
from models.detector.judging import judge, network_runner
from models.detector.losses import distance_to_features, distance_to_labels, distance_to_teacher
from models.detector.network import Network
from models.detector.pictures import PictureSet
from models.detector.recipes import Recipe
from models.detector.starting import Affine, correct_biases, start_at_random, student_of

__all__ = ["Check", "Trained", "split_held_out", "train"]

#: Inner maps that are held to the teacher's.
FEATURES = ("dark3_c", "dark4_c", "pyramid_c", "neck3_c", "back4_c", "back5_c")
#: Pictures from which the student's first ranges and gains are measured.
START_PICTURES = 24
#: A bias moves this much more than a weight: sums are near 1 in size.
BIAS_RATE = 0.15
#: What is judged and kept is the mean of the weights over about this many steps.
AVERAGED = 200


@dataclass(frozen=True)
class Check:
    """A point of the learning curve."""

    step: int
    stage: str
    loss: float
    held_out_map: float
    seconds: float


@dataclass
class Trained:
    """The best network of each stage, by the held-out pictures."""

    floating: Network
    shifted: Network
    curve: list[Check]


@dataclass
class _State:
    network: Network
    average: Network
    affine: dict[str, Affine]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: dict[str, tuple[float, dict]] = field(default_factory=dict)
    curve: list[Check] = field(default_factory=list)


def split_held_out(pictures: PictureSet, one_in: int) -> tuple[PictureSet, PictureSet]:
    """What trains, and what chooses when to stop; the test split is neither."""
    held = pictures.names[::one_in]
    kept = tuple(name for name in pictures.names if name not in set(held))
    return (
        pictures.select(kept, f"{pictures.description} without every {one_in}th"),
        pictures.select(held, f"every {one_in}th of {pictures.description}"),
    )


def train(
    recipe: Recipe,
    pictures: PictureSet,
    *,
    teacher: Network | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[int, float, Check | None], None] = lambda *_: None,
) -> Trained:
    """Both stages; broken off at any time, it goes on from `checkpoint` with `resume`."""
    torch.manual_seed(recipe.seed)
    training, held_out = split_held_out(pictures, recipe.held_out)
    state = _start(recipe, training, teacher)
    if resume and checkpoint and checkpoint.exists():
        _restore(state, checkpoint, recipe)
    losses: list[float] = []
    while state.step < recipe.steps:
        if state.step in (0, recipe.float_steps):
            # What a stage starts with counts as well: training must beat it.
            if state.step:
                _begin_shifting(state, recipe, training)
            report(state.step, math.nan, _check(state, recipe, held_out, math.nan))
        began = time.perf_counter()
        losses.append(_step(state, recipe, training, teacher))
        state.seconds += time.perf_counter() - began
        check = None
        if state.step % recipe.check_every == 0 or state.step in (recipe.float_steps, recipe.steps):
            check = _check(state, recipe, held_out, float(np.mean(losses[-recipe.check_every :])))
            if checkpoint:
                _save(state, checkpoint, recipe)
        report(state.step, losses[-1], check)
    return Trained(_best_of(state, "float"), _best_of(state, "shift"), state.curve)


def _start(recipe: Recipe, training: PictureSet, teacher: Network | None) -> _State:
    if recipe.start == "yolox":
        if teacher is None:
            raise ValueError(f"recipe {recipe.name!r} starts from YOLOX-Nano's weights, and none were given")
        network, affine = student_of(teacher, _pixels(_first_views(recipe, training)), recipe.topology)
    else:
        network, affine = Network(recipe.topology), {}
        start_at_random(network)
    held = {name: affine[name] for name in FEATURES if name in affine}
    return _State(network, copy.deepcopy(network), held, _optimiser(network))


def _first_views(recipe: Recipe, training: PictureSet) -> Batch:
    """What ranges, gains and biases are measured on: views that no step trains on."""
    return batch_of(training, recipe.augmentation, size=START_PICTURES, seed=recipe.seed, step=2**31)


def _optimiser(network: Network) -> torch.optim.Optimizer:
    """Layers differ by orders of magnitude in size: each learns in proportion."""
    groups = []
    for layer in (network.layer(node.name) for node in network.topology.weighted):
        size = float(layer.weight.detach().square().mean().sqrt())
        groups.append({"params": [layer.weight], "share": max(size, 1e-3), "lr": 0.0})
        groups.append({"params": [layer.bias], "share": BIAS_RATE, "lr": 0.0})
    return torch.optim.Adam(groups, betas=(0.9, 0.99))


def _begin_shifting(state: _State, recipe: Recipe, training: PictureSet) -> None:
    """From the best float weights, with a fresh optimiser."""
    state.network.load_state_dict(state.best["float"][1])
    correct_biases(state.network, _pixels(_first_views(recipe, training)))
    state.average = copy.deepcopy(state.network)
    state.optimiser = _optimiser(state.network)


def _pixels(batch: Batch) -> Tensor:
    return torch.from_numpy(sorted_pixels(batch.canvases)).float()


def _step(state: _State, recipe: Recipe, training: PictureSet, teacher: Network | None) -> float:
    batch = batch_of(training, recipe.augmentation, size=recipe.batch, seed=recipe.seed, step=state.step)
    pixels = _pixels(batch)
    network = state.network.train()
    for group in state.optimiser.param_groups:
        group["lr"] = group["share"] * recipe.rate_at(state.step)
    maps = network.maps(pixels, keep=frozenset(state.affine))
    outputs = [maps[name] for name in network.topology.outputs]
    parts = []
    if teacher is not None:
        with torch.no_grad():
            model = teacher.maps(pixels, keep=frozenset(state.affine))
        parts.append(
            recipe.teacher_weight
            * distance_to_teacher(outputs, [model[name] for name in network.topology.outputs])
        )
        if state.affine and recipe.feature_weight:
            parts.append(recipe.feature_weight * distance_to_features(maps, model, state.affine))
    if recipe.label_weight:
        parts.append(recipe.label_weight * distance_to_labels(outputs, batch.truths))
    loss = torch.stack(parts).sum()
    state.optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 20.0)
    state.optimiser.step()
    state.step += 1
    _average(state, recipe)
    return float(loss.detach())


@torch.no_grad()
def _average(state: _State, recipe: Recipe) -> None:
    """Follows the weights; at the start of a stage quickly, lest its first weights count for long."""
    shifting = state.step > recipe.float_steps
    steps = state.step - (recipe.float_steps if shifting else 0)
    share = 1 / min(AVERAGED, steps + 1)
    for mean, now in zip(state.average.parameters(), state.network.parameters(), strict=True):
        mean.lerp_(now, share)


def _check(state: _State, recipe: Recipe, held_out: PictureSet, loss: float) -> Check:
    """Held-out precision now; the best weights of the stage are kept."""
    some = held_out.select(held_out.names[: recipe.check_pictures], held_out.description)
    side = (recipe.check_side, recipe.check_side)
    network = state.average.eval()
    value = judge(some, network_runner(network), side, classes=len(recipe.topology.classes)).voc07.mean
    stage = "shift" if network.quantised else "float"
    if stage not in state.best or value >= state.best[stage][0]:
        weights = {
            name: one.clone() if isinstance(one, Tensor) else one
            for name, one in network.state_dict().items()
        }
        state.best[stage] = (value, weights)
    check = Check(state.step, stage, loss, value, state.seconds)
    state.curve.append(check)
    return check


def _best_of(state: _State, stage: str) -> Network:
    network = Network(state.network.topology, quantised=stage == "shift")
    source = state.best.get(stage, (0.0, state.network.state_dict()))
    network.load_state_dict(source[1])
    return network.eval()


def _fingerprint(recipe: Recipe) -> str:
    return json.dumps(asdict(recipe), sort_keys=True)


def _save(state: _State, path: Path, recipe: Recipe) -> None:
    content = {
        "recipe": _fingerprint(recipe),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "best": state.best,
        "curve": [asdict(one) for one in state.curve],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    torch.save(content, partial)
    partial.replace(path)


def _restore(state: _State, path: Path, recipe: Recipe) -> None:
    content = torch.load(path, weights_only=True)
    if content["recipe"] != _fingerprint(recipe):
        raise ValueError(
            f"the checkpoint {str(path)!r} is of another recipe than this run; give the options of the run "
            "that wrote it, or start anew without --resume"
        )
    state.step, state.seconds = content["step"], content["seconds"]
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.network.quantised = state.average.quantised = state.step > recipe.float_steps
    state.optimiser.load_state_dict(content["optimiser"])
    state.best = {name: (value, weights) for name, (value, weights) in content["best"].items()}
    state.curve = [Check(**one) for one in content["curve"]]
