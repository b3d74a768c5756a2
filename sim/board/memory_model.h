// The memory behind one AXI4 master of an overlay, advanced once a clock cycle.
//
// A registered model: what it drives in a cycle was decided in the cycle before, so it adds no combinational
// path. Reads and writes are independent; each keeps several bursts in flight, in order. A write reaches the
// memory when its response does, as on a board: a master that announces its result before the response
// hands the host stale data here too.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

// xorshift64*: reproducible from its seed, and cheap.
struct Random {
  uint64_t state = 1;
  void seed(uint64_t value) {
    state = value * 0x9E3779B97F4A7C15ull + 0xD1B54A32D192ED03ull;
    if (state == 0) state = 1;
  }
  // True with a probability of threshold / 2^32.
  bool hit(uint32_t threshold) {
    if (threshold == 0) return false;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return uint32_t((state * 0x2545F4914F6CDD1Dull) >> 32) < threshold;
  }
};

struct Timing {
  uint32_t read_latency = 0, write_latency = 0;  // cycles from an address (or last beat) to the answer
  uint32_t beat_cycles = 1;                      // one beat every so many cycles, each way
  uint32_t stall_threshold = 0;                  // probability of a stall, in 2^-32, on each channel and cycle
  uint32_t requests = 16;                        // bursts in flight, each way
};

struct Statistics {
  uint64_t read_bursts, write_bursts, read_beats, write_beats, read_bytes, write_bytes;
};

enum Response : uint32_t { OKAY = 0, SLVERR = 2, DECERR = 3 };

struct Fault {
  uint64_t first, last;
  uint32_t response;
  bool reads, writes;
};

struct Memory {
  uint8_t *bytes = nullptr;
  uint64_t base = 0, size = 0;
  std::vector<Fault> faults;
  std::string violation;  // the first broken rule of AXI, empty while there is none
  uint64_t violation_cycle = 0;

  uint32_t response(uint64_t first, uint64_t last, bool write) const {
    if (first < base || last - base >= size) return DECERR;
    uint32_t worst = OKAY;
    for (const Fault &fault : faults)
      if (first <= fault.last && last >= fault.first && (write ? fault.writes : fault.reads))
        if (fault.response > worst) worst = fault.response;
    return worst;
  }

  void violate(const char *master, uint64_t now, const char *rule, uint64_t value) {
    if (!violation.empty()) return;
    char text[256];
    snprintf(text, sizeof text, "AXI master '%s': %s (0x%llx)", master, rule, (unsigned long long)value);
    violation = text;
    violation_cycle = now;
  }
};

struct Burst {
  uint64_t addr = 0, due = 0;
  uint32_t beats = 0, done = 0, size = 0, response = OKAY;
  uint8_t data[4096], enable[4096];  // writes wait here for their response
  uint64_t staged_addr = 0;
  uint32_t staged = 0;
};

// Bursts in order. Slots are reused, so their buffers are never allocated again.
struct BurstQueue {
  static constexpr uint32_t capacity = 64;
  std::vector<Burst> slots = std::vector<Burst>(capacity);
  uint32_t head = 0, count = 0;
  Burst &at(uint32_t index) { return slots[(head + index) % capacity]; }
  Burst &push() { return slots[(head + count++) % capacity]; }
  void pop() {
    head = (head + 1) % capacity;
    count--;
  }
};

// What a stalled channel showed in the cycle before; it has to show the same until it is accepted.
struct Held {
  bool waiting = false;
  uint8_t payload[64];
  unsigned length = 0;

  template <class... Fields>
  const char *check(bool valid, bool ready, Fields &...fields) {
    const char *broken = nullptr;
    if (waiting && !valid) broken = "valid was withdrawn before ready";
    if (valid && (waiting || !ready)) {
      uint8_t shown[64];
      unsigned used = 0;
      ((memcpy(shown + used, &fields, sizeof fields), used += sizeof fields), ...);
      if (waiting && memcmp(shown, payload, used) != 0) broken = "the payload changed while it waited for ready";
      memcpy(payload, shown, used);
      length = used;
    }
    waiting = valid && !ready;
    return broken;
  }
};

