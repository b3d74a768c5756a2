"""Integer programs: a quantised network as exact integer operations, and the numpy that runs it.

program = load("model.onnx")
logits, = run(program, program.quantiser.quantise(features))
"""

from models.program import ops
from models.program.execute import run, trace
from models.program.graph import ImportRefused
from models.program.importer import load
from models.program.ops import ProgramError, Tensor
from models.program.program import Output, Program, Quantiser, integer_logits

__all__ = [
    "ImportRefused",
    "Output",
    "Program",
    "ProgramError",
    "Quantiser",
    "Tensor",
    "integer_logits",
    "load",
    "ops",
    "run",
    "trace",
]
