"""Quantisation-aware training: seeded, with checkpoints that a broken-off run resumes from. Needs torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from models.can_ids.frames import Attack, Frames
from models.can_ids.network import build, clamp_weights
from models.can_ids.recipes import Recipe
from models.can_ids.sampling import Sampler
from models.can_ids.topology import Topology

__all__ = ["Progress", "Validation", "predict", "train"]

CHECK_EVERY = 1000
#: Where the temperature of the softmax starts: ternary sums are large numbers.
INITIAL_LOG_TEMPERATURE = -1.0


@dataclass(frozen=True)
class Validation:
    """Windows and classes that choose the weights that are kept."""

    windows: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Progress:
    step: int
    steps: int
    loss: float
    error: float | None  #: share of validation windows judged wrongly; None between checks


@dataclass
class _State:
    """Everything that a checkpoint holds."""

    network: nn.Sequential
    log_temperature: nn.Parameter
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    step: int = 0
    best_error: float = float("inf")
    best_weights: dict[str, torch.Tensor] | None = None


def train(
    recipe: Recipe,
    blocks: list[tuple[Frames, float]],
    validation: Validation,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda _: None,
) -> nn.Sequential:
    """The network at its best validation error; `blocks` are training rows with the weight of each."""
    torch.manual_seed(recipe.seed)
    sampler = Sampler(blocks, recipe.topology.encoding, recipe.sampling)
    state = _start(recipe, blocks)
    if resume and checkpoint and checkpoint.exists():
        _restore(state, checkpoint, recipe)
    losses: list[float] = []
    while state.step < recipe.steps:
        losses.append(_step(state, sampler, recipe))
        error = None
        if state.step % CHECK_EVERY == 0 or state.step == recipe.steps:
            error = _check(state, validation)
            if checkpoint:
                _save(state, checkpoint, recipe)
        if error is not None or state.step % 100 == 0:
            report(Progress(state.step, recipe.steps, float(np.mean(losses[-100:])), error))
    if state.best_weights is not None:
        state.network.load_state_dict(state.best_weights)
    return state.network.eval()


def _start(recipe: Recipe, blocks: list[tuple[Frames, float]]) -> _State:
    network = build(recipe.topology)
    if recipe.start_at_patterns:
        start_at_patterns(network, recipe.topology, [frames for frames, _ in blocks])
    log_temperature = nn.Parameter(torch.tensor(INITIAL_LOG_TEMPERATURE))
    optimiser = torch.optim.Adam([*network.parameters(), log_temperature], recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, recipe.steps))
    return _State(network, log_temperature, optimiser, schedule)


def start_at_patterns(network: nn.Sequential, topology: Topology, blocks: list[Frames]) -> None:
    """The first layer's units at mean bit patterns (of the newest frame), those of rare identifiers last."""
    if topology.encoding.kind != "bits":
        raise ValueError("only bits have patterns to start at; use the encoding 'bits' or a random start")
    frames = Frames.concatenate(blocks)
    frames = frames[frames.attack == Attack.BENIGN]
    identifiers, counts = np.unique(frames.identifier, return_counts=True)
    first = cast(nn.Parameter, network[1].weight)
    newest = topology.encoding.features - topology.encoding.frame_features
    with torch.no_grad():
        for unit, identifier in enumerate(identifiers[np.argsort(-counts, kind="stable")][: len(first)]):
            own = frames[frames.identifier == identifier]
            mean = topology.encoding.of_frames(own.identifier, own.data).mean(axis=0, dtype=np.float64)
            first[unit, :newest] *= 0.3
            first[unit, newest:] = torch.from_numpy(0.9 * (2 * mean - 1)).float()


def _step(state: _State, sampler: Sampler, recipe: Recipe) -> float:
    windows, classes = sampler.batch(recipe.seed, state.step)
    state.network.train()
    logits = state.network(torch.from_numpy(windows).float()) * state.log_temperature.exp()
    loss = functional.cross_entropy(logits, torch.from_numpy(classes))
    state.optimiser.zero_grad()
    loss.backward()
    state.optimiser.step()
    state.schedule.step()
    clamp_weights(state.network, recipe.topology)
    state.step += 1
    return float(loss.detach())


def predict(network: nn.Sequential, windows: np.ndarray, *, block: int = 8192) -> np.ndarray:
    """Logits as the network gives them."""
    network.eval()
    parts = [windows[row : row + block] for row in range(0, len(windows), block)]
    with torch.no_grad():
        return np.concatenate([network(torch.from_numpy(part).float()).numpy() for part in parts])


def _check(state: _State, validation: Validation) -> float:
    """Later weights win ties: the learning rate has fallen, and margins have grown."""
    verdicts = predict(state.network, validation.windows).argmax(axis=1)
    error = float((verdicts != validation.classes).mean())
    if error <= state.best_error:
        state.best_error = error
        state.best_weights = {name: value.clone() for name, value in state.network.state_dict().items()}
    return error


def _save(state: _State, path: Path, recipe: Recipe) -> None:
    content = {
        "recipe": repr(asdict(recipe)),
        "network": state.network.state_dict(),
        "log_temperature": state.log_temperature.detach(),
        "optimiser": state.optimiser.state_dict(),
        "schedule": state.schedule.state_dict(),
        "step": state.step,
        "best_error": state.best_error,
        "best_weights": state.best_weights,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    torch.save(content, partial)
    partial.replace(path)


def _restore(state: _State, path: Path, recipe: Recipe) -> None:
    content = torch.load(path, weights_only=True)
    if content["recipe"] != repr(asdict(recipe)):
        raise ValueError(
            f"the checkpoint {str(path)!r} is of another recipe than this run; give the options of the run "
            "that wrote it, or start anew without --resume"
        )
    state.network.load_state_dict(content["network"])
    state.log_temperature.data.copy_(content["log_temperature"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.schedule.load_state_dict(content["schedule"])
    state.step, state.best_error = content["step"], content["best_error"]
    state.best_weights = content["best_weights"]
