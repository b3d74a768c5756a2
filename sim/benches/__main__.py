"""`python -m sim.benches [NAME...]`: run the cocotb benches whose names begin so, or all of them."""

import shutil
import sys
from time import perf_counter

from rich.console import Console

from sim.benches.runner import discover


def main(wanted: list[str]) -> int:
    """Run, print a line a bench, return how many failed. The folders of failed runs stay for a look."""
    console = Console()
    failures = 0
    for bench in discover():
        if wanted and not bench.name.startswith(tuple(wanted)):
            continue
        start = perf_counter()
        try:
            folder = bench.run()
        except (AssertionError, RuntimeError) as error:
            failures += 1
            console.print(f"[red]failed[/red] {bench.name}")
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        else:
            console.print(f"passed {bench.name} ({perf_counter() - start:.1f} s)")
            shutil.rmtree(folder)
    return failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
