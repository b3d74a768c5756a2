"""`colonnade boards`: what can be built for, and what is installed for it."""

from __future__ import annotations


def command() -> None:
    """List boards, parts, flows, and what each flow needs.

    Example: `colonnade boards`
    """
    from rich.console import Console
    from rich.table import Table

    from hw.boards.catalog import BOARDS
    from hw.flow.bitstream import missing, tools_of

    table = Table("board", "part", "flow", "needs", "installed", title="Boards")
    for board in BOARDS:
        for index, flow in enumerate(board.flows):
            absent = missing(flow)
            table.add_row(
                board.name if index == 0 else "",
                board.part if index == 0 else "",
                flow.value,
                ", ".join(tool.name for tool in tools_of(flow)),
                "[red]without " + ", ".join(absent) + "[/red]" if absent else "[green]yes[/green]",
            )
        table.add_section()
    console = Console()
    console.print(table)
    for board in BOARDS:
        console.print(f"{board.name}: {board.note}", style="dim", highlight=False)
        for pin in board.pins:
            if not pin.port.startswith("leds"):
                console.print(
                    f"  {pin.port}: {pin.where}, ball {pin.ball}, {pin.standard}",
                    style="dim",
                    highlight=False,
                )
    console.print("build: make bitstream BOARD=<name> OVERLAY=<name>")