template <class Port>
struct MasterModel {
  Timing timing;
  Statistics statistics{};

  void seed(uint64_t value) {
    Random *each[] = {&ar_random, &r_random, &aw_random, &w_random, &b_random};
    for (Random *random : each) random->seed(value = value * 31 + 7);
  }

  // Look at the settled cycle `now` and decide what to drive in the next.
  void sample(Top &t, Memory &memory, uint64_t now) {
    if constexpr (Port::reads) {
      sample_read_address(t, memory, now);
      sample_read_data(t, memory, now);
    }
    if constexpr (Port::writes) {
      sample_response(t, now);
      sample_write_address(t, memory, now);
      sample_write_data(t, memory, now);
      present_response(memory, now);
    }
  }

  void drive(Top &t) {
    if constexpr (Port::reads) {
      Port::arready(t) = arready;
      Port::rvalid(t) = rvalid;
      if (rvalid_new) {
        memcpy(&Port::rdata(t), rdata, Port::bytes);
        Port::rresp(t) = rresp;
        Port::rlast(t) = rlast;
        rvalid_new = false;
      }
    }
    if constexpr (Port::writes) {
      Port::awready(t) = awready;
      Port::wready(t) = wready;
      Port::bvalid(t) = bvalid;
      Port::bresp(t) = bresp;
    }
  }

 private:
  Random ar_random, r_random, aw_random, w_random, b_random;
  BurstQueue reads, writes;
  Held ar_held, aw_held, w_held;
  bool arready = false, rvalid = false, rvalid_new = false, rlast = false;
  bool awready = false, wready = false, bvalid = false;
  uint32_t rresp = 0, bresp = 0, writes_complete = 0;
  uint64_t read_beat_due = 0, write_beat_due = 0;
  uint8_t rdata[Port::bytes];

  void check_burst(Memory &memory, uint64_t now, uint64_t addr, uint32_t beats, uint32_t size, uint32_t kind) {
    const uint64_t first = addr >> size << size;
    if ((1u << size) > Port::bytes) memory.violate(Port::name, now, "a beat is wider than the bus", size);
    if (kind != 1) memory.violate(Port::name, now, "only incrementing bursts (INCR) are modelled", kind);
    if ((first >> 12) != ((first + (uint64_t(beats) << size) - 1) >> 12))
      memory.violate(Port::name, now, "a burst crosses a 4 KiB boundary", addr);
  }

  static uint64_t next_addr(uint64_t addr, uint32_t size) { return ((addr >> size) + 1) << size; }

  void sample_read_address(Top &t, Memory &memory, uint64_t now) {
    const bool valid = Port::arvalid(t);
    if (valid || ar_held.waiting) {
      const char *broken = ar_held.check(valid, arready, Port::araddr(t), Port::arlen(t), Port::arsize(t));
      if (broken) memory.violate(Port::name, now, broken, Port::araddr(t));
    }
    if (valid && arready) {
      Burst &burst = reads.push();
      burst.addr = Port::araddr(t);
      burst.beats = Port::arlen(t) + 1;
      burst.done = 0;
      burst.size = Port::arsize(t);
      burst.due = now + 1 + timing.read_latency;
      check_burst(memory, now, burst.addr, burst.beats, burst.size, Port::arburst(t));
      statistics.read_bursts++;
    }
    arready = reads.count < timing.requests && !ar_random.hit(timing.stall_threshold);
  }

  void sample_read_data(Top &t, Memory &memory, uint64_t now) {
    if (rvalid) {
      if (!Port::rready(t)) return;
      rvalid = false;
      Burst &burst = reads.at(0);
      statistics.read_beats++;
      statistics.read_bytes += 1u << burst.size;
      burst.addr = next_addr(burst.addr, burst.size);
      read_beat_due = now + timing.beat_cycles;
      if (++burst.done == burst.beats) reads.pop();
    }
    if (reads.count == 0) return;
    const Burst &burst = reads.at(0);
    if (now + 1 < burst.due || now + 1 < read_beat_due || r_random.hit(timing.stall_threshold)) return;
    const uint64_t line = burst.addr & ~uint64_t(Port::bytes - 1);
    rresp = memory.response(burst.addr, next_addr(burst.addr, burst.size) - 1, false);
    if (rresp == OKAY)
      memcpy(rdata, memory.bytes + (line - memory.base), Port::bytes);
    else
      memset(rdata, 0xDE, Port::bytes);
    rlast = burst.done + 1 == burst.beats;
    rvalid = rvalid_new = true;
  }

