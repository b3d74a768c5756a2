// Charts as inline SVG, drawn anew from numbers; each comes with its text elsewhere on the page.

const WIDTH = 640, HEIGHT = 180, LEFT = 44, RIGHT = 44, TOP = 10, BOTTOM = 24;
const BASE = HEIGHT - BOTTOM, SPAN = WIDTH - LEFT - RIGHT;

export function element(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

function label(x, y, text, anchor = "middle") {
  return element("text", { x, y, "text-anchor": anchor }, text);
}

function axes(most, format = (value) => value.toLocaleString("en")) {
  return [
    element("path", { class: "axis", d: `M${LEFT} ${TOP}V${BASE}H${WIDTH - RIGHT}` }),
    label(LEFT - 6, BASE + 4, "0", "end"),
    label(LEFT - 6, TOP + 8, format(most), "end"),
  ];
}

function show(svg, parts) {
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.replaceChildren(...parts);
}

// 1, 2 or 5 times a power of ten: axes that stay still while values move.
export function rounded(most) {
  if (!(most > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(most));
  return ten * [1, 2, 5, 10].find((step) => step * ten >= most * 0.9999);
}

// Bars of two columns behind each other, newest at the right, and a line of shares of the full height.
export function drawTraffic(svg, { frames, alerts, load }, seconds = 60) {
  const most = rounded(Math.max(10, ...frames));
  const step = SPAN / seconds;
  const at = (index) => LEFT + SPAN - (frames.length - index) * step;
  const bars = (values, kind) => values.map((value, index) => element("rect", {
    class: kind, x: at(index) + step * 0.12, width: step * 0.76,
    y: BASE - (BASE - TOP) * value / most, height: (BASE - TOP) * value / most,
  }));
  const points = load.map((share, index) =>
    `${(at(index) + step / 2).toFixed(1)},${(BASE - (BASE - TOP) * Math.min(share, 1)).toFixed(1)}`);
  show(svg, [
    ...axes(most),
    label(WIDTH - RIGHT + 5, TOP + 8, "100 %", "start"),
    ...bars(frames, "one"), ...bars(alerts, "two"),
    element("polyline", { class: "stroke", points: points.join(" ") }),
    label(LEFT, HEIGHT - 7, `${seconds} s ago`, "start"), label(WIDTH - RIGHT, HEIGHT - 7, "now", "end"),
  ]);
}

// A bar a bin; `edges` are the upper ends of all bins but the last.
export function drawHistogram(svg, counts, edges, unit) {
  const used = counts.findLastIndex((count) => count > 0) + 1;
  const shown = Math.max(4, used + 1 > counts.length ? counts.length : used + 1);
  const most = rounded(Math.max(1, ...counts));
  const step = SPAN / shown;
  const parts = axes(most);
  for (let index = 0; index < shown; index += 1) {
    const high = (BASE - TOP) * counts[index] / most;
    parts.push(element("rect", { class: "one", x: LEFT + index * step + 1, width: step - 2, y: BASE - high, height: high }));
    if (index < shown - 1) parts.push(label(LEFT + (index + 1) * step, HEIGHT - 7, `${edges[index]}`));
  }
  parts.push(label(WIDTH - RIGHT, HEIGHT - 7, unit, "end"));
  show(svg, parts);
}

// A bar a layer, of one or two values on top of each other; a bar tells its layer when pointed at.
export function drawLayers(svg, rows, { most, format, names }) {
  const step = SPAN / Math.max(rows.length, 1);
  const parts = axes(most, format);
  rows.forEach((values, index) => {
    const group = element("g");
    group.append(element("title", {}, names[index]));
    let base = BASE;
    values.forEach((value, kind) => {
      const high = (BASE - TOP) * Math.min(value / most, 1);
      base -= high;
      group.append(element("rect", {
        class: kind ? "two" : "one", x: LEFT + index * step + step * 0.1, width: step * 0.8, y: base, height: high,
      }));
    });
    parts.push(group);
  });
  parts.push(label(LEFT, HEIGHT - 7, "first layer", "start"), label(WIDTH - RIGHT, HEIGHT - 7, "last", "end"));
  show(svg, parts);
}

// A bar beside a row of a table.
export function bar(share) {
  const svg = element("svg", { viewBox: "0 0 100 7", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(element("rect", { class: "one", width: Math.max(0.5, 100 * share), height: 7, rx: 1 }));
  return svg;
}
