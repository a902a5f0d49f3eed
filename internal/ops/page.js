// Keeps the status page up to date from /status.json. No library, nothing from elsewhere.
"use strict";

const every = 2000; // milliseconds between two looks
const sources = ["api", "cache", "stale", "native", "none"];
const byId = (id) => document.getElementById(id);

// el makes an element. Text is only ever set as text.
function el(name, attributes = {}, ...children) {
  const e = document.createElementNS(name.startsWith("svg:") ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", name.replace("svg:", ""));
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children.map((c) => (c instanceof Node ? c : String(c))));
  return e;
}

const number = (n) => (Math.abs(n) >= 100 || Number.isInteger(n) ? Math.round(n).toLocaleString("en") : n.toPrecision(2));
const bytes = (n) => (n < 1 << 20 ? `${(n / 1024).toFixed(0)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`);
const percent = (n) => `${(100 * n).toFixed(n > 0 && n < 0.1 ? 1 : 0)} %`;
const clock = (t) => new Date(t).toLocaleTimeString("en-GB");

function duration(s) {
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

// table fills a table: heads are names, numeric ones with a leading "#"; cells are text or nodes.
function table(id, heads, rows, empty) {
  const at = byId(id);
  if (rows.length === 0) return at.replaceChildren(el("tbody", {}, el("tr", {}, el("td", { class: "dim" }, empty))));
  const side = (i) => (heads[i].startsWith("#") ? { class: "number" } : {});
  at.replaceChildren(
    el("thead", {}, el("tr", {}, ...heads.map((h, i) => el("th", { scope: "col", ...side(i) }, h.replace("#", ""))))),
    el("tbody", {}, ...rows.map((r) => el("tr", {}, ...r.map((c, i) => el("td", side(i), c))))),
  );
}

function tiles(id, entries) {
  byId(id).replaceChildren(...entries.map(([name, value, lost]) =>
    el("div", lost ? { class: "lost" } : {}, el("dt", {}, name), el("dd", {}, value))));
}

// nice rounds up to a number that is good to read at the top of a scale.
function nice(n) {
  const ten = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 5, 10].map((f) => f * ten).find((f) => f >= n) ?? 10 * ten;
}

// chart draws series of equal length, each {name, values}, over five minutes: stacked as areas, or as lines.
function chart(name, series, stacked, unit) {
  const svg = byId(`chart-${name}`), { width: w, height: h } = svg.getBoundingClientRect();
  const left = 30, bottom = 14, most = 59, length = series[0].values.length;
  const stack = new Array(length).fill(0);
  const tops = series.map((s) => s.values.map((v, i) => (stacked ? (stack[i] += v) : v)));
  const top = nice(Math.max(1, ...tops.flat()));
  const x = (i) => left + ((w - left) * (most - (length - 1 - i))) / most;
  const y = (v) => (h - bottom) * (1 - v / top) + 4 * (v / top);
  const points = (values) => values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
  const drawn = series.map((s, k) => {
    const line = points(tops[k]);
    if (!stacked) return el("svg:polyline", { class: `c-${s.name}`, points: line.join(" ") });
    const below = points(k > 0 ? tops[k - 1] : new Array(length).fill(0)).reverse();
    return el("svg:polygon", { class: `c-${s.name}`, points: [...line, ...below].join(" ") });
  });
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  svg.replaceChildren(
    ...[0, top / 2, top].flatMap((v) => [
      el("svg:line", { class: "grid", x1: left, x2: w, y1: y(v), y2: y(v) }),
      el("svg:text", { x: left - 4, y: y(v) + 3, "text-anchor": "end" }, number(v)),
    ]),
    el("svg:text", { x: left, y: h - 1 }, "5 min ago"), el("svg:text", { x: w, y: h - 1, "text-anchor": "end" }, "now"),
    ...(length > 1 ? drawn : []),
  );
  byId(`legend-${name}`).replaceChildren(...series.map((s) =>
    el("span", {}, el("i", { class: `c c-${s.name}` }), `${s.name} ${length ? number(s.values[length - 1]) : "–"}${unit}`)));
}

function charts(history) {
  chart("sources", sources.map((name) => ({ name, values: history.map((m) => (m.sources[name] ?? 0) / m.seconds) })), true, "/s");
  chart("latency", [{ name: "p50", values: history.map((m) => m.p50Ms) }, { name: "p99", values: history.map((m) => m.p99Ms) }], false, " ms");
  chart("pending", [{ name: "pending", values: history.map((m) => m.pending) }], false, "");
}

const word = (state, of = state) => el("span", { class: `state-${of}` }, state);

function breakers(all) {
  const until = (t) => (t ? `until ${clock(t)}` : "");
  const last = (b) => (b.changes?.length ? `${clock(b.changes.at(-1).at)} ${b.reason}` : "");
  table("breakers", ["name", "state", "", "#calls", "#failed", "#slow", "last change"], all.map((b) => [
    b.name, word(b.state), b.override !== "auto" ? `set by an operator ${until(b.overrideUntil)}` : b.holdUntil ? `asked to pause ${until(b.holdUntil)}` : until(b.openUntil),
    number(b.calls), number(b.failed), number(b.slow), last(b),
  ]), "none");
  const changes = all.flatMap((b) => b.changes ?? []).sort((a, b) => b.at.localeCompare(a.at));
  byId("changes-box").firstElementChild.textContent = `History (${changes.length})`;
  table("changes", ["at", "breaker", "from", "to", "reason"], changes.map((c) => [clock(c.at), c.name, word(c.from), word(c.to), c.reason]), "Nothing has changed since the start.");
}

