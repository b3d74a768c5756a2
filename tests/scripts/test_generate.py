"""The verb `generate`."""

import typer
from typer.testing import CliRunner

from models.can_ids.frames import Attack
from models.can_ids.readers import read
from scripts.generate import command

app = typer.Typer()
app.command()(command)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_drive_with_attacks_is_written_with_its_labels(tmp_path):
    out = tmp_path / "drive.csv.gz"
    result = run("can", "--seconds", 10, "--attacks", "dos,fuzzing", "--out", out)
    assert result.exit_code == 0
    attacks = read(out).frames.attack
    assert set(attacks.tolist()) == {Attack.BENIGN, Attack.DOS, Attack.FUZZING}
    assert f"{(attacks == Attack.DOS).sum():,}" in result.output


def test_a_log_says_that_it_lost_the_labels(tmp_path):
    out = tmp_path / "drive.log"
    result = run("can", "--vehicle", 4, "--seconds", 5, "--attacks", "dos", "--out", out)
    assert "has no labels: write a .csv" in result.output
    assert read(out).frames.extended.any()


def test_attacks_go_into_a_capture_of_ones_own(tmp_path):
    own, out = tmp_path / "own.log", tmp_path / "out.csv"
    run("can", "--seconds", 10, "--out", own)
    assert run("can", "--capture", own, "--attacks", "spoofing", "--out", out).exit_code == 0
    frames = read(out).frames
    assert (frames.attack == Attack.BENIGN).sum() == len(read(own).frames)
    assert (frames.attack == Attack.SPOOFING).any()


def test_mistakes_are_explained(tmp_path):
    for arguments, message in [
        (["can", "--out", tmp_path / "drive.pcap"], "must end in .csv or .log"),
        (["can", "--vehicle", 9, "--out", tmp_path / "drive.log"], "no vehicle 9"),
        (["can", "--capture", tmp_path / "gone.log", "--out", tmp_path / "x.csv"], "no capture file"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1
        assert message in " ".join(result.output.split())
    assert list(tmp_path.iterdir()) == []
    assert run("tiles").exit_code == 2
