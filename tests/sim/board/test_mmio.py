import numpy as np
import pytest

from sim.board.mmio import TrapArray


class Bus(dict):
    """Registers that note who was asked."""

    def __init__(self):
        super().__init__()
        self.log = []

    def read_word(self, address):
        self.log.append(("read", address))
        return self.get(address, 0)

    def write_word(self, address, value):
        self.log.append(("write", address))
        self[address] = value


@pytest.fixture
def bus():
    return Bus()


@pytest.fixture
def array(bus):
    return TrapArray(bus, 0x100, 8)


def test_an_element_is_an_access(bus, array):
    array[2] = 7
    assert array[2] == 7
    assert bus.log == [("write", 0x108), ("read", 0x108)]


def test_a_slice_is_a_live_view_that_reads_nothing_by_itself(bus, array):
    view = array[2:4]
    assert bus.log == []
    view[1] = 5
    assert bus == {0x10C: 5}


def test_slices_move_as_arrays(bus, array):
    array[1:4] = np.array([1, 2, 3], np.uint32)
    assert np.array(array[1:4]).tolist() == [1, 2, 3]
    assert (array[1:4] + 1).tolist() == [2, 3, 4]
    assert array[0:4:3].tolist() == [0, 3]


def test_a_view_of_64_bits_is_two_words_low_first(bus, array):
    wide = array[2:4].view("u8")
    wide[0] = 0x1_0000_0002
    assert bus == {0x108: 2, 0x10C: 1}
    assert wide[0] == 0x1_0000_0002


def test_values_that_do_not_fit_are_treated_as_by_numpy(array):
    with pytest.warns(DeprecationWarning, match="out-of-bound"):
        array[0] = -1
    assert array[0] == 0xFFFF_FFFF


def test_past_the_end_is_an_index_error(array):
    with pytest.raises(IndexError, match="index 8 is out of bounds for axis 0 with size 8"):
        array[8]


def test_a_view_as_bytes_is_refused(array):
    with pytest.raises(ValueError, match="words of 32 or 64 bits; a view as uint8"):
        array.view("u1")
