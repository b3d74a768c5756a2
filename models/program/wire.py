"""Reads ONNX files with nothing but numpy, and trusts nothing in them.

The onnx package is missing on 32-bit boards and believes what a file says about sizes. ONNX is protocol
buffers; the few messages that a network needs are the tables below. Every length is checked against the bytes
that are really there, so that memory stays proportional to the file.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.program.ops import ProgramError

__all__ = ["Message", "array_of", "read_model"]

MAX_FILE_BYTES = 256 << 20
MAX_DEPTH = 12
#: Messages and fields in one file; each costs Python objects, far more than its bytes.
MAX_FIELDS = 400_000

#: message -> field number -> (name, kind): "int", "float", "text", "bytes" or the message's name. A star
#: means repeated. Fields that are not listed are skipped.
MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Model": {1: ("ir_version", "int"), 7: ("graph", "Graph"), 8: ("opset_import", "Opset*")},
    "Opset": {1: ("domain", "text"), 2: ("version", "int")},
    "Graph": {
        1: ("node", "Node*"),
        2: ("name", "text"),
        5: ("initializer", "Tensor*"),
        11: ("input", "ValueInfo*"),
        12: ("output", "ValueInfo*"),
        15: ("sparse_initializer", "Sparse*"),
    },
    "Node": {
        1: ("input", "text*"),
        2: ("output", "text*"),
        3: ("name", "text"),
        4: ("op_type", "text"),
        5: ("attribute", "Attribute*"),
        7: ("domain", "text"),
    },
    "Attribute": {
        1: ("name", "text"),
        2: ("f", "float"),
        3: ("i", "int"),
        4: ("s", "text"),
        5: ("t", "Tensor"),
        6: ("g", "bytes"),
        7: ("floats", "float*"),
        8: ("ints", "int*"),
        20: ("type", "int"),
    },
    "Tensor": {
        1: ("dims", "int*"),
        2: ("data_type", "int"),
        4: ("float_data", "float*"),
        5: ("int32_data", "int*"),
        7: ("int64_data", "int*"),
        8: ("name", "text"),
        9: ("raw_data", "bytes"),
        10: ("double_data", "double*"),
        13: ("external_data", "bytes*"),
        14: ("data_location", "int"),
    },
    "Sparse": {},
    "ValueInfo": {1: ("name", "text"), 2: ("type", "Type")},
    "Type": {1: ("tensor_type", "TensorType")},
    "TensorType": {1: ("elem_type", "int"), 2: ("shape", "Shape")},
    "Shape": {1: ("dim", "Dimension*")},
    "Dimension": {1: ("dim_value", "int"), 2: ("dim_param", "text")},
}

_DEFAULTS: dict[str, object] = {"int": 0, "float": 0.0, "text": "", "bytes": b""}
_FIXED = {"float": ("f", 4, 5), "double": ("d", 8, 1)}  # kind -> array code, bytes, wire type

#: ONNX data type -> numpy type and the field that holds it where raw_data does not.
DATA_TYPES: dict[int, tuple[str, str]] = {
    1: ("<f4", "float_data"),
    2: ("<u1", "int32_data"),
    3: ("<i1", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    11: ("<f8", "double_data"),
}


class Message(dict):
    """One decoded message; fields are attributes, absent ones have protobuf's default."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def __getattr__(self, name: str):
        for field, kind in MESSAGES[self.kind].values():
            if field == name:
                return self.get(name, [] if kind.endswith("*") else _DEFAULTS.get(kind))
        raise AttributeError(name)


