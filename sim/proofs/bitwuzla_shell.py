"""The command-line program that the bitwuzla wheel lacks: SMT-LIB on standard input, answers on output.

`yosys-smtbmc` starts it as `bitwuzla` and talks to it one statement at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import bitwuzla

__all__ = ["main", "statements"]


def statements(lines: Iterable[str]) -> Iterator[str]:
    """The statements of a script, each as soon as its last bracket is closed."""
    pending: list[str] = []
    depth = 0
    for line in lines:
        # The names between bars may hold brackets and semicolons.
        plain = "".join(line.split("|")[::2]).split(";")[0]
        if not plain.strip():
            continue
        pending.append(line if "|" in line else plain)
        depth += plain.count("(") - plain.count(")")
        if depth == 0:
            yield " ".join(pending).strip()
            pending.clear()


def main() -> None:
    if "--help" in sys.argv:
        # smtbmc asks for this text, and takes the option to mean bitwuzla 0.3 or later.
        sys.stdout.write("usage: bitwuzla --lang smt2 < script.smt2\n")
        return
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.PRODUCE_MODELS, True)
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
    for statement in statements(sys.stdin):
        if statement == "(exit)":
            return
        # The parser forgets between calls what was pushed; the solver behind it does not.
        if statement == "(push 1)":
            parser.bitwuzla().push(1)
        elif statement == "(pop 1)":
            parser.bitwuzla().pop(1)
        else:
            parser.parse(statement, False, False)


if __name__ == "__main__":
    main()
