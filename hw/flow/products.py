"""Where builds and their logs lie, and how files get there whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hw.boards.board import Board
from hw.flow.tools import FlowError

__all__ = ["BUILD", "deliver", "folder_of", "log_of", "netlist_hash"]

#: As `host.overlays` expects it below the working folder.
BUILD = Path("build")


def folder_of(board: Board, *, build: Path | None = None) -> Path:
    """The folder with <overlay>.bit and <overlay>.hwh of a board."""
    return (build or BUILD) / "overlays" / board.name


def log_of(board: Board, overlay: str, step: str, *, build: Path | None = None) -> Path:
    return ((build or BUILD) / "logs" / f"{board.name}-{overlay}" / f"{step}.log").absolute()


def deliver(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files`, each whole or not at all, in the order given: the one that proves the rest goes last.

    What a former build left under these names is removed first, so that no old .bit stands beside a new .hwh.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        try:
            _write_whole(folder / name, content)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise FlowError(
                    f"no space left on the disk of {folder}: {name} was not written; make room and "
                    "run the same command again, which goes on from what is built"
                ) from error
            raise


def _write_whole(path: Path, content: bytes) -> None:
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def netlist_hash(netlist: Path) -> str:
    """The hash of what a yosys JSON netlist says, without who wrote it and from which lines."""
    design = json.loads(netlist.read_text())
    design.pop("creator", None)
    for module in design["modules"].values():
        for group in ("cells", "netnames", "memories"):
            for item in module.get(group, {}).values():
                item.get("attributes", {}).pop("src", None)
        module.get("attributes", {}).pop("src", None)
    return hashlib.sha256(json.dumps(design, sort_keys=True).encode()).hexdigest()
