"""All that a board needs in one archive: bitstreams, host software as a wheel, models, an installer."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomllib

from hw.boards.board import Board
from hw.flow.bitfile import BitFile
from hw.flow.products import deliver, folder_of
from hw.flow.tools import FlowError
from hw.overlay.catalog import OVERLAYS
from hw.overlay.package import package

__all__ = ["Bundle", "make_bundle"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("host", "models")  #: what runs on a board
#: Of a wheel's content, what is no Python.
DATA = {"models.zoo": ["**/*"], "host.notebooks": ["*.ipynb"]}


@dataclass(frozen=True, kw_only=True)
class Bundle:
    path: Path
    files: tuple[str, ...]
    simulation_only: bool


def make_bundle(
    board: Board,
    overlays: Sequence[str] = (),
    *,
    simulation: bool = False,
    build_folder: Path | None = None,
) -> Bundle:
    """Pack `overlays`, or all that are built for `board`. With `simulation`, placeholders for bitstreams.

    The same sources give the same archive, byte for byte.
    """
    if board.flavour is None:
        raise FlowError(
            f"board {board.name} has no processor to install anything on; load its .bit with openFPGALoader"
        )
    files: dict[str, bytes] = {}
    for name in overlays or _built(board, simulation, build_folder):
        files |= _overlay_files(board, name, simulation, build_folder)
    wheel = _host_wheel()
    files |= {
        f"wheels/{wheel[0]}": wheel[1],
        "install.sh": (Path(__file__).parent / "install.sh").read_bytes(),
    }
    for model in sorted((ROOT / "models" / "zoo").glob("*.*")):
        if model.suffix in (".onnx", ".json", ".md"):
            files[f"models/{model.name}"] = model.read_bytes()
    environment = f"BUNDLE_BOARD={board.name}\nBUNDLE_SIMULATION_ONLY={int(simulation)}\n"
    files["bundle.env"] = environment.encode()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    files["SHA256SUMS"] = sums.encode()
    stem = f"colonnade-{_project()['version']}-{board.name}{'-simulation-only' if simulation else ''}"
    folder = (build_folder or Path("build")) / "bundles"
    deliver(folder, {f"{stem}.tar.gz": _archive(stem, files)})
    return Bundle(path=folder / f"{stem}.tar.gz", files=tuple(sorted(files)), simulation_only=simulation)


def _built(board: Board, simulation: bool, build_folder: Path | None) -> list[str]:
    if simulation:
        return list(OVERLAYS)
    folder = folder_of(board, build=build_folder)
    names = sorted(path.stem for path in folder.glob("*.bit"))
    if not names:
        raise FlowError(
            f"there is no bitstream for board {board.name} in {folder}: make one with "
            f"make bitstream BOARD={board.name} OVERLAY=<name>, or pack placeholders with --simulation"
        )
    return names


def _overlay_files(board: Board, name: str, simulation: bool, build_folder: Path | None) -> dict[str, bytes]:
    if name not in OVERLAYS:
        raise FlowError(f"there is no overlay {name!r}; there are {', '.join(OVERLAYS)}")
    if simulation:
        with tempfile.TemporaryDirectory() as scratch:
            package(OVERLAYS[name]()).write(Path(scratch), board.flavour or "", clock_mhz=board.clock_mhz)
            return _read(Path(scratch), name)
    folder = folder_of(board, build=build_folder)
    if not (folder / f"{name}.bit").is_file() or not (folder / f"{name}.hwh").is_file():
        raise FlowError(
            f"{folder} lacks {name}.bit or {name}.hwh: make bitstream BOARD={board.name} OVERLAY={name}"
        )
    files = _read(folder, name)
    # Refuses a placeholder, and a file that a copy cut short.
    BitFile.parse(files[f"overlays/{name}.bit"], name=str(folder / f"{name}.bit"))
    return files


def _read(folder: Path, name: str) -> dict[str, bytes]:
    return {f"overlays/{name}.{kind}": (folder / f"{name}.{kind}").read_bytes() for kind in ("hwh", "bit")}


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _host_wheel() -> tuple[str, bytes]:
    """A wheel of host/ and models/ alone: it needs no gateware tools, so it installs on a board."""
    project = _project()
    description = {
        "name": "colonnade-host",
        "version": project["version"],
        "description": "What runs on the board: drivers, pipelines and models of Colonnade",
        "requires-python": project["requires-python"],
        "dependencies": project["dependencies"],
    }
    lines = [
        "[build-system]",
        'requires = ["setuptools"]',
        'build-backend = "setuptools.build_meta"',
        "[project]",
    ]
    lines += [f"{key} = {json.dumps(value)}" for key, value in description.items()]
    # Where `pynq get-notebooks` looks, which copies them to the board's Jupyter.
    lines += ['[project.entry-points."pynq.notebooks"]', 'colonnade = "host.notebooks"']
    lines += ["[tool.setuptools.packages.find]", f"include = {json.dumps([f'{p}*' for p in PACKAGES])}"]
    lines += [
        "[tool.setuptools.package-data]",
        *(f'"{key}" = {json.dumps(value)}' for key, value in DATA.items()),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch)
        for name in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__", "*.partial")
            shutil.copytree(ROOT / name, stage / name, ignore=ignored)
        (stage / "pyproject.toml").write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
        command += ["--disable-pip-version-check", "--no-build-isolation", "--wheel-dir", "out", "."]
        # Dates in the wheel's archive come from here.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
        done = subprocess.run(command, cwd=stage, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise FlowError(
                f"the wheel of the host software could not be built: {done.stderr.strip()[-500:]}"
            )
        (wheel,) = (stage / "out").glob("*.whl")
        return wheel.name, wheel.read_bytes()


def _archive(stem: str, files: dict[str, bytes]) -> bytes:
    """A .tar.gz without dates and owners."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{stem}/{name}")
            entry.size, entry.mode = len(content), 0o755 if name == "install.sh" else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