class _Reader:
    """One file being decoded; `refuse` names it."""

    def __init__(self, data: bytes, *, path: Path):
        self.data = memoryview(data)
        self.path = path
        self.fields = 0

    def refuse(self, rule: str) -> ProgramError:
        return ProgramError(f"{self.path.name}: {rule}; is it a whole ONNX file?")

    def varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise self.refuse(f"the file breaks off inside a number at byte {at}")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
        raise self.refuse(f"a number at byte {at} never ends")

    def split(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Field number, wire type and the bytes from..to of each field; a varint's value stands in from."""
        at = start
        while at < end:
            self.fields += 1
            if self.fields > MAX_FIELDS:
                raise self.refuse(f"it has more than {MAX_FIELDS:,} fields")
            key, at = self.varint(at, end)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, at = self.varint(at, end)
                yield number, wire, value, 0
                continue
            if wire == 2:
                size, at = self.varint(at, end)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise self.refuse(f"byte {at} starts a field of unknown kind {wire}")
            if size > end - at:
                raise self.refuse(f"a field at byte {at} claims {size:,} bytes, {end - at:,} are left")
            yield number, wire, at, at + size
            at += size

    def message(self, kind: str, start: int, end: int, *, depth: int = 0) -> Message:
        if depth > MAX_DEPTH:
            raise self.refuse(f"messages are nested more than {MAX_DEPTH} deep")
        message = Message(kind)
        known = MESSAGES[kind]
        for number, wire, first, last in self.split(start, end):
            if number not in known:
                continue
            name, field = known[number]
            one = field.rstrip("*")
            values = self.values(one, wire, first, last, depth=depth, where=f"{kind}.{name}")
            if field.endswith("*"):
                # Floats stay packed: as Python objects they would take eight times the file.
                message.setdefault(name, array(_FIXED[one][0]) if one in _FIXED else []).extend(values)
            else:
                message[name] = values[-1] if len(values) else _DEFAULTS.get(one)
        return message

    def values(self, kind: str, wire: int, first: int, last: int, *, depth: int, where: str):
        if kind == "int" and wire == 0:
            return [_signed(first)]
        if kind == "int" and wire == 2:
            return self.packed(first, last)
        if kind in _FIXED and wire in (2, _FIXED[kind][2]):
            form, size, _ = _FIXED[kind]
            if (last - first) % size:
                raise self.refuse(f"{where} at byte {first} is cut off")
            return array(form, self.data[first:last].tobytes())
        if wire == 2 and kind == "bytes":
            return [self.data[first:last]]
        if wire == 2 and kind == "text":
            return [self.text(first, last)]
        if wire == 2 and kind in MESSAGES:
            return [self.message(kind, first, last, depth=depth + 1)]
        raise self.refuse(f"{where} at byte {first} has the wrong wire type {wire}")

    def packed(self, first: int, last: int) -> list[int]:
        values = []
        self.fields += last - first
        if self.fields > MAX_FIELDS:
            raise self.refuse(f"it has more than {MAX_FIELDS:,} fields; store weights as raw data")
        while first < last:
            value, first = self.varint(first, last)
            values.append(_signed(value))
        return values

    def text(self, first: int, last: int) -> str:
        try:
            return bytes(self.data[first:last]).decode()
        except UnicodeDecodeError as error:
            raise self.refuse(f"the text at byte {first} is not UTF-8") from error


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def read_model(path: Path) -> Message:
    """The `Model` message of a file. Raises `ProgramError` for anything that is not one."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ProgramError(
            f"{path.name} has {size:,} bytes, more than {MAX_FILE_BYTES:,}; is it the right file?"
        )
    if not size:
        raise ProgramError(f"{path.name} is empty; export the model again")
    reader = _Reader(path.read_bytes(), path=path)
    model = reader.message("Model", 0, size)
    if model.graph is None or not model.graph.node:
        raise reader.refuse("it holds no graph with nodes")
    if not model.opset_import:
        raise reader.refuse("it names no operator set")
    return model


def array_of(tensor: Message, *, path: Path) -> np.ndarray:
    """The array behind a `Tensor` message, only ever as large as the bytes that came with it."""

    def refuse(rule: str) -> ProgramError:
        return ProgramError(f"{path.name}: tensor {tensor.name!r} {rule}")

    if tensor.data_location or tensor.external_data:
        raise refuse("lies in another file, which is not followed; save the model as one file")
    if tensor.data_type not in DATA_TYPES:
        raise refuse(f"has data type {tensor.data_type!r}; use float32, float64 or an integer type")
    form, field = DATA_TYPES[tensor.data_type]
    if "raw_data" in tensor:
        itemsize = np.dtype(form).itemsize
        if len(tensor.raw_data) % itemsize:
            raise refuse(f"has {len(tensor.raw_data)} bytes, no multiple of {itemsize}")
        flat = np.frombuffer(tensor.raw_data, form)
    else:
        flat = _listed(getattr(tensor, field), form, refuse=refuse)
    elements = 1
    for size in tensor.dims:
        if size < 0:
            raise refuse(f"has the shape {tensor.dims!r}")
        elements *= size
    if elements != flat.size:
        raise refuse(f"has shape {tensor.dims!r} but {flat.size:,} elements; the file is damaged")
    return flat.reshape(tensor.dims)


def _listed(values: list, form: str, *, refuse) -> np.ndarray:
    try:
        return np.array(values, dtype=form)
    except (OverflowError, struct.error) as error:
        raise refuse(f"holds a number that {np.dtype(form)} does not: {error}") from error
