"""Driver of the `copy` overlay: memory to memory through the fabric, with a checksum of what passed."""

from __future__ import annotations

from host.accelerator import Accelerator

__all__ = ["Copy"]

#: LENGTH is 32 bits wide.
LENGTH_MAX = (1 << 32) - 1


class Copy(Accelerator):
    """Copies bytes between two buffers of `pynq.allocate`, at any offset and length.

    Example::

        overlay = Overlay(bitfile("copy"))
        checksum = overlay.copy.copy(source, destination)
    """

    bindto = ["colonnade:overlay:copy:1.0"]

    def copy(
        self,
        source,
        destination,
        *,
        nbytes: int | None = None,
        source_offset: int = 0,
        destination_offset: int = 0,
        timeout_s: float = 10.0,
    ) -> int:
        """Copy `nbytes` (all of `source` by default), poll until done, and give the checksum."""
        self._start(source, destination, nbytes, source_offset, destination_offset)
        self.wait(timeout_s)
        return self._result(destination)

    async def copy_async(
        self,
        source,
        destination,
        *,
        nbytes: int | None = None,
        source_offset: int = 0,
        destination_offset: int = 0,
        timeout_s: float = 10.0,
    ) -> int:
        """The same, asleep until the interrupt."""
        self._start(source, destination, nbytes, source_offset, destination_offset)
        await self.wait_async(timeout_s)
        return self._result(destination)

    def start(self, source_address: int, destination_address: int, nbytes: int) -> None:
        """Start a copy between two addresses; `wait()` or `wait_async()` must follow."""
        if not 1 <= nbytes <= LENGTH_MAX:
            raise ValueError(f"{self.name}: nbytes must be in 1 .. {LENGTH_MAX}, not {nbytes!r}")
        if self.status.busy:
            raise RuntimeError(
                f"{self.name}: a copy is under way; wait() for it, or soft_reset() to give it up"
            )
        self.write_address("SOURCE", source_address)
        self.write_address("DESTINATION", destination_address)
        self.write_word("LENGTH", nbytes)
        self.write_word("CONTROL", 1)

    def _start(self, source, destination, nbytes, source_offset, destination_offset) -> None:
        nbytes = source.nbytes - source_offset if nbytes is None else nbytes
        for what, buffer, offset in (
            ("source", source, source_offset),
            ("destination", destination, destination_offset),
        ):
            if offset < 0 or offset + nbytes > buffer.nbytes:
                raise ValueError(
                    f"{self.name}: {nbytes!r} bytes from offset {offset!r} on do not fit in the {what}, "
                    f"which has {buffer.nbytes}"
                )
        source.flush()
        # What lies around the bytes that the hardware writes must survive the invalidation afterwards.
        destination.flush()
        self.start(
            source.device_address + source_offset, destination.device_address + destination_offset, nbytes
        )

    def _result(self, destination) -> int:
        destination.invalidate()
        return self.read_word("CHECKSUM")
