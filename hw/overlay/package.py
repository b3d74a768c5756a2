"""An overlay as files: Verilog, the .hwh of each flavour, and what they share, the hash of the design."""

from __future__ import annotations

import hashlib
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil, verilog

from hw.bus.axi import FlatTop
from hw.overlay.base import Overlay, OverlayDescription
from hw.overlay.hwh import Flavour, overlay_hwh

__all__ = ["OverlayPackage", "Pin", "design_digest", "dummy_bitstream", "package"]


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A port of the overlay that is no bus: what goes to the package's balls, or to a test."""

    name: str
    bits: int
    output: bool


@dataclass(frozen=True, kw_only=True)
class OverlayPackage:
    """Everything that leaves the gateware."""

    description: OverlayDescription
    design_hash: int  #: the 32 bits that register DESIGN_HASH and the .hwh carry
    digest: str  #: the whole hash, in hex; the key for caches of what is built from it
    #: Top module named as the overlay; ports `clk`, `rst`, `s_axi_control_*`, `m_axi_memory_*`, for a second
    #: memory port `m_axi_memory_1_*`, and pins.
    verilog: str
    pins: tuple[Pin, ...]

    @property
    def name(self) -> str:
        return self.description.name

    def hwh(self, flavour: Flavour | str, *, clock_mhz: float = 100.0) -> str:
        """The text of the .hwh for one family of chips."""
        return overlay_hwh(
            self.description, flavour=Flavour(flavour), design_hash=self.design_hash, clock_mhz=clock_mhz
        )

    def write(self, folder: Path, flavour: Flavour | str, *, clock_mhz: float = 100.0) -> Path:
        """Write <name>.v, <name>.hwh and a <name>.bit that only a simulation accepts; return the last's path.

        Each file appears complete or not at all, the .bit last.
        """
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{self.name}.v", self.verilog.encode())
        _write(folder / f"{self.name}.hwh", self.hwh(flavour, clock_mhz=clock_mhz).encode())
        bitstream = folder / f"{self.name}.bit"
        _write(bitstream, dummy_bitstream(name=self.name, digest=self.digest))
        return bitstream


def package(overlay: Overlay) -> OverlayPackage:
    """Generate an overlay. The same sources give the same hash and the same files, wherever they lie."""
    description = overlay.description
    digest = design_digest(overlay)
    design_hash = int(digest[:8], 16)
    overlay.design_hash = design_hash
    top = FlatTop(overlay)
    text = verilog.convert(
        top, name=description.name, ports=top.ports, emit_src=False, strip_internal_attrs=True
    )
    pins = tuple(
        Pin(
            name=name,
            bits=len(getattr(overlay, name)),
            output=overlay.signature.members[name].flow.name == "Out",
        )
        for name in overlay.pins
    )
    return OverlayPackage(
        description=description, design_hash=design_hash, digest=digest, verilog=text, pins=pins
    )


def design_digest(overlay: Overlay) -> str:
    """The hash of the gateware, with zero in the place of the hash, and of what the .hwh is made from."""
    overlay.design_hash = 0
    top = FlatTop(overlay)
    text = rtlil.convert(top, name=overlay.description.name, ports=top.ports, emit_src=False)
    return hashlib.sha256(f"{overlay.description!r}\n{text}".encode()).hexdigest()


def dummy_bitstream(*, name: str, digest: str) -> bytes:
    """A .bit container that pynq can read, and no chip can be configured with.

    pynq names its cache of metadata by the .bit alone, so the digest stands in it.
    """
    body = f"Colonnade: simulation only, no configuration data. design {digest}".encode()
    body += b"\0" * (-len(body) % 4)
    texts = {"a": f"{name};simulation-only", "b": "simulation-only", "c": "1970/01/01", "d": "00:00:00"}
    container = bytes.fromhex("0009 0ff0 0ff0 0ff0 0ff0 00 0001".replace(" ", ""))
    for key, text in texts.items():
        container += key.encode() + struct.pack(">H", len(text) + 1) + text.encode() + b"\0"
    return container + b"e" + struct.pack(">I", len(body)) + body


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            file.write(content)
            file.close()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
