// The page: one event stream in, figures out. The server names every value; nothing is computed here but layout.

import { bar, drawHistogram, drawLayers, drawTraffic, rounded } from "./charts.js";

const LOST_MS = 3000, ANNOUNCE_MS = 10000;
const byId = (id) => document.getElementById(id);
const count = (value) => Math.round(value).toLocaleString("en");
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
const page = { paused: false, heardAt: performance.now(), state: null, picture: null, layers: null };

function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function tile(name, text) {
  setText(document.querySelector(`[data-tile="${name}"]`), text);
}

// Rows of a table, cell by cell: unchanged ones stay, so that selections and readers are not disturbed.
function fill(table, rows) {
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach(({ cells, className = "" }, at) => {
    const row = body.rows[at] ?? body.insertRow();
    if (row.className !== className) row.className = className;
    cells.forEach((cell, index) => {
      const { text, kind = "", head = false, node = null } = cell;
      let target = row.cells[index];
      if (!target) {
        target = document.createElement(head ? "th" : "td");
        if (head) target.scope = "row";
        row.append(target);
      }
      if (target.className !== kind) target.className = kind;
      if (node) target.replaceChildren(node);
      else setText(target, text);
    });
  });
}

const number = (text) => ({ text, kind: "number" });
const head = (text) => ({ text, head: true });

function clock(seconds) {
  if (seconds > 1e8) return new Date(seconds * 1000).toLocaleTimeString("en-GB");
  const whole = Math.floor(seconds), minutes = Math.floor(whole / 60);
  return `${minutes}:${String(whole % 60).padStart(2, "0")}.${String(Math.floor((seconds % 1) * 10))}`;
}

const announcer = { number: 0, at: -ANNOUNCE_MS };

// At most one sentence in ten seconds, however many alerts there are.
function announce(alerts) {
  const newest = Math.max(0, ...alerts.map((row) => row.number));
  const now = performance.now();
  if (newest <= announcer.number || now - announcer.at < ANNOUNCE_MS) return;
  const fresh = alerts.filter((row) => row.number > announcer.number);
  const kinds = [...new Set(fresh.map((row) => row.class))].join(", ");
  byId("announcer").textContent = `${fresh.length === 1 ? "A new burst" : `${fresh.length} new bursts`} of alerts: ${kinds}`;
  Object.assign(announcer, { number: newest, at: now });
}

function showCan(can) {
  tile("frames_per_s", count(can.frames_per_s));
  tile("bus_load", percent(can.bus_load));
  tile("bit_rate", `of ${(can.bit_rate / 1000).toLocaleString("en")} kbit/s`);
  tile("alerts", count(can.alerts));
  tile("alerts_of", `of ${count(can.frames)} frames`);
  fill(byId("classes"), can.classes.map((row) => ({
    cells: [head(row.name), number(count(row.frames)), number(count(row.alerts))],
  })));
  const { frames, alerts, load } = can.history;
  drawTraffic(byId("traffic"), can.history);
  const most = (values) => Math.max(0, ...values);
  setText(byId("traffic-text"), frames.length
    ? `In the last ${frames.length} seconds: up to ${count(most(frames))} frames and ${count(most(alerts))} alerts a second, bus load up to ${percent(most(load))}.`
    : "Nothing yet.");
  fill(byId("alerts"), can.last_alerts.map((row) => ({
    className: can.now - row.last < 1.5 ? "fresh" : "",
    cells: [
      { text: clock(row.first) }, { text: row.class, kind: "attack" }, number(count(row.count)),
      { text: `${row.identifier}${row.identifiers > 1 ? ` and ${count(row.identifiers - 1)} more` : ""}: ${row.data}` },
      number(count(row.score)),
    ],
  })));
  byId("no-alerts").hidden = can.last_alerts.length > 0;
  announce(can.last_alerts);
  showLatency(can);
  const lost = Object.entries(can.dropped).map(([reason, frames]) => `${count(frames)} frames left out: ${reason}.`);
  setText(byId("can-dropped"), lost.join(" "));
}

function showLatency({ latency, overlay_latency_us: worst }) {
  const overlay = worst === null ? "" : ` The overlay itself: at most ${worst.toFixed(2)} µs after the last CRC bit on its pins.`;
  if (!latency) {
    tile("latency", worst === null ? "–" : `${worst.toFixed(2)} µs`);
    setText(byId("latency-text"), `The time stamps of this source have no clock to compare with.${overlay}`);
    return;
  }
  tile("latency", `${latency.median_ms.toLocaleString("en", { maximumSignificantDigits: 3 })} ms`);
  drawHistogram(byId("latency"), latency.counts, latency.edges_ms, "ms");
  setText(byId("latency-text"),
    `From a frame's end on the bus to its verdict on this host, batches included: half within ${latency.median_ms} ms, `
    + `99 % within ${latency.p99_ms} ms, all within ${latency.most_ms.toFixed(1)} ms.${overlay}`);
}

function showDetector(detector) {
  tile("fps", detector.fps && detector.fps < 1 ? detector.fps.toPrecision(2) : detector.fps.toFixed(1));
  const slowest = detector.stages.reduce((one, other) => (other.mean_ms > (one?.mean_ms ?? 0) ? other : one), null);
  fill(byId("stages"), detector.stages.map((stage) => ({
    cells: [head(stage.name), number(stage.mean_ms.toFixed(2)), number(stage.most_ms.toFixed(2)),
      { kind: "bar", node: bar(slowest ? stage.mean_ms / slowest.mean_ms : 0) }],
  })));
  const dropped = detector.dropped ? ` ${count(detector.dropped)} pictures were dropped, newer ones came.` : "";
  const pace = slowest
    ? `${count(detector.frames)} pictures; ${slowest.name} sets the pace; ${count(detector.latency_ms)} ms from camera to boxes.${dropped}`
    : "No picture yet.";
  setText(byId("pace"), `${pace} ${detector.progress}`.trim());
}

