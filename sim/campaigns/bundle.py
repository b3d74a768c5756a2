"""A deployment bundle, installed as on a board and then used: its host software, on the simulated board.

Run this by path, with the Python of an environment that has what a board has, and the gateware tools:
`<environment>/bin/python -I sim/campaigns/bundle.py <bundle.tar.gz>`. The repository comes last on the path,
so that `host` and `models` are those of the bundle's wheel, and only the simulation is from here.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install(bundle: Path, scratch: Path) -> Path:
    """Unpack and install; the folder with the overlays."""
    with tarfile.open(bundle) as archive:
        archive.extractall(scratch)
    (unpacked,) = scratch.iterdir()
    prefix = scratch / "prefix"
    environment = {**os.environ, "COLONNADE_PYTHON": sys.executable, "COLONNADE_PREFIX": str(prefix)}
    subprocess.run(["sh", str(unpacked / "install.sh")], check=True, env=environment)
    return prefix / "overlays"


def run_demos(overlays: Path) -> list[str]:
    """Each overlay's demo, from the installed wheel, with the installed .hwh."""
    sys.path.append(str(ROOT))
    import host

    if Path(host.__file__).is_relative_to(ROOT / "host"):
        raise SystemExit(f"the host software of {ROOT} was found and not that of the wheel")
    from sim.board import simulated_board

    done = []
    for bitstream in sorted(overlays.glob("*.bit")):
        demo = Path(host.__file__).parent / "demos" / f"{bitstream.stem}.py"
        if not demo.is_file():
            continue
        with simulated_board(bitstream.stem):
            os.environ["COLONNADE_OVERLAYS"] = str(overlays)
            sys.argv = [str(demo)]
            runpy.run_path(str(demo), run_name="__main__")
        done.append(bitstream.stem)
    return done


if __name__ == "__main__":
    bundle = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        demos = run_demos(install(bundle, Path(folder)))
    if not demos:
        raise SystemExit("the bundle holds no overlay with a demo")
    sys.stdout.write(f"installed from {bundle.name}, demos run: {', '.join(demos)}\n")
