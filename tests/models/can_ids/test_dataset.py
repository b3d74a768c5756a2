"""Captures as models see them."""

import pytest

from models.can_ids.dataset import load


def test_frames_that_cannot_be_judged_are_left_out_and_counted(tmp_path):
    log = tmp_path / "mixed.log"
    log.write_text("(1.0) can0 123#00\n(1.1) can0 18FEF100#00\n(1.2) can0 124#R\n(1.3) can0 125#0102\n")
    capture = load("mixed", log)
    assert capture.frames.identifier.tolist() == [0x123, 0x125]
    assert capture.excluded == 2


def test_a_missing_data_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder 'can'"):
        load("any", "carhacking_hcrl/any", data=tmp_path)
