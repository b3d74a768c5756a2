import errno
import json
import os

import pytest

from hw.boards.catalog import board_named
from hw.flow.products import deliver, folder_of, netlist_hash
from hw.flow.tools import FlowError


def test_products_lie_where_hosts_look(tmp_path, monkeypatch):
    from host.overlays import bitfile

    board = board_named("PYNQ-Z2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    monkeypatch.delenv("COLONNADE_OVERLAYS", raising=False)
    deliver(folder_of(board), {"copy.hwh": b"x", "copy.bit": b"y"})
    assert bitfile("copy") == str((tmp_path / "build/overlays/Pynq-Z2/copy.bit").resolve())


def test_a_full_disk_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    deliver(tmp_path, {"copy.hwh": b"old", "copy.bit": b"old"})
    real, written = os.fdopen, []

    def fdopen(*arguments):
        if written:
            os.close(arguments[0])
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(os, "fdopen", fdopen)
    with pytest.raises(
        FlowError, match=r"no space left on the disk of .*: copy\.bit was not written; make room"
    ):
        deliver(tmp_path, {"copy.hwh": b"new", "copy.bit": b"new"})
    assert [path.name for path in tmp_path.iterdir()] == ["copy.hwh"]


def _netlist(path, *, source, cell="LUT4", creator="yosys 1"):
    module = {
        "attributes": {"src": source, "top": "1"},
        "cells": {"a": {"type": cell, "attributes": {"src": source}}},
        "netnames": {"n": {"bits": [2], "attributes": {"src": source}}},
    }
    path.write_text(json.dumps({"creator": creator, "modules": {"top": module}}))
    return netlist_hash(path)


def test_the_hash_is_of_the_netlist_and_not_of_where_it_came_from(tmp_path):
    path = tmp_path / "top.json"
    first = _netlist(path, source="/home/a/x.py:3")
    assert _netlist(path, source="/home/b/x.py:7", creator="yosys 2") == first
    assert _netlist(path, source="/home/a/x.py:3", cell="LUT3") != first
