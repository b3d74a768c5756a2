// One overlay on a simulated board: clock, reset, the host's AXI4-Lite accesses, memory and pins.
//
// Compiled with the Verilated model and a generated overlay_ports.h into a shared library; sim/board/library.py
// calls it. Every loop over cycles is in here. A cycle is: drive the inputs, clock low and settle, look at
// everything, clock high.
#include <tuple>

#include "Voverlay.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

using Top = Voverlay;
#include "memory_model.h"
#include "pins.h"
//
#include "overlay_ports.h"

namespace {

constexpr size_t pin_count = sizeof pin_places / sizeof pin_places[0] - 1;

enum Outcome : int { DONE = 0, BUS_SLVERR = 2, BUS_DECERR = 3, NO_ANSWER = 16, VIOLATION = 17, INTERRUPT = 18 };

struct Access {
  bool active = false, write = false, answered = false;
  bool address_pending = false, data_pending = false, offered = false;
  uint32_t addr = 0, value = 0, response = 0;
};

}  // namespace

struct Board {
  VerilatedContext context;
  Top top{&context, "overlay"};
  Memory memory;
  Pins pins;
  EachMaster<MasterModel> masters;
  Access access;
  Timing control_timing;
  Random control_random;
  uint64_t now = 0;
  bool interrupt = false;
#if VM_TRACE
  VerilatedVcdC *trace = nullptr;
#endif

  void cycle() {
    if (now >= pins.next_due) pins.play(now, top, pin_places);
    top.clk = 0;
    top.eval();
    dump(0);
    interrupt = interrupt_level(top);
    if (pins.any_recording) pins.record(now, top, pin_places);
    std::apply([this](auto &...master) { (master.sample(top, memory, now), ...); }, masters);
    if (access.active) sample_access();
    top.clk = 1;
    top.eval();
    dump(1);
    std::apply([this](auto &...master) { (master.drive(top), ...); }, masters);
    now++;
  }

  int run(uint64_t cycles, bool until_interrupt) {
    for (; cycles > 0; cycles--) {
      cycle();
      if (!memory.violation.empty()) return VIOLATION;
      if (until_interrupt && interrupt) return INTERRUPT;
    }
    return DONE;
  }

  void reset(uint64_t cycles) {
    top.rst = 1;
    run(cycles, false);
    top.rst = 0;
  }

  // One AXI4-Lite access; address and data are offered together, or apart when stalls are asked for.
  int transfer(bool write, uint32_t addr, uint32_t &value, uint64_t limit) {
    access = Access{};
    access.active = access.address_pending = true;
    access.write = write;
    access.data_pending = write;
    access.addr = addr;
    access.value = value;
    for (uint64_t waited = 0; !access.answered; waited++) {
      offer_access();
      cycle();
      if (!memory.violation.empty()) return VIOLATION;
      if (waited >= limit) return NO_ANSWER;
    }
    access.active = false;
    offer_access();
    value = access.value;
    return int(access.response);
  }

 private:
  void offer_access() {
    const bool stall_address = control_random.hit(control_timing.stall_threshold);
    const bool stall_data = control_random.hit(control_timing.stall_threshold);
    const bool stall_answer = control_random.hit(control_timing.stall_threshold);
    const bool write = access.active && access.write, read = access.active && !access.write;
    // What is offered already stays offered.
    Control::awvalid(top) = write && access.address_pending && (Control::awvalid(top) || !stall_address);
    Control::wvalid(top) = write && access.data_pending && (Control::wvalid(top) || !stall_data);
    Control::arvalid(top) = read && access.address_pending && (Control::arvalid(top) || !stall_address);
    Control::awaddr(top) = Control::araddr(top) = access.addr;
    Control::wdata(top) = access.value;
    Control::wstrb(top) = 0xF;
    Control::bready(top) = write && !stall_answer;
    Control::rready(top) = read && !stall_answer;
  }

  void sample_access() {
    if (access.write) {
      if (Control::awvalid(top) && Control::awready(top)) access.address_pending = false;
      if (Control::wvalid(top) && Control::wready(top)) access.data_pending = false;
      if (Control::bvalid(top) && Control::bready(top)) {
        access.answered = true;
        access.response = Control::bresp(top);
      }
    } else {
      if (Control::arvalid(top) && Control::arready(top)) access.address_pending = false;
      if (Control::rvalid(top) && Control::rready(top)) {
        access.answered = true;
        access.value = Control::rdata(top);
        access.response = Control::rresp(top);
      }
    }
  }

