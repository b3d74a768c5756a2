"""The joint search for encoding, window, widths, depth and bits: little error, little hardware. Needs torch.

Any number of workers, on one machine or on several that share a folder, append to one journal; each trial is
seeded by its number. Errors are of short trainings, good for comparing topologies and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from models.can_ids.cost import cost
from models.can_ids.features import Encoding
from models.can_ids.material import Material
from models.can_ids.recipes import Recipe
from models.can_ids.sampling import Sampling
from models.can_ids.topology import Topology
from models.can_ids.training import Validation, train

__all__ = ["Point", "open_study", "points", "search", "suggest"]

STUDY = "can_ids"
WIDTHS = (12, 16, 24, 32, 48, 64, 96)
#: Random trials of each worker before the sampler learns from the journal.
STARTUP_TRIALS = 12


@dataclass(frozen=True)
class Point:
    """A finished trial."""

    number: int
    topology: Topology
    error: float  #: share of validation frames judged wrongly
    luts: float  #: modelled, unrolled


def open_study(journal: Path, *, seed: int = 0) -> optuna.Study:
    """The study in a journal file, made if it is not there."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend(str(journal))),
        directions=["minimize", "minimize"],
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS),
        load_if_exists=True,
    )


def search(
    study: optuna.Study,
    material: Material,
    *,
    trials: int,
    steps: int,
    report: Callable[[Point], None] = lambda _: None,
) -> None:
    """Add `trials` trials of `steps` batches each to the study."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        recipe = Recipe(
            name=f"trial_{trial.number}",
            topology=suggest(trial),
            sampling=Sampling(batch=1024),
            steps=steps,
            seed=trial.number,
        )
        recipe = recipe.replace(start_at_patterns=recipe.topology.encoding.kind == "bits")
        validation = Validation(*material.validation(recipe))
        error = 1.0

        def keep(progress: object) -> None:
            nonlocal error
            error = min(error, getattr(progress, "error", None) or error)

        train(recipe, material.training(recipe), validation, report=keep)
        luts = cost(recipe.topology).luts
        report(Point(trial.number, recipe.topology, error, luts))
        return error, luts

    study.optimize(objective, n_trials=trials)


def suggest(trial: optuna.trial.BaseTrial) -> Topology:
    """The topology of a trial: drawn when it runs, read back when it has run."""
    kind = trial.suggest_categorical("encoding", ["bits", "bytes"])
    window = trial.suggest_categorical("window", [1, 2, 4])
    depth = trial.suggest_int("depth", 1, 3)
    hidden = tuple(trial.suggest_categorical(f"width_{layer}", WIDTHS) for layer in range(depth))
    return Topology(
        encoding=Encoding(kind=kind, window=window),
        hidden=hidden,
        weight_bits=trial.suggest_int("weight_bits", 2, 4),
        activation_bits=trial.suggest_int("activation_bits", 1, 4),
    )


def points(study: optuna.Study) -> tuple[list[Point], list[int]]:
    """All finished trials by number, and the places of those that no other beats in both objectives."""
    finished = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    found = [
        Point(trial.number, suggest(optuna.trial.FixedTrial(trial.params, trial.number)), *trial.values)
        for trial in finished
    ]
    return found, front(found)


def front(found: Sequence[Point]) -> list[int]:
    """Places of the points than which none is at least as good in both and better in one."""

    def beaten(point: Point) -> bool:
        return any(
            other.error <= point.error
            and other.luts <= point.luts
            and (other.error, other.luts) != (point.error, point.luts)
            for other in found
        )

    return [place for place, point in enumerate(found) if not beaten(point)]
