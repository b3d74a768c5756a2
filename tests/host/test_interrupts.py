"""The loop that drivers are made on is one a process, and is current where they are made."""

import asyncio
import threading

import pytest

from host.interrupts import interrupt_loop, made_on_the_loop


def test_every_driver_is_made_on_the_same_loop_also_within_a_running_one():
    async def in_a_notebook():
        return made_on_the_loop(asyncio.get_event_loop), asyncio.get_running_loop()

    outside = made_on_the_loop(asyncio.get_event_loop)
    inside, running = asyncio.run(in_a_notebook())
    assert inside is outside is interrupt_loop()
    assert running is not inside


def test_it_runs_in_one_thread_after_the_other():
    found = []

    def work():
        found.append(interrupt_loop().run_until_complete(asyncio.sleep(0, "done")))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert found == ["done", "done"]


def test_what_goes_wrong_comes_out():
    def fails():
        raise FileNotFoundError("no bitstream")

    with pytest.raises(FileNotFoundError, match="no bitstream"):
        made_on_the_loop(fails)
