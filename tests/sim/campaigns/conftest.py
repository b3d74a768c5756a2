import asyncio

import pytest


@pytest.fixture(scope="module")
def event_loop_of_pynq():
    """pynq binds interrupts to the current loop, and pytest has none."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
