"""The `colonnade` program: one thin verb a module of this folder."""

from importlib import import_module

import typer

#: Verbs in the order in which a newcomer meets them. Each module defines `command` and keeps heavy imports
#: inside it, so that `colonnade --help` answers at once.
VERBS = (
    "demo",
    "copy",
    "verify",
    "area",
    "soak",
    "ids",
    "serve",
    "detect",
    "simulate",
    "bench",
    "prove",
    "registers",
    "generate",
    "train",
    "search",
    "evaluate",
    "show",
    "boards",
    "bitstream",
    "compile",
    "tile",
    "resources",
    "bundle",
    "figures",
    "report",
)

HELP = """Neural networks on FPGAs, simulated and built: CAN intrusion detection and object detection.

`colonnade VERB --help` has an example of each verb; `colonnade demo` shows most of them at work.
"""

app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP, rich_markup_mode="markdown")
for verb in VERBS:
    app.command(verb)(import_module(f"scripts.{verb}").command)

if __name__ == "__main__":
    app()
