"""Waiting through pynq's own Interrupt: time goes by in the event loop, the same way in every run."""

import asyncio

import pytest

from sim.board import BoardHang

BUFFER = 0x1000_0000


@pytest.fixture
def loop(board):
    """The loop that is current while the overlay's IP is first touched."""
    return asyncio.get_event_loop()


@pytest.fixture
def waiting(loop, driver):
    """A coroutine that runs the probe once and sleeps until its interrupt."""

    async def run(**options):
        driver.start(BUFFER, BUFFER, beats=16, **options)
        await driver.ip.done.wait()
        driver.registers.INTERRUPT = 1

    return run


def test_a_wait_ends_in_the_same_cycle_in_every_run(board, loop, waiting, make_board, probe, probe_driver):
    loop.run_until_complete(waiting())
    first = board.cycles

    second = make_board(probe)
    driver = probe_driver(second.bitfile)
    driver.start(BUFFER, BUFFER, beats=16)
    asyncio.get_event_loop().run_until_complete(driver.ip.done.wait())
    driver.registers.INTERRUPT = 1
    assert second.cycles == first


def test_interrupts_work_again_and_again(loop, waiting, driver):
    for _ in range(5):
        loop.run_until_complete(waiting())
    assert int(driver.registers.STATUS) == 0


def test_both_families_have_their_line(make_board, probe, probe_driver):
    board = make_board(probe, flavour="zynq7000")
    driver = probe_driver(board.bitfile)
    driver.start(BUFFER, BUFFER)
    asyncio.get_event_loop().run_until_complete(driver.ip.done.wait())
    assert driver.registers.STATUS.IRQ_DONE == 1


def test_other_coroutines_run_meanwhile(board, loop, waiting, manners_of_the_probe):
    ticks = []

    async def tick():
        while True:
            ticks.append(board.cycles)
            await asyncio.sleep(0)

    async def both():
        ticking = asyncio.ensure_future(tick())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(waiting(manners=manners_of_the_probe.HANG), 0.05)
        ticking.cancel()

    loop.run_until_complete(both())
    assert len(set(ticks)) > 3


@pytest.mark.parametrize("board", [{"budget_cycles": 20_000}], indirect=True)
def test_a_hang_reaches_the_waiter(loop, waiting, driver, manners_of_the_probe):
    async def run():
        await waiting(manners=manners_of_the_probe.HANG)

    with pytest.raises(BoardHang, match=r"STATUS = 0x00000001 \(BUSY=0x1\)"):
        loop.run_until_complete(run())
    driver.registers.SOFT_RESET = 1
    driver.start(BUFFER, BUFFER)
    assert driver.finish()


def test_another_loop_is_an_error_where_a_board_would_wait_for_ever(loop, driver):
    wait = driver.ip.done.wait
    with pytest.raises(RuntimeError, match="on a board this wait would never return"):
        asyncio.run(wait())
