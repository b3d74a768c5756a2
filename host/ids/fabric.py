"""The overlay as a board for the pipeline: whatever device pynq finds, with the model that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from pynq import Overlay

from host.ids.board import AlertRule, BoardFailure
from host.ids.driver import Ids, ModelRefused
from host.ids.guard import GuardPolicy
from host.ids.records import Verdicts
from host.ids.weights import model_hash, pipeline_shape, weight_image
from host.overlays import bitfile
from models.can_ids.frames import Frames
from models.can_ids.zoo import CanModel

__all__ = ["FabricBoard"]

#: How long a quiet bus keeps the pipeline from looking around.
QUIET_S = 0.2


class FabricBoard:
    """Loads the overlay and, where another is in it, the model; owns an event loop, which interrupts need.

    pynq binds interrupts to the loop that is current when the driver is made, so the loop comes first.
    """

    def __init__(
        self, model: CanModel, rule: AlertRule, *, bitstream: str | None = None, chunk_frames: int = 4096
    ):
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        try:
            self.ids: Ids = Overlay(bitstream or bitfile("ids")).ids
            self.ids.open(chunk_frames=chunk_frames)
            self._ensure(model)
            self.ids.alert_on(rule.classes, threshold=rule.threshold)
        except BaseException:
            self._close_loop()
            raise
        self._model = model

    def _ensure(self, model: CanModel) -> None:
        wanted, identity = model_hash(model), self.ids.identify()
        if identity.weights_valid and identity.model_hash == wanted:
            return
        try:
            shape = pipeline_shape(self.ids.parameters, shape_hash=identity.shape_hash)
            identity = self.ids.load_weights(weight_image(model, shape))
        except (ValueError, ModelRefused) as error:
            raise BoardFailure(
                f"model {model.name!r} does not run on this overlay, which holds model "
                f"{identity.model_hash}: {error}"
            ) from error
        if identity.model_hash != wanted:
            raise BoardFailure(
                f"{self.ids.name} took the weights but calls them {identity.model_hash}, not {wanted}"
            )

    @property
    def facts(self) -> dict[str, str]:
        identity = self.ids.identify()
        return {
            "board": f"overlay {self.ids.name} {identity.version}, design {identity.design_hash:08x}, "
            f"{self.ids.clock_hz / 1e6:.6g} MHz",
            "model": f"{self._model.name} ({identity.model_hash})",
        }

    @property
    def clock_hz(self) -> float | None:
        return self.ids.clock_hz

    def replay(self, chunks: Iterable[Frames]) -> Iterator[Verdicts]:
        return self.ids.replay(chunks)

    def judge(self, frames: Frames) -> Verdicts:
        return Verdicts.concatenate(list(self.ids.replay([frames])))

    def listen(self, bit_rate: float) -> Iterator[Verdicts]:
        self.ids.listen(bit_rate)
        try:
            while True:
                yield self._loop.run_until_complete(self.ids.next_verdicts_async(QUIET_S))
        finally:
            self.ids.stop_listening()

    def arm_guard(self, policy: GuardPolicy) -> None:
        """Destroy frames on the bus that the pins are on; see `host.ids.guard`."""
        self.ids.guard.arm(policy)

    def counters(self) -> dict[str, int]:
        return self.ids.counters | {"latency_cycles_max": self.ids.latency_cycles_max}

    def close(self) -> None:
        try:
            self.ids.close()
        finally:
            self._close_loop()

    def _close_loop(self) -> None:
        asyncio.set_event_loop(None)
        self._loop.close()
