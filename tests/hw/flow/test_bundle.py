"""The archive for a board, and its installer with a stand-in for the board's Python."""

import hashlib
import io
import os
import subprocess
import tarfile
import zipfile

import pytest

from hw.boards.catalog import board_named
from hw.flow import bundle as bundle_module
from hw.flow.bitfile import BitFile
from hw.flow.bundle import make_bundle
from hw.flow.products import deliver, folder_of
from hw.flow.tools import FlowError
from hw.overlay.package import dummy_bitstream

BOARD = board_named("pynq-z2")
BIT = BitFile(
    design="copy", part="xc7z020clg400-1", date="d", time="t", body=bytes.fromhex("ffffffffaa995566")
).to_bytes()


@pytest.fixture(scope="module")
def wheel():
    return bundle_module._host_wheel()


@pytest.fixture(autouse=True)
def built_once(wheel, monkeypatch):
    monkeypatch.setattr(bundle_module, "_host_wheel", lambda: wheel)


@pytest.fixture
def built(tmp_path):
    deliver(folder_of(BOARD, build=tmp_path), {"copy.hwh": b"<hwh/>", "copy.bit": BIT})
    return tmp_path


def unpack(bundle, folder):
    with tarfile.open(bundle.path) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


def test_the_wheel_holds_host_and_models_alone(wheel, tmp_path):
    name, content = wheel
    assert name.startswith("colonnade_host-")
    path = tmp_path / name
    path.write_bytes(content)
    names = zipfile.ZipFile(path).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"host", "models"}
    assert {"host/demos/copy.py", "models/zoo/can_ids_ours.onnx"} <= set(names)


def test_the_notebooks_are_where_pynq_get_notebooks_looks(wheel):
    with zipfile.ZipFile(io.BytesIO(wheel[1])) as archive:
        names = archive.namelist()
        (entries,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "[pynq.notebooks]\ncolonnade = host.notebooks" in entries
    committed = {path.name for path in (bundle_module.ROOT / "host" / "notebooks").glob("*.ipynb")}
    assert committed
    assert {name.removeprefix("host/notebooks/") for name in names if name.endswith(".ipynb")} == committed


def test_what_is_built_is_packed_and_summed(built, tmp_path):
    bundle = make_bundle(BOARD, build_folder=built)
    unpacked = unpack(bundle, tmp_path / "out")
    assert (unpacked / "overlays" / "copy.bit").read_bytes() == BIT
    assert (unpacked / "models" / "can_ids_ours.onnx").is_file()
    for line in (unpacked / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((unpacked / name).read_bytes()).hexdigest() == digest
    assert not bundle.simulation_only
    first = bundle.path.read_bytes()
    assert make_bundle(BOARD, build_folder=built).path.read_bytes() == first


def test_without_a_bitstream_there_is_no_bundle(tmp_path):
    with pytest.raises(FlowError, match=r"no bitstream for board Pynq-Z2 .*make bitstream BOARD=Pynq-Z2"):
        make_bundle(BOARD, build_folder=tmp_path)
    with pytest.raises(
        FlowError, match=r"lacks ids\.bit or ids\.hwh: make bitstream BOARD=Pynq-Z2 OVERLAY=ids"
    ):
        make_bundle(BOARD, ["ids"], build_folder=tmp_path)
    with pytest.raises(FlowError, match="there is no overlay 'gone'; there are copy"):
        make_bundle(BOARD, ["gone"], build_folder=tmp_path)
    assert not (tmp_path / "bundles").exists()


@pytest.mark.parametrize("content", [dummy_bitstream(name="copy", digest="0"), BIT[:-3], b""])
def test_a_placeholder_or_half_a_file_is_refused(content, built):
    deliver(folder_of(BOARD, build=built), {"copy.hwh": b"<hwh/>", "copy.bit": content})
    with pytest.raises(FlowError, match=r"copy\.bit (is no \.bit file|holds no configuration|has .* bytes)"):
        make_bundle(BOARD, build_folder=built)


def test_a_board_without_a_processor_has_none(tmp_path):
    with pytest.raises(FlowError, match=r"board ULX3S has no processor .* openFPGALoader"):
        make_bundle(board_named("ulx3s"), build_folder=tmp_path)


@pytest.fixture
def installer(built, tmp_path):
    """Run install.sh with a Python that says which pynq it has and notes what pip was asked for."""
    unpacked = unpack(make_bundle(BOARD, build_folder=built), tmp_path / "out")
    return lambda **options: install(unpacked, tmp_path, **options)


def install(unpacked, scratch, *, pynq="3.0.1", machine="armv7l", board="Pynq-Z2", pip="true"):
    tools = scratch / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uname").write_text(f"#!/bin/sh\necho {machine}\n")
    (tools / "python").write_text(
        f'#!/bin/sh\ncase "$1" in -c) [ -n "{pynq}" ] && echo {pynq};; '
        f'-m) echo "$@" >> {scratch}/pip; {pip};; esac\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "BOARD": board,
        "COLONNADE_PYTHON": str(tools / "python"),
        "COLONNADE_PREFIX": str(scratch / "prefix"),
    }
    command = ["sh", str(unpacked / "install.sh")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=scratch)


@pytest.mark.parametrize("pynq", ["3.0.1", "3.1", "3.1.2", "4.0.0"])
def test_it_installs_on_every_image(installer, tmp_path, pynq):
    done = installer(pynq=pynq)
    assert done.returncode == 0, done.stderr
    assert f"installed for Pynq-Z2 with pynq {pynq}" in done.stdout
    assert sorted(path.name for path in (tmp_path / "prefix" / "overlays").iterdir()) == [
        "copy.bit",
        "copy.hwh",
    ]
    calls = (tmp_path / "pip").read_text().splitlines()
    assert [call.startswith("-m pip install") and ".whl" in call for call in calls] == [True, True]
    assert "--no-deps --force-reinstall" in calls[0]
    assert installer(pynq=pynq).returncode == 0, "again, over what is there"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"pynq": "2.7.0"}, "pynq 2.7.0 is not one of 3.0.1, 3.1 and 4.0"),
        ({"pynq": "3.1.1"}, "pynq 3.1.1 is not one of"),
        ({"pynq": ""}, "has no pynq: name the image's Python in COLONNADE_PYTHON"),
        ({"board": "ZCU104"}, "this bundle is for the board Pynq-Z2, and this is ZCU104"),
        ({"pip": "exit 1"}, "pip could not install the host software"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_installed(installer, tmp_path, options, complaint):
    done = installer(**options)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert not (tmp_path / "prefix").exists()


def test_a_damaged_file_is_found(built, tmp_path):
    unpacked = unpack(make_bundle(BOARD, build_folder=built), tmp_path / "out")
    (unpacked / "overlays" / "copy.bit").write_bytes(BIT + b"x")
    done = install(unpacked, tmp_path)
    assert done.returncode == 1
    assert "a file is damaged; copy the bundle again" in done.stderr


def test_placeholders_are_marked_and_never_installed_on_a_board(tmp_path):
    bundle = make_bundle(BOARD, ["copy"], simulation=True, build_folder=tmp_path)
    assert bundle.path.name.endswith("-Pynq-Z2-simulation-only.tar.gz")
    unpacked = unpack(bundle, tmp_path / "out")
    assert b"simulation only" in (unpacked / "overlays" / "copy.bit").read_bytes()
    done = install(unpacked, tmp_path, machine="armv7l")
    assert done.returncode == 1
    assert "this bundle holds no bitstreams" in done.stderr
    assert install(unpacked, tmp_path, machine="x86_64").returncode == 0
