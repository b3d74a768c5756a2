"""Where the bitstreams lie: the same question on a board, beside a build, and in simulation."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["bitfile"]

VARIABLE = "COLONNADE_OVERLAYS"
BUILT = Path("build") / "overlays"
INSTALLED = Path("/usr/local/share/colonnade/overlays")


def bitfile(name: str) -> str:
    """The path of <name>.bit, for `pynq.Overlay`.

    It is looked for in the folder that the environment variable COLONNADE_OVERLAYS names, then in
    ./build/overlays/<board> (the board as PYNQ images name it in BOARD), then where a board keeps what was
    installed.
    """
    candidates = [folder / f"{name}.bit" for folder in _folders()]
    for path in candidates:
        if path.is_file():
            return str(path.resolve())
    looked = "\n".join(f"  {path}" for path in candidates)
    raise FileNotFoundError(
        f"there is no bitstream of overlay {name!r}. Looked for:\n{looked}\n"
        f"Copy {name}.bit and {name}.hwh there, set {VARIABLE} to their folder, or run this host program "
        f"without a board: colonnade simulate <script> --overlay {name}"
    )


def _folders() -> list[Path]:
    given = os.environ.get(VARIABLE)
    board = os.environ.get("BOARD")
    return [*([Path(given)] if given else []), *([BUILT / board] if board else []), INSTALLED]
