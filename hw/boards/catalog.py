"""Every board that there are flows for, by name."""

import difflib

from hw.boards.board import Board
from hw.boards.kv260 import KV260
from hw.boards.pynq_z2 import PYNQ_Z2
from hw.boards.ultra96_v2 import ULTRA96_V2
from hw.boards.ulx3s import ULX3S_85F
from hw.boards.zcu104 import ZCU104

__all__ = ["BOARDS", "board_named"]

BOARDS = (PYNQ_Z2, ZCU104, KV260, ULTRA96_V2, ULX3S_85F)

#: What else people call them.
_ALIASES = {"ultra96v2": ULTRA96_V2, "ulx3s85f": ULX3S_85F, "pynqz2": PYNQ_Z2, "z2": PYNQ_Z2}


def board_named(name: str) -> Board:
    """The board; capitals, dashes and underscores do not matter."""
    wanted = "".join(letter for letter in name.lower() if letter.isalnum())
    known = {board.slug: board for board in BOARDS} | _ALIASES
    if wanted in known:
        return known[wanted]
    close = difflib.get_close_matches(wanted, known, n=1)
    hint = f" Did you mean {known[close[0]].name}?" if close else ""
    raise ValueError(
        f"there is no board {name!r}; there are {', '.join(board.name for board in BOARDS)}.{hint} "
        "A new one is a file in hw/boards"
    )
