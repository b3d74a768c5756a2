// Pins of an overlay that are no bus: played from run-length lists, recorded as changes, at full speed.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

struct PinPlace {
  unsigned bytes;
  bool output;
  void *(*at)(Top &);
};

struct Pin {
  static constexpr uint64_t never = ~0ull;
  // Player: value `index` is driven for `lengths[index]` cycles, and the last one for ever.
  std::vector<uint8_t> values;
  std::vector<uint64_t> lengths;
  size_t index = 0;
  uint64_t due = never;
  // Recorder
  bool recording = false;
  std::vector<uint8_t> last, seen;
  std::vector<uint64_t> seen_at;
};

struct Pins {
  std::vector<Pin> all;
  uint64_t next_due = Pin::never;
  bool any_recording = false;

  void play(uint64_t now, Top &t, const PinPlace *places) {
    next_due = Pin::never;
    for (size_t i = 0; i < all.size(); i++) {
      Pin &pin = all[i];
      while (pin.due <= now) {
        memcpy(places[i].at(t), &pin.values[pin.index * places[i].bytes], places[i].bytes);
        pin.due += pin.lengths[pin.index++];
        if (pin.index == pin.lengths.size()) pin.due = Pin::never;
      }
      if (pin.due < next_due) next_due = pin.due;
    }
  }

  void record(uint64_t now, Top &t, const PinPlace *places) {
    for (size_t i = 0; i < all.size(); i++) {
      Pin &pin = all[i];
      if (!pin.recording) continue;
      const uint8_t *value = static_cast<const uint8_t *>(places[i].at(t));
      if (!pin.last.empty() && memcmp(value, pin.last.data(), places[i].bytes) == 0) continue;
      pin.last.assign(value, value + places[i].bytes);
      pin.seen.insert(pin.seen.end(), value, value + places[i].bytes);
      pin.seen_at.push_back(now);
    }
  }
};
