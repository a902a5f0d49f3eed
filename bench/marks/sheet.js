// A sheet: figures held against marks, and how figures grow.
main.append(el("h1", {}, data.title), el("p", { class: "dim" }, new Date(data.started).toUTCString(), " · ", el("code", {}, data.command)));
const machine = data.environment;
if (machine.load_before[0] > 0.5 * machine.cores) main.append(el("p", { class: "banner" }, "The machine was busy with other work (load " + machine.load_before[0] + " on " + machine.cores + " cores): even ratios scatter."));

const figure = (v, unit) => (Math.abs(v) >= 1000 ? count(v) : digits(v)) + (unit ? " " + unit : "");
const bound = (m, v) => v ? (m.at_most ? "≤ " : "≥ ") + figure(v, m.unit) : "–";
const verdictClass = v => ["stretch", "kept"].includes(v) ? "pass" : ["missed", "failed"].includes(v) ? "fail" : "dim";
const marks = data.marks || [];
if (marks.length) {
  const n = kind => marks.filter(m => kind.includes(m.verdict)).length;
  const cards = el("div", { class: "cards" });
  [[n(["stretch"]), "keep the better mark"], [n(["kept"]), "keep the mark"], [n(["missed"]), "miss it"], [n(["void", "failed", "told"]), "not judged"]]
    .forEach(([v, text]) => cards.append(el("div", { class: "card" }, el("b", {}, String(v)), el("span", {}, text))));
  main.append(cards);
  heading("Marks", "Ratios are against a baseline measured in turn with it, in the same run: medians of the pairs, with the interval that holds them with 95 % confidence. Close: the interval holds the mark, another run may fall on its other side.");
  table(["path", "measured", "95 %", "mark", "stretch", "verdict"], marks.map(m => [
    el("td", { class: "wrap" }, m.path), m.error ? "–" : figure(m.got, m.unit), m.low === m.high ? "–" : digits(m.low) + " … " + digits(m.high),
    bound(m, m.bound), bound(m, m.stretch), el("td", { class: verdictClass(m.verdict) }, m.verdict + (m.close && m.verdict !== "void" ? ", close" : ""))]));
  bars(marks.filter(m => m.bound && !m.error));
  heading("How each was measured");
  marks.forEach(m => main.append(el("details", {}, el("summary", {}, m.path),
    ...[m.a, m.b, m.note, ...(m.void || []), m.error].filter(Boolean).map(t => el("p", { class: "dim" }, t)))));
}

// bars shows each figure in terms of its mark, so that what keeps it ends on the good side.
function bars(list) {
  const row = 22, width = 900, left = 330, s = svg("svg", { viewBox: `0 0 ${width} ${list.length * row + 30}`, role: "img", "aria-label": "Each figure in terms of its mark" });
  const worth = m => v => m.at_most ? m.bound / v : v / m.bound, most = 2;
  const x = v => left + Math.min(v, most) / most * (width - left - 12);
  list.forEach((m, i) => {
    const y = i * row + 4, of = worth(m);
    s.append(svg("text", { x: left - 8, y: y + 12, "text-anchor": "end" }, m.path.length > 56 ? m.path.slice(0, 55) + "…" : m.path));
    s.append(svg("rect", { x: left, y, width: Math.max(1, x(of(m.got)) - left), height: row - 8, rx: 3, fill: m.verdict === "void" ? "var(--none)" : of(m.got) >= 1 ? "var(--api)" : "var(--bad)" }));
    if (m.low !== m.high) s.append(svg("line", { x1: x(of(m.low)), x2: x(of(m.high)), y1: y + (row - 8) / 2, y2: y + (row - 8) / 2, stroke: "var(--ink)", "stroke-width": 1.5 }));
  });
  s.append(svg("line", { x1: x(1), x2: x(1), y1: 0, y2: list.length * row, stroke: "var(--ink)", "stroke-dasharray": "3 3" }));
  s.append(svg("text", { x: x(1), y: list.length * row + 16, "text-anchor": "middle" }, "the mark"));
  main.append(el("figure", {}, s, el("figcaption", {}, "Each figure in terms of its mark: what reaches the dashed line keeps it. A bar ends at twice the mark.")));
}

const palette = ["cache", "native", "stale", "api"];
const plain = v => v >= 1e6 ? digits(v / 1e6) + " M" : v >= 1e4 ? digits(v / 1e3) + " k" : digits(v);
(data.plots || []).forEach(p => {
  heading(p.title, p.says);
  const all = i => p.series.flatMap(s => s.points.map(v => v[i]));
  const axis = (a, values) => a.log ? decades(values, plain) : linear(Math.max(...values), plain);
  const lines = p.series.map((s, i) => ({ name: s.name, color: color(palette[i % palette.length]), points: s.points, dots: true }));
  chart(p.title, axis(p.x, all(0)), axis(p.y, all(1)), lines,
    { height: 260, caption: `Across: ${p.x.name}${p.x.unit ? ", " + p.x.unit : ""}. Upwards: ${p.y.name}${p.y.unit ? ", " + p.y.unit : ""}.` });
});

heading("Machine", "Ratios within a run count. Absolute figures are this machine's.");
table(["", ""], [["processor", machine.cpu], ["cores, GOMAXPROCS of the generator", machine.cores + ", " + machine.gomaxprocs], ["system", machine.kernel + ", " + machine.go],
  ["commit", machine.commit], ["load before, after", machine.load_before.join(" ") + ", " + machine.load_after.join(" ")], ["throttled", machine.throttled]]);
(data.method || []).forEach(m => main.append(el("p", { class: "dim" }, m)));
