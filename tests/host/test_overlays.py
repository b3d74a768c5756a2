import pytest

from host.overlays import VARIABLE, bitfile


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("BOARD", raising=False)


def put(folder, name="copy"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bit").touch()
    return str((folder / f"{name}.bit").resolve())


def test_the_folder_that_is_named_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("BOARD", "ZCU104")
    built = put(tmp_path / "build" / "overlays" / "ZCU104")
    assert bitfile("copy") == built
    named = put(tmp_path / "named")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "named"))
    assert bitfile("copy") == named


def test_the_builds_of_another_board_are_not_taken(tmp_path, monkeypatch):
    put(tmp_path / "build" / "overlays" / "ZCU104")
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    with pytest.raises(FileNotFoundError, match="no bitstream of overlay 'copy'"):
        bitfile("copy")


def test_a_missing_bitstream_says_where_it_was_looked_for_and_what_to_do(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/somewhere")
    with pytest.raises(
        FileNotFoundError, match=r"(?s)/somewhere/eye\.bit.*colonnade simulate .* --overlay eye"
    ):
        bitfile("eye")