function answers(minute) {
  table("sources", ["last minute", "#answers", "#share", "#p50 ms", "#p99 ms"], sources.filter((s) => minute.sources[s]).map((s) => {
    const of = minute.sources[s];
    return [el("span", {}, el("i", { class: `c c-${s}` }), s), number(of.requests), percent(of.share), number(of.p50Ms), number(of.p99Ms)];
  }), "Nobody asked in the last minute.");
  const reasons = Object.entries(minute.reasons).sort((a, b) => b[1] - a[1]);
  byId("reasons").textContent = reasons.length ? `Not better because: ${reasons.map(([r, n]) => `${r} ${number(n)}`).join(", ")}` : "";
}

function events(e) {
  const dropped = Object.values(e.dropped).reduce((a, b) => a + b, 0);
  tiles("events", [
    ["accepted", number(e.accepted)], ["delivered", number(e.delivered)], ["pending", number(e.pending)],
    ["oldest pending", duration(e.oldestPendingSeconds)], ["expired", number(e.expired), e.expired > 0],
    ["dropped", number(dropped), dropped > 0], ["parked in Redis", number(e.parked)], ["deduplicated", number(e.deduplicated)],
  ]);
}

function render(s) {
  const verdict = byId("verdict");
  if (verdict.textContent !== s.verdict) verdict.textContent = s.verdict;
  verdict.dataset.well = s.well;
  delete verdict.dataset.lost;
  byId("version").textContent = s.version;
  byId("uptime").textContent = duration(s.uptimeSeconds);
  byId("live").textContent = `live, ${clock(s.at)}`;
  charts(s.history);
  answers(s.lastMinute);
  breakers(s.breakers);
  events(s.events);
  table("dependencies", ["name", "state", ""], Object.entries(s.readiness.dependencies).map(([name, d]) =>
    [name, word(d.ready ? "ready" : "away"), d.detail ?? ""]), "nothing");
  tiles("held", [
    ["cache", bytes(s.cache.bytes)], ["rankings", number(s.cache.entries)], ["journal", s.journal.segments ? bytes(s.journal.bytes) : "none"],
    ["heap", bytes(s.memory.heap)], ["from the system", bytes(s.memory.total)], ["GOMEMLIMIT", s.memory.limit ? bytes(s.memory.limit) : "none"],
  ]);
  table("errors", ["at", "", "message"], [...s.lastErrors].reverse().map((e) =>
    [clock(e.at), e.level, `${e.message} ${e.attributes ?? ""}${e.suppressed ? ` (and ${e.suppressed} more)` : ""}`]), "None.");
  table("figures", ["name", "#value"], Object.entries(s.figures).sort().map(([name, v]) => [name, number(v)]), "none");
  const conf = byId("configuration"), text = typeof s.configuration === "string" ? s.configuration : JSON.stringify(s.configuration, null, 2) ?? "";
  if (conf.textContent !== text) conf.textContent = text; // a reader may have selected some of it
}

// look fetches the status, unless nobody sees the page.
async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/status.json", { signal: AbortSignal.timeout(5 * every) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    render(await answer.json());
  } catch {
    byId("verdict").dataset.lost = "";
    byId("live").textContent = "no answer from the sidecar: what is shown is old";
  }
}

async function loop() {
  await look();
  setTimeout(loop, every);
}

// question turns the form into the event that a shop would send.
function question(form) {
  const f = Object.fromEntries(new FormData(form));
  const event = { sessionId: f.sessionId, eventType: f.eventType, data: { id: f.id } };
  if (f.userId) event.userId = f.userId;
  const native = f.native.split(/[\s,]+/).filter(Boolean);
  if (native.length) event.vitrine = { native };
  return event;
}

function explained(e) {
  const out = byId("explanation");
  out.replaceChildren(
    el("p", {}, "It would answer from ", el("strong", {}, e.source), e.reason ? `, reason ${e.reason}` : "", `, with ${(e.products ?? []).length} products.`),
    el("div", { class: "scroll" }, el("table", { id: "rungs" })), el("div", { class: "scroll" }, el("table", { id: "removed" })),
    el("p", { class: "dim" }, (e.products ?? []).map((p) => `${p.id} (${p.source})`).join(", ")),
  );
  table("rungs", ["tried", "gave", "#products", "age", "fresh for", "why"], (e.rungs ?? []).map((r) => [r.rung, r.gave, number(r.products), r.age ?? "", r.ttl ?? "", r.why ?? ""]), "Nothing was tried.");
  table("removed", ["removed", "from", "rule", "why"], (e.removed ?? []).map((r) => [r.id, r.source, r.rule, r.why ?? ""]), "Nothing was removed.");
}

byId("explain-form")?.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  try {
    const answer = await fetch("/explain", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question(submitted.target)),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.detail);
    explained(said);
  } catch (why) {
    byId("explanation").replaceChildren(el("p", { class: "refused" }, why.message));
  }
});

document.addEventListener("visibilitychange", look);
loop();
