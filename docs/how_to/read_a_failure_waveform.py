"""A unit broken on purpose, the bench that notices, and the cycle it happens in: tests run this file."""

from pathlib import Path

import vcd.reader

from hw.stream import SkidBuffer
from sim.stream_sweep import GAPS, STALLS, StreamBench, StreamViolation, sweep


class ForgetfulBuffer(SkidBuffer):
    """The fault: it never asks its source to wait."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(1)
        return m


# 1. The sweep finds it, and names the case: length, gaps of the source, stalls of the sink, seed.
def numbers(length, random):
    return {"i": [random.getrandbits(8) for _ in range(length)]}


try:
    sweep(ForgetfulBuffer(shape=8), items=numbers, golden=lambda given: {"o": given["i"]})
    raise SystemExit("the sweep did not notice")
except StreamViolation as failure:
    print(failure)

# 2. That case once more, alone, with numbers that are easy to follow, and with a waveform.
unit, trace = ForgetfulBuffer(shape=8), Path("failure.vcd")
bench = StreamBench(unit)
run = bench.run({"i": range(1, 9)}, gap=GAPS["no gap"], stall=STALLS["every other cycle"], trace=trace)
print("went in: [1, 2, 3, 4, 5, 6, 7, 8], came out:", run.items["o"])


# 3. The waveform as a list of cycles. GTKWave and Surfer open the same file.
def cycles(path: Path, *, clock: str = "clk") -> list[dict[str, int]]:
    """What every signal holds just before each rising edge of the clock."""
    names, values, rows = {}, {}, []
    with path.open("rb") as file:
        for token in vcd.reader.tokenize(file):
            if token.kind is vcd.reader.TokenKind.VAR:
                names[token.var.id_code] = token.var.reference
            elif token.kind is vcd.reader.TokenKind.CHANGE_SCALAR:
                name, value = names[token.scalar_change.id_code], int(token.scalar_change.value == "1")
                if name == clock and value and not values.get(clock):
                    rows.append(dict(values))
                values[name] = value
            elif token.kind is vcd.reader.TokenKind.CHANGE_VECTOR:
                values[names[token.vector_change.id_code]] = token.vector_change.value
    return rows


# 4. The rule that must have been broken: no item may arrive while one is already set aside.
seen = cycles(trace)
shown = ("i__valid", "i__ready", "i__payload", "skid_valid", "skid", "o__valid", "o__ready", "o__payload")
failing = next(
    cycle for cycle, now in enumerate(seen) if now["i__valid"] and now["i__ready"] and now["skid_valid"]
)
print("cycle", *(f"{name:>10}" for name in shown))
for cycle in range(max(0, failing - 2), failing + 2):
    mark = "  <- one too many" if cycle == failing else ""
    print(f"{cycle:5}", *(f"{seen[cycle][name]:10}" for name in shown), mark)
print(f"cycle {failing}: {seen[failing]['i__payload']} arrives while {seen[failing]['skid']} waits")
