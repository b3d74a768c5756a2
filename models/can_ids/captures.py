"""Where the captures are, which this project does not ship: in COLONNADE_DATA, or beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["DATA_VARIABLE", "capture_path", "captures_folder", "data_folder"]

DATA_VARIABLE = "COLONNADE_DATA"
BESIDE_REPOSITORY = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SUFFIXES = ("", ".csv.gz", ".log.gz", ".candump_no_ts.log.gz")


def data_folder(given: str | Path | None = None) -> Path:
    """The data folder: the one given, else COLONNADE_DATA, else ../shared/data beside the repository."""
    folder = Path(given or os.environ.get(DATA_VARIABLE) or BESIDE_REPOSITORY)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no data folder {str(folder)!r}; set {DATA_VARIABLE} or give --data. "
            "Without captures, `colonnade generate can` makes traffic."
        )
    return folder


def captures_folder(given: str | Path | None = None) -> Path:
    """The folder of CAN captures in the data folder."""
    folder = data_folder(given) / "can"
    if not folder.is_dir():
        raise FileNotFoundError(f"the data folder {str(folder.parent)!r} has no folder 'can' with captures")
    return folder


def capture_path(name: str, given: str | Path | None = None) -> Path:
    """The file of a capture such as `carhacking_hcrl/normal_run_data_decoded`, suffix or not."""
    folder = captures_folder(given)
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    there = sorted(path.name for path in (folder / name).parent.glob("*.gz"))
    raise FileNotFoundError(f"there is no capture {name!r} in {str(folder)!r}; beside it: {there!r}")
