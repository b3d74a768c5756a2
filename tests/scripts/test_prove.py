import typer
from typer.testing import CliRunner

from scripts import prove
from sim.proofs.runner import Verdict

app = typer.Typer()
app.command()(prove.command)


def test_an_unknown_unit_lists_the_known_ones():
    result = CliRunner().invoke(app, ["--units", "perpetuum"], env={"COLUMNS": "400"})
    assert result.exit_code == 2
    assert "no proof is named like 'perpetuum'" in result.output
    assert "SkidBuffer" in result.output


def test_a_failure_is_an_exit_code_and_a_trace(monkeypatch, tmp_path):
    def fails(proof, **_):
        return Verdict(proof.unit, proof.depth, 1.0, "an item was lost", tmp_path / "trace.vcd")

    monkeypatch.setattr("sim.proofs.runner.prove", fails)
    result = CliRunner().invoke(app, ["--units", "SkidBuffer"], env={"COLUMNS": "400"})
    assert result.exit_code == 1
    assert "an item was lost; counterexample: " in result.output
    assert "trace.vcd" in result.output


def test_the_page_gets_the_table_between_its_markers(tmp_path):
    page = tmp_path / "proofs.md"
    page.write_text("before\n<!-- proofs -->\nold\n<!-- end of proofs -->\nafter\n")
    prove._refresh(page, [Verdict("a unit", 12, 3.4)])
    assert page.read_text().splitlines()[4] == "| a unit | 12 | 3 | proven |"
    assert "old" not in page.read_text()
    assert page.read_text().endswith("<!-- end of proofs -->\nafter\n")
