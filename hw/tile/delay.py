"""A value some cycles later."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["later"]


def later(m: Module, value: Value, cycles: int, name: str) -> Value:
    """Through as many registers, named after `name`."""
    for index in range(cycles):
        register = Signal(len(value), name=f"{name}_later_{index}")
        m.d.sync += register.eq(value)
        value = register
    return value
