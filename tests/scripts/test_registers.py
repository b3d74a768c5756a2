"""The committed page of registers is the one that the overlays make."""

from scripts import registers


def test_the_docs_page_is_current():
    assert registers.PAGE.read_text() == registers.page(), "run: colonnade registers --write"
