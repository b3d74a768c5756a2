"""The search: workers share a journal, trials can be read back, and the front is the front."""

import pytest

from models.can_ids.cost import cost
from models.can_ids.features import Encoding
from models.can_ids.material import from_generator
from models.can_ids.search import Point, front, open_study, points, search
from models.can_ids.topology import Topology

ANY = Topology(encoding=Encoding(kind="bits", window=1), hidden=(4,))


def test_the_front_holds_what_no_other_beats():
    pairs = [(0.5, 10), (0.1, 50), (0.3, 20), (0.3, 30), (0.6, 10), (0.1, 50), (0.05, 90)]
    found = [Point(number, ANY, error, luts) for number, (error, luts) in enumerate(pairs)]
    assert front(found) == [0, 1, 2, 5, 6]


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "can_ids.journal"
    material = from_generator(seconds=10, drives=1)
    for worker in range(2):  # each opens the journal anew, as another process would
        search(open_study(path, seed=worker), material, trials=2, steps=3)
    return path


def test_workers_add_to_one_study(journal):
    found, best = points(open_study(journal))
    assert [point.number for point in found] == [0, 1, 2, 3]
    assert best
    assert all(0 < point.error <= 1 for point in found)


def test_a_topology_is_read_back_as_it_was_costed(journal):
    found, _ = points(open_study(journal))
    assert [point.luts for point in found] == [cost(point.topology).luts for point in found]
