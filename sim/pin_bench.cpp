// Plays a waveform into a design's `line` at full speed and keeps a row of outputs for each cycle in which
// it asks for one. `BENCH_ROW` is generated: it copies the output words into `row`.
#include <cstdint>
#include <cstddef>

#include "Vbench.h"
#include "verilated.h"
#include "bench_row.h"

struct Bench {
  VerilatedContext context;
  Vbench top{&context};
};

static void cycle(Bench &bench) {
  bench.top.clk = 0;
  bench.top.eval();
  bench.top.clk = 1;
  bench.top.eval();
}

#pragma GCC visibility push(default)
extern "C" {

Bench *bench_new() {
  auto *bench = new Bench;
  bench->top.rst = 1;
  bench->top.line = 1;
  bench->top.control = 0;
  cycle(*bench);
  bench->top.rst = 0;
  return bench;
}

void bench_delete(Bench *bench) { delete bench; }

void bench_control(Bench *bench, uint64_t value) { bench->top.control = value; }

// Rows are taken before the clock edge, so they show what the cycle's logic saw. Returns how many were asked for;
// those beyond `room` are not stored.
uint64_t bench_play(Bench *bench, const uint8_t *line, uint64_t cycles, uint64_t *rows, uint64_t room) {
  uint64_t count = 0;
  for (uint64_t i = 0; i < cycles; i++) {
    bench->top.line = line[i];
    bench->top.clk = 0;
    bench->top.eval();
    if (bench->top.record) {
      if (count < room) {
        uint64_t *row = rows + count * (BENCH_WORDS + 1);
        row[0] = i;
        BENCH_ROW(bench->top, row + 1);
      }
      count++;
    }
    bench->top.clk = 1;
    bench->top.eval();
  }
  return count;
}

}
#pragma GCC visibility pop
