"use strict";
// What all pages draw with: elements, tables and charts, in plain DOM and SVG.
const main = document.getElementById("main");
const known = ["api", "cache", "stale", "native", "none", "all"];
const color = name => `var(--${known.includes(name) ? name : "bad"})`;
const el = (tag, attributes = {}, ...children) => {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
};
const svg = (tag, attributes = {}, text) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
};
const digits = v => Number(v.toPrecision(3)).toString();
const time = us => us === undefined ? "–" : us >= 1e6 ? digits(us / 1e6) + " s" : us >= 1e3 ? digits(us / 1e3) + " ms" : digits(us) + " µs";
const count = n => Math.round(n).toLocaleString("en");
const bytes = n => digits(n / (1 << 20)) + " MiB";
const share = v => (100 * v).toFixed(2) + " %";
const heading = (title, text) => main.append(el("h2", {}, title), ...(text ? [el("p", { class: "dim" }, text)] : []));
const table = (head, rows) => {
  const t = el("table"), top = el("tr");
  head.forEach(h => top.append(el("th", { scope: "col" }, h)));
  t.append(el("thead", {}, top));
  const body = el("tbody");
  rows.forEach(r => { const line = el("tr"); r.forEach(c => line.append(c instanceof Node ? c : el("td", {}, String(c)))); body.append(line); });
  t.append(body);
  main.append(el("div", { class: "wide" }, t));
};

// chart draws lines or stacked areas. Axes: {min, max, ticks, show, log}.
const W = 900, L = 66, R = 22, T = 8, B = 26;
const scale = (axis, from, to) => v => {
  const f = axis.log ? Math.log10 : x => x;
  return from + (f(Math.max(v, axis.min)) - f(axis.min)) / ((f(axis.max) - f(axis.min)) || 1) * (to - from);
};
const ticks = max => {
  const step = [1, 2, 5, 10].map(k => k * 10 ** Math.floor(Math.log10(max / 4 || 1))).find(s => max / s <= 5) || max || 1;
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, i) => i * step);
};
const linear = (max, show) => ({ min: 0, max: max || 1, ticks: ticks(max || 1), show });
const decades = (values, show) => {
  const low = 10 ** Math.floor(Math.log10(Math.min(...values) || 1)), high = Math.max(low * 10, 10 ** Math.ceil(Math.log10(Math.max(...values) || 1)));
  const t = []; for (let v = low; v <= high * 1.01; v *= 10) t.push(v);
  return { min: low, max: high, ticks: t, show, log: true };
};
const latencyAxis = values => decades(values.map(v => Math.max(1, v)), time);
// steps keeps a state until the next is seen: between two looks there is no half of it.
const steps = points => points.flatMap((p, i) => i + 1 < points.length ? [p, [points[i + 1][0], p[1]]] : [p]);
const chart = (label, x, y, series, { height = 240, spans = [], caption = "" } = {}) => {
  const s = svg("svg", { viewBox: `0 0 ${W} ${height}`, role: "img", "aria-label": label });
  const sx = scale(x, L, W - R), sy = scale(y, height - B, T);
  spans.forEach(f => {
    const from = sx(Math.max(x.min, f.from)), to = sx(Math.min(x.max, f.to));
    s.append(svg("rect", { x: from, y: T, width: Math.max(1, to - from), height: height - B - T, fill: "var(--fault)" }));
    s.append(svg("text", { x: from + 4, y: T + 12 }, f.name));
  });
  y.ticks.forEach(v => {
    s.append(svg("line", { x1: L, x2: W - R, y1: sy(v), y2: sy(v), stroke: "var(--line)" }));
    s.append(svg("text", { x: L - 6, y: sy(v) + 4, "text-anchor": "end" }, y.show(v)));
  });
  x.ticks.forEach(v => s.append(svg("text", { x: sx(v), y: height - 8, "text-anchor": "middle" }, x.show(v))));
  series.forEach(line => {
    if (line.base) {
      const up = line.points.map(p => `${sx(p[0])},${sy(p[1])}`), down = line.base.map(p => `${sx(p[0])},${sy(p[1])}`).reverse();
      if (up.length) s.append(svg("polygon", { points: up.concat(down).join(" "), fill: line.color }));
    } else s.append(svg("polyline", { points: (line.step ? steps(line.points) : line.points).map(p => `${sx(p[0])},${sy(p[1])}`).join(" "), fill: "none", stroke: line.color,
      "stroke-width": 2, "stroke-dasharray": line.dashed ? "5 4" : "none", "stroke-linejoin": "round" }));
    if (line.dots) line.points.forEach(p => s.append(svg("circle", { cx: sx(p[0]), cy: sy(p[1]), r: 3.5, fill: line.color })));
  });
  const legend = el("div", { class: "legend" });
  series.forEach(l => legend.append(el("span", {}, el("i", { class: "key", style: `background:${l.color};${l.dashed ? "opacity:.5" : ""}` }), l.name)));
  main.append(el("figure", {}, legend, s, ...(caption ? [el("figcaption", {}, caption)] : [])));
};
