"""What an overlay's registers say of a hang, in the names of its .hwh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.board.errors import BoardError
from sim.board.library import Model

__all__ = ["describe_state"]


def describe_state(model: Model, ip_dict: dict[str, Any], *, base: int) -> str:
    """STATUS, ERROR and the counters of every IP that has a STATUS; a line each."""
    lines = []
    for name, description in ip_dict.items():
        registers = description.get("registers") or {}
        if "STATUS" in registers:
            offset = description["phys_addr"] - base
            lines += [f"  {name}: {line}" for line in _lines(model, registers, offset)]
    for master, counts in model.statistics().items():
        moved = ", ".join(f"{what} {count:,}" for what, count in counts.items() if not what.endswith("bytes"))
        lines.append(f"  AXI master {master}: {moved}")
    return "\n".join(lines)


def _lines(model: Model, registers: dict[str, Any], base: int) -> Iterator[str]:
    def read(name: str) -> int:
        return model.read(base + registers[name]["address_offset"])

    try:
        for name in ("STATUS", "ERROR"):
            if name in registers:
                yield _named(name, read(name), registers[name])
        if {"ERROR_ADDR_LO", "ERROR_ADDR_HI"} <= registers.keys():
            yield f"ERROR_ADDR = {read('ERROR_ADDR_LO') | read('ERROR_ADDR_HI') << 32:#x}"
        if "SNAPSHOT" in registers:
            model.write(base + registers["SNAPSHOT"]["address_offset"], 1)
        for name in registers:
            counter = name.removesuffix("_LO")
            counts = counter.startswith("STALL_") or counter.endswith("CYCLES")
            if counts and counter != name and f"{counter}_HI" in registers:
                yield f"{counter} = {read(name) | read(counter + '_HI') << 32:,}"
    except BoardError as error:
        yield f"(no more can be read: {error})"


def _named(name: str, value: int, register: dict[str, Any]) -> str:
    fields = (register.get("fields") or {}).items()
    parts = {field: value >> place["bit_offset"] & ((1 << place["bit_width"]) - 1) for field, place in fields}
    shown = " ".join(f"{field}={part:#x}" for field, part in parts.items() if part)
    return f"{name} = {value:#010x}" + (f" ({shown})" if shown else "")