function showLayers({ rows: layers, origin }) {
  byId("layers-card").hidden = !layers.length;
  if (!layers.length) return;
  const kib = (bytes) => bytes / 1024;
  const sum = (key) => layers.reduce((total, layer) => total + layer[key], 0);
  const busiest = layers.reduce((one, other) => (other.cycles > one.cycles ? other : one));
  const overall = layers.reduce((total, layer) => total + layer.lane_use * layer.cycles, 0) / sum("cycles");
  drawLayers(byId("lanes"), layers.map((layer) => [layer.lane_use]), {
    most: 1, format: percent, names: layers.map((layer) => `${layer.name}: ${percent(layer.lane_use, 1)} of the lanes`),
  });
  setText(byId("lanes-text"), `${layers.length} layers, ${percent(overall, 1)} of all lanes over the whole network; `
    + `${busiest.name} takes longest, ${count(busiest.cycles)} of ${count(sum("cycles"))} cycles. ${origin}`);
  const largest = rounded(Math.max(...layers.map((layer) => kib(layer.read_bytes + layer.write_bytes))));
  drawLayers(byId("bytes"), layers.map((layer) => [kib(layer.read_bytes), kib(layer.write_bytes)]), {
    most: largest,
    names: layers.map((layer) => `${layer.name}: ${count(kib(layer.read_bytes))} KiB read, ${count(kib(layer.write_bytes))} KiB written`),
  });
  setText(byId("bytes-text"), `KiB; ${count(kib(sum("read_bytes")))} KiB read and ${count(kib(sum("write_bytes")))} KiB written a picture.`);
  fill(byId("layers"), layers.map((layer) => ({
    cells: [head(layer.name), number(count(layer.cycles)), number(percent(layer.lane_use, 1)),
      number(kib(layer.read_bytes).toFixed(1)), number(kib(layer.write_bytes).toFixed(1))],
  })));
}

function showPicture({ jpeg, width, height, detections }) {
  const image = byId("picture");
  const found = detections.map((one) => `${one.class} ${percent(one.score)}`).join(", ");
  const text = detections.length ? `${detections.length} ${detections.length === 1 ? "object" : "objects"}: ${found}` : "no object found";
  if (image.width !== width) Object.assign(image, { width, height });
  image.src = `data:image/jpeg;base64,${jpeg}`;
  image.alt = `Picture from the camera, ${text}`;
  image.hidden = false;
  setText(byId("detections"), `${text[0].toUpperCase()}${text.slice(1)}.`);
}

function showFacts(facts) {
  const list = byId("facts");
  if (list.children.length) return;
  for (const [name, fact] of Object.entries(facts)) {
    const term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = name;
    value.textContent = fact;
    list.append(term, value);
  }
}

function showNotes(notes) {
  const list = byId("notes");
  if (list.children.length === notes.length) return;
  list.replaceChildren(...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  list.hidden = notes.length === 0;
}

function show(state) {
  for (const system of ["can", "detector"]) {
    for (const part of document.querySelectorAll(`.for-${system}`)) part.hidden = !state[system];
  }
  if (state.can) showCan(state.can);
  if (state.detector) showDetector(state.detector);
  const power = state.power;
  tile("watts", power?.watts == null ? "–" : `${power.watts.toFixed(2)} W`);
  tile("rail", power?.watts == null ? power?.reason ?? "" : `rail ${power.rail}`);
  showFacts(state.facts);
  showNotes(state.notes);
  setText(byId("counts"), `${state.clients} ${state.clients === 1 ? "page reads" : "pages read"} along; `
    + `${count(state.dropped_events)} updates were replaced by newer ones for slow readers.`);
}

function setStatus(kind, text) {
  const status = byId("status");
  status.dataset.state = kind;
  setText(status, text);
}

function draw() {
  if (page.paused || document.hidden) return;
  if (page.state) show(page.state);
  if (page.picture) showPicture(page.picture);
  if (page.layers) showLayers(page.layers);
  page.state = page.picture = page.layers = null;
}

// What comes is kept and drawn with the next frame of the screen: a hidden or paused page costs nothing.
function heard(kind, event) {
  page[kind] = JSON.parse(event.data);
  page.heardAt = performance.now();
  if (!page.paused) setStatus("live", "live");
  requestAnimationFrame(draw);
}

const stream = new EventSource("events");
for (const kind of ["state", "picture", "layers"]) stream.addEventListener(kind, (event) => heard(kind, event));

setInterval(() => {
  const silent = performance.now() - page.heardAt > LOST_MS;
  if (stream.readyState === EventSource.CLOSED) setStatus("lost", "refused by the server; load the page again");
  else if (silent) setStatus("lost", "no news from the server; trying again");
}, 1000);

document.addEventListener("visibilitychange", draw);
byId("pause").addEventListener("click", (event) => {
  page.paused = !page.paused;
  setText(event.target, page.paused ? "Resume" : "Pause");
  setStatus(page.paused ? "waiting" : "live", page.paused ? "paused" : "live");
  draw();
});
