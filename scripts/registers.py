"""`colonnade registers`: the register tables of the overlays, from the objects that make their gateware."""

from __future__ import annotations

from pathlib import Path

import typer

PAGE = Path(__file__).parents[1] / "docs" / "registers.md"
HEAD = "# Registers\n\nMade by `colonnade registers --write` from the maps that the gateware is made of.\n"


def page() -> str:
    """The whole docs page."""
    from hw.overlay.catalog import OVERLAYS

    parts = [HEAD]
    for name, make in OVERLAYS.items():
        parts.append(f"## {name}\n\n{make().description.register_map.markdown()}")
    return "\n".join(parts)


def command(
    write: bool = typer.Option(False, "--write", help="Write docs/registers.md instead of printing it."),
) -> None:
    """Print the registers of every overlay: offset, bits, access, reset value and meaning.

    Example: `colonnade registers --write`
    """
    from rich.console import Console
    from rich.markdown import Markdown

    if write:
        PAGE.write_text(page())
    else:
        Console().print(Markdown(page()))