  void sample_write_address(Top &t, Memory &memory, uint64_t now) {
    const bool valid = Port::awvalid(t);
    if (valid || aw_held.waiting) {
      const char *broken = aw_held.check(valid, awready, Port::awaddr(t), Port::awlen(t), Port::awsize(t));
      if (broken) memory.violate(Port::name, now, broken, Port::awaddr(t));
    }
    if (valid && awready) {
      Burst &burst = writes.push();
      burst.addr = burst.staged_addr = Port::awaddr(t);
      burst.beats = Port::awlen(t) + 1;
      burst.done = burst.staged = 0;
      burst.size = Port::awsize(t);
      burst.response = OKAY;
      check_burst(memory, now, burst.addr, burst.beats, burst.size, Port::awburst(t));
      statistics.write_bursts++;
    }
    awready = writes.count < timing.requests && !aw_random.hit(timing.stall_threshold);
  }

  void sample_write_data(Top &t, Memory &memory, uint64_t now) {
    const bool valid = Port::wvalid(t);
    if (valid || w_held.waiting) {
      const char *broken = w_held.check(valid, wready, Port::wdata(t), Port::wstrb(t), Port::wlast(t));
      if (broken) memory.violate(Port::name, now, broken, now);
    }
    if (valid && wready) accept_beat(t, memory, now);
    wready = writes_complete < writes.count && now + 1 >= write_beat_due && !w_random.hit(timing.stall_threshold);
  }

  void accept_beat(Top &t, Memory &memory, uint64_t now) {
    Burst &burst = writes.at(writes_complete);
    const uint64_t line = burst.addr & ~uint64_t(Port::bytes - 1), next = next_addr(burst.addr, burst.size);
    const uint32_t strobes = Port::wstrb(t);
    uint8_t data[Port::bytes];
    memcpy(data, &Port::wdata(t), Port::bytes);
    for (unsigned lane = 0; lane < Port::bytes; lane++) {
      const uint64_t addr = line + lane;
      const bool enabled = strobes >> lane & 1;
      if (addr >= burst.addr && addr < next && burst.staged < sizeof burst.data) {
        burst.data[burst.staged] = data[lane];
        burst.enable[burst.staged++] = enabled;
      } else if (enabled) {
        memory.violate(Port::name, now, "a strobe is set outside the bytes of its beat", addr);
      }
    }
    const uint32_t response = memory.response(burst.addr, next - 1, true);
    if (response > burst.response) burst.response = response;
    statistics.write_beats++;
    statistics.write_bytes += 1u << burst.size;
    burst.addr = next;
    write_beat_due = now + timing.beat_cycles;
    const bool last = ++burst.done == burst.beats;
    if (last != bool(Port::wlast(t)))
      memory.violate(Port::name, now, last ? "WLAST is missing on the last beat" : "WLAST came early", burst.done);
    if (last) {
      burst.due = now + 1 + timing.write_latency;
      writes_complete++;
    }
  }

  void sample_response(Top &t, uint64_t) {
    if (bvalid && Port::bready(t)) {
      bvalid = false;
      writes.pop();
      writes_complete--;
    }
  }

  void present_response(Memory &memory, uint64_t now) {
    if (bvalid || writes_complete == 0) return;
    const Burst &burst = writes.at(0);
    if (now + 1 < burst.due || b_random.hit(timing.stall_threshold)) return;
    bvalid = true;
    bresp = burst.response;
    if (bresp != OKAY) return;
    uint8_t *target = memory.bytes + (burst.staged_addr - memory.base);
    for (uint32_t i = 0; i < burst.staged; i++)
      if (burst.enable[i]) target[i] = burst.data[i];
  }
};
