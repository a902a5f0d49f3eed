// A run, data[0], and one to lay over it, data[1].
const run = data[0], other = data[1];
main.append(el("h1", {}, run.title), el("p", { class: "dim" }, new Date(run.started).toUTCString(), " · ", el("code", {}, run.command)));
if (other) main.append(el("p", { class: "dim" }, "Laid over it, dashed: ", other.title, ", ", new Date(other.started).toUTCString()));
(run.void || []).forEach(v => main.append(el("p", { class: "banner" }, "This run is void: " + v)));
const busy = e => e.load_before[0] > 0.5 * e.cores;
if (busy(run.environment)) main.append(el("p", { class: "banner" }, "The machine was busy with other work (load " + run.environment.load_before[0] + " on " + run.environment.cores + " cores): latencies are not the sidecar's own. Counts, sources and losses hold."));
(run.violations || []).forEach(v => main.append(el("p", { class: "banner" }, `Violation, ${v.kind}, ${v.count} times. First: ${v.example}`)));

const row = (r, name) => r.rows.find(x => x.name === name);
const all = row(run, "all") || { quantiles: {}, count: 0 };
const good = ["api", "cache", "stale"].reduce((n, k) => n + ((row(run, k) || {}).count || 0), 0);
const cards = el("div", { class: "cards" });
[[count(all.count), "requests measured"], [time(all.quantiles.p50), "median, all sources"], [time(all.quantiles.p99), "99th percentile"],
 [share(good / Math.max(1, all.count)), "ranked by the AI"], [count(run.ledger.lost), "events lost"], [count((run.violations || []).reduce((n, v) => n + v.count, 0)), "wrong answers"]]
  .forEach(([v, text]) => cards.append(el("div", { class: "card" }, el("b", {}, v), el("span", {}, text))));
main.append(cards);

if ((run.objectives || []).length) {
  heading("Objectives");
  const unit = o => v => o.metric === "valid" || o.metric === "share" ? share(v) : time(v * 1e6);
  table(["objective", "bound", "got", ""], run.objectives.map(o => [o.metric + (o.source === "all" ? "" : " of " + o.source),
    (o.at_most ? "≤ " : "≥ ") + unit(o)(o.bound), o.known ? unit(o)(o.got) : "too few samples", el("td", { class: o.pass ? "pass" : "fail" }, o.pass ? "kept" : "not kept")]));
}

heading("Latency by source", "From the instant a request was due, so that a sidecar that stands still is seen to keep people waiting. – means fewer than 100 samples beyond that quantile.");
const line = r => [r.name, count(r.count), share(r.share), ...["p50", "p90", "p99", "p99.9"].map(q => time(r.quantiles[q])), time(r.max)];
table(["source", "requests", "share", "p50", "p90", "p99", "p99.9", "max"], [...run.rows, run.service, run.lag].map(line));

const curves = (r, dashed) => r.rows.filter(x => (x.curve || []).length > 1)
  .map(x => ({ name: x.name + (dashed ? " (other)" : ""), color: color(x.name), dashed, points: x.curve.map(p => [1 / (1 - p.q), p.v]) }));
const lines = curves(run, false).concat(other ? curves(other, true) : []);
if (lines.length) {
  const nines = Math.max(...lines.flatMap(l => l.points.map(p => p[0])));
  const at = [2, 10, 100, 1000, 10000].filter(v => v <= nines * 1.01);
  chart("Latency by percentile", { min: 2, max: Math.max(nines, 10), ticks: at, show: v => "p" + digits(100 * (1 - 1 / v)), log: true },
    latencyAxis(lines.flatMap(l => l.points.map(p => p[1]))), lines, { height: 300, caption: "Each step to the right is one more nine. A curve ends where fewer than 100 samples are left." });
}

const tl = run.timeline, end = Math.max(...tl.at, 0) + tl.width / 1e6;
const clock = linear(end, v => digits(v) + " s"), spans = tl.spans || [];
if (tl.at.length > 1) {
  heading("Where answers came from", "Answers a second. Shaded: a fault at work.");
  const names = known.concat(Object.keys(tl.count)).filter((n, i, a) => tl.count[n] && a.indexOf(n) === i);
  const width = tl.width / 1e6; let base = tl.at.map(() => 0);
  const areas = names.map(name => {
    const top = base.map((b, i) => b + tl.count[name][i] / width);
    const area = { name, color: color(name), base: tl.at.map((t, i) => [t, base[i]]), points: tl.at.map((t, i) => [t, top[i]]) };
    base = top;
    return area;
  });
  chart("Answers a second by source", clock, linear(Math.max(...base), count), areas, { spans });
  heading("Latency over time");
  const series = [["p50", "cache"], ["p99", "stale"], ["max", "none"]].map(([k, c]) => ({ name: k, color: color(c), points: tl.at.map((t, i) => [t, tl[k][i]]) }));
  if (other) series.push({ name: "p99 (other)", color: color("stale"), dashed: true, points: other.timeline.at.map((t, i) => [t, other.timeline.p99[i]]) });
  chart("Latency over time", clock, latencyAxis(series.flatMap(s => s.points.map(p => p[1]))), series, { spans });
}

const states = (tl.states || []).filter(s => s.at >= 0);
if (states.length > 1) {
  heading("Inside the sidecar");
  const of = k => states.map(s => [s.at, s[k]]);
  chart("Breaker", clock, { min: 0, max: 2, ticks: [0, 1, 2], show: v => ["closed", "half-open", "open"][v] }, [{ name: "API breaker", color: color("bad"), points: of("breaker"), step: true }], { height: 110, spans });
  chart("Events pending", clock, linear(Math.max(...states.map(s => s.pending)), count), [{ name: "events accepted and not yet delivered", color: color("native"), points: of("pending") }], { height: 150, spans });
  chart("Memory", clock, linear(Math.max(...states.map(s => s.resident)) / (1 << 20), v => digits(v) + " MiB"), [{ name: "resident memory", color: color("cache"), points: states.map(s => [s.at, s.resident / (1 << 20)]) }], { height: 150, spans });
}

heading("Every event accounted for", "The call is the event: what the sidecar accepted against what the API saw arrive.");
const e = run.events, l = run.ledger;
table(["", "sidecar counts", "seen from outside"], [["accepted", count(e.accepted), count(l.accepted)], ["delivered", count(e.delivered), count(l.arrived)],
  ["retries, and events that arrived again", count(e.retried), count(l.repeated)], ["pending at the end", count(e.pending), "–"],
  ["expired, dropped, parked", [e.expired, e.dropped, e.parked].map(count).join(", "), "–"], ["lost", "–", count(l.lost)], ["invented", "–", count(l.invented)]]);

heading("Machine", "Ratios within a run count. Absolute figures are this machine's.");
const m = run.environment;
table(["", ""], [["processor", m.cpu], ["cores, GOMAXPROCS", m.cores + ", " + m.gomaxprocs], ["system", m.kernel + ", " + m.go], ["commit", m.commit],
  ["load before, after", m.load_before.join(" ") + ", " + m.load_after.join(" ")], ["throttled", m.throttled],
  ["generator", `${count(run.sent)} of ${count(run.planned)} sent, ${count(run.connections)} connections`],
  ["sidecar", `${time(run.cpu / Math.max(1, run.sent))} of CPU for each request, ${bytes(run.resident)} resident at the end`]]);