  void dump(int phase) {
#if VM_TRACE
    if (trace) trace->dump(2 * now + phase);
#endif
    (void)phase;
  }
};

#define API extern "C" __attribute__((visibility("default")))

API Board *board_new(uint8_t *dram, uint64_t base, uint64_t size, const char *trace_path) {
  Board *board = new Board;
  board->memory.bytes = dram;
  board->memory.base = base;
  board->memory.size = size;
  board->pins.all.resize(pin_count);
#if VM_TRACE
  if (trace_path) {
    board->context.traceEverOn(true);
    board->trace = new VerilatedVcdC;
    board->top.trace(board->trace, 99);
    board->trace->open(trace_path);
  }
#endif
  (void)trace_path;
  return board;
}

API void board_delete(Board *board) {
  board->top.final();
#if VM_TRACE
  if (board->trace) board->trace->close();
  delete board->trace;
#endif
  delete board;
}

API void board_reset(Board *board, uint64_t cycles) { board->reset(cycles); }
API uint64_t board_cycle(const Board *board) { return board->now; }
API int board_interrupt(const Board *board) { return board->interrupt; }
API int board_run(Board *board, uint64_t cycles) { return board->run(cycles, false); }
API int board_run_until_interrupt(Board *board, uint64_t cycles) { return board->run(cycles, true); }

API int board_read(Board *board, uint32_t addr, uint32_t *value, uint64_t limit) {
  return board->transfer(false, addr, *value, limit);
}

API int board_write(Board *board, uint32_t addr, uint32_t value, uint64_t limit) {
  return board->transfer(true, addr, value, limit);
}

// Timing of the master with this index, or of the host's own accesses for -1; `seed` starts its stalls anew.
API void board_timing(Board *board, int index, const Timing *timing, uint64_t seed) {
  if (index < 0) {
    board->control_timing = *timing;
    board->control_random.seed(seed);
    return;
  }
  int i = 0;
  auto set = [&](auto &master) {
    if (i++ != index) return;
    master.timing = *timing;
    master.seed(seed);
  };
  std::apply([&](auto &...master) { (set(master), ...); }, board->masters);
}

API void board_statistics(Board *board, int index, Statistics *statistics) {
  int i = 0;
  auto get = [&](auto &master) {
    if (i++ == index) *statistics = master.statistics;
  };
  std::apply([&](auto &...master) { (get(master), ...); }, board->masters);
}

API void board_clear_faults(Board *board) { board->memory.faults.clear(); }

API void board_add_fault(Board *board, uint64_t first, uint64_t last, uint32_t response, int reads, int writes) {
  board->memory.faults.push_back({first, last, response, bool(reads), bool(writes)});
}

// The first broken rule of AXI, or an empty text; asking forgets it.
API const char *board_violation(Board *board, uint64_t *cycle) {
  static thread_local std::string text;
  text.swap(board->memory.violation);
  board->memory.violation.clear();
  *cycle = board->memory.violation_cycle;
  return text.c_str();
}

API void board_pin_play(Board *board, unsigned index, uint64_t start, uint64_t count, const uint8_t *values,
                        const uint64_t *lengths) {
  Pin &pin = board->pins.all[index];
  pin.values.assign(values, values + count * pin_places[index].bytes);
  pin.lengths.assign(lengths, lengths + count);
  pin.index = 0;
  pin.due = start;
  if (start < board->pins.next_due) board->pins.next_due = start;
}

API int board_pin_playing(const Board *board, unsigned index) {
  return board->pins.all[index].due != Pin::never;
}

API void board_pin_get(Board *board, unsigned index, uint8_t *value) {
  memcpy(value, pin_places[index].at(board->top), pin_places[index].bytes);
}

API void board_pin_record(Board *board, unsigned index, int on) {
  Pin &pin = board->pins.all[index];
  pin.recording = on;
  pin.last.clear();
  pin.seen.clear();
  pin.seen_at.clear();
  board->pins.any_recording = false;
  for (const Pin &each : board->pins.all) board->pins.any_recording |= each.recording;
}

API uint64_t board_pin_changes(Board *board, unsigned index, const uint64_t **cycles, const uint8_t **values) {
  const Pin &pin = board->pins.all[index];
  *cycles = pin.seen_at.data();
  *values = pin.seen.data();
  return pin.seen_at.size();
}
