"""The overlay as a board for the pipeline: whatever device pynq finds, with the model that was asked for."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator

from pynq import Overlay

from host.ids.board import AlertRule, BoardFailure
from host.ids.driver import Ids, ModelRefused
from host.ids.guard import GuardPolicy
from host.ids.records import Verdicts
from host.ids.weights import model_hash, pipeline_shape, weight_image
from host.interrupts import interrupt_loop, made_on_the_loop
from host.overlays import bitfile
from models.can_ids.frames import Frames
from models.can_ids.zoo import CanModel

__all__ = ["FabricBoard"]

#: How long a quiet bus keeps the pipeline from looking around.
QUIET_S = 0.2


class FabricBoard:
    """Loads the overlay and, where another is in it, the model.

    One at a time in a process: to load the overlay again would take it from under the one that is open.
    """

    _open: weakref.ref[FabricBoard] | None = None

    def __init__(
        self, model: CanModel, rule: AlertRule, *, bitstream: str | None = None, chunk_frames: int = 4096
    ):
        if FabricBoard._open is not None and FabricBoard._open() is not None:
            raise BoardFailure(
                "another board of this process has the overlay, and an FPGA holds one; close() it first"
            )
        self.ids: Ids = made_on_the_loop(lambda: Overlay(bitstream or bitfile("ids")).ids)
        self.ids.open(chunk_frames=chunk_frames)
        try:
            self._ensure(model)
            self.ids.alert_on(rule.classes, threshold=rule.threshold)
        except BaseException:
            self.ids.close()
            raise
        self._model = model
        FabricBoard._open = weakref.ref(self)

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
                yield interrupt_loop().run_until_complete(self.ids.next_verdicts_async(QUIET_S))
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
            if FabricBoard._open is not None and FabricBoard._open() is self:
                FabricBoard._open = None
