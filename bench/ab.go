package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/stats"
)

const abHelp = `Measures two targets in turn, A B B A, again and again, and says how many times as
much of each figure A has as B: the median of the pairs, and the interval that
holds it with 95 % confidence. Before that it measures A against itself, which
shows the noise: a difference smaller than that is none. Every answer is checked.

Targets:
  vitrine           the sidecar of this module
  vitrine:PATH      a built sidecar
  http://HOST:PORT/PATH   any server; only the status of its answers is checked
  bare              a bare fasthttp handler in a process of its own, with the same
                    headers and bodies from a plain map (constant with -questions 1)
  redis-get         a plain go-redis GET of the same bodies, pool of 256
  direct            the stand-in API itself, called without a sidecar
vitrine and bare take a suffix @unix and are then reached over a unix socket.

Work (-work):
  hit        every answer is in the sidecar's memory
  redis-hit  nearly every one is in Redis only
  miss       every question is new: the sidecar asks the API
  native     the API's breaker is open, the request brings its own ordering

    go run ./bench ab -a vitrine -b bare
    go run ./bench ab -a vitrine -b bare -rate 20000
    go run ./bench ab -a vitrine -b direct -work miss -c 1 -api 5ms
    go run ./bench ab -a vitrine -b vitrine -set-b VITRINE_OUTBOX_DIR=memory
`

// abOptions are the flags of ab.
type abOptions struct {
	a, b   string
	work   work
	setB   settings // for the other alone
	conns  int
	rate   float64
	blocks int
	round  time.Duration
	json   string
}

// cmdAB compares two targets.
func cmdAB(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := abOptions{work: work{env: settings{}}, setB: settings{}}
	f := newFlags("ab", abHelp)
	f.StringVar(&o.a, "a", "vitrine", "the one target")
	f.StringVar(&o.b, "b", "bare", "the other")
	f.StringVar(&o.work.kind, "work", "hit", "hit, redis-hit, miss or native")
	f.IntVar(&o.work.questions, "questions", 0, "distinct questions asked, any as likely as any other; 0 is 1000, or 20000 for redis-hit")
	f.IntVar(&o.work.ids, "ids", 24, "ids in an answer, 25 bytes each; with native, ids sent along")
	f.DurationVar(&o.work.delay, "api", 180*time.Millisecond, "what the API takes")
	f.Var(o.work.env, "set", "further configuration of the sidecars, VITRINE_NAME=VALUE; may be repeated")
	f.Var(o.setB, "set-b", "the same for the other sidecar alone: -b vitrine -set-b VITRINE_OUTBOX_DIR=memory")
	f.BoolVar(&o.work.pin, "pin", canPin(), "server on the first processor, generator on the others")
	f.IntVar(&o.conns, "c", 16, "connections, each asking again once it is answered")
	f.Float64Var(&o.rate, "rate", 0, "offer so many requests a second instead, answered or not")
	f.IntVar(&o.blocks, "blocks", 4, "blocks of A B B A, two pairs each")
	f.DurationVar(&o.round, "round", time.Second, "how long a target is measured before it is the other's turn")
	f.StringVar(&o.json, "json", "", "file to write the report to as JSON")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if o.work.questions == 0 {
		o.work.questions = 1000
		if o.work.kind == "redis-hit" {
			o.work.questions = 20_000
		}
	}
	if err := o.validate(f.NArg()); err != nil {
		return usageError(stderr, err)
	}
	r := &abReport{Command: "go run ./bench ab " + strings.Join(args, " "), Started: time.Now().UTC(), A: o.a, B: o.b, Environment: report.Survey(ctx)}
	if err := o.compare(ctx, r, stderr); err != nil {
		if errors.Is(err, errAnswer) {
			fmt.Fprintf(stderr, "bench: VIOLATION %v\n", err)
			return exitViolation
		}
		return failed(stderr, err)
	}
	r.Environment.Done()
	if err := r.write(stdout); err != nil {
		return failed(stderr, err)
	}
	if o.json != "" {
		if err := writeFile(o.json, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", " ")
			return e.Encode(r)
		}); err != nil {
			return failed(stderr, err)
		}
	}
	if len(r.Void) > 0 {
		return exitLimited
	}
	return exitOK
}

func (o *abOptions) validate(rest int) error {
	var errs []error
	wrong := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	w := o.work
	wrong(rest > 0, "there is an argument behind the flags")
	wrong(w.kind != "hit" && w.kind != "redis-hit" && w.kind != "miss" && w.kind != "native", "-work must be hit, redis-hit, miss or native")
	wrong(w.questions < 1 || w.questions > 100_000, "-questions must be between 1 and 100000")
	wrong(w.ids < 1 || w.ids > 10_000, "-ids must be between 1 and 10000")
	wrong(o.conns < 1 || o.conns > 10_000, "-c must be between 1 and 10000")
	wrong(o.rate < 0 || o.rate > 1e6, "-rate must be at most a million")
	wrong(o.blocks < 1 || o.blocks > 1000, "-blocks must be between 1 and 1000")
	wrong(o.round < 10*time.Millisecond || o.round > time.Hour, "-round must be between 10 ms and an hour")
	wrong(w.pin && !canPin(), "-pin needs Linux, two processors and taskset")
	return errors.Join(errs...)
}

// compare opens the targets, measures them and fills the report.
func (o *abOptions) compare(ctx context.Context, r *abReport, stderr io.Writer) (err error) {
	a, err := openTarget(ctx, o.a, o.work)
	if err != nil {
		return fmt.Errorf("target %s: %w", o.a, err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	other := o.work
	other.env = maps.Clone(o.work.env)
	maps.Copy(other.env, o.setB)
	b, err := openTarget(ctx, o.b, other)
	if err != nil {
		return fmt.Errorf("target %s: %w", o.b, err)
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if o.work.pin {
		if err := pinSelf(ctx); err != nil {
			return err
		}
	}
	out := newProgress(stderr, os.Getenv)
	out.say("measuring A against itself")
	if r.noiseA, r.noiseB, err = o.blocksOf(ctx, a, a); err != nil {
		return err
	}
	out.say("measuring A against B")
	if r.roundsA, r.roundsB, err = o.blocksOf(ctx, a, b); err != nil {
		return err
	}
	out.say("")
	r.summarise(o)
	for _, t := range []target{a, b} {
		if _, other := t.cost(); other > maxOther {
			r.Void = append(r.Void, fmt.Sprintf("%.2f %% of the answers did not come from where the work wants them", 100*other))
		}
	}
	return nil
}

// maxOther is the share of answers that may come from elsewhere: a Redis that is slow
// for a moment makes the sidecar ask the API.
const maxOther = 0.01

// round is what one target did while it was its turn.
type round struct {
	rate    float64 // answers a second
	cpu     float64 // seconds of the server's for each answer
	latency *load.Histogram
	lag     *load.Histogram // nil in a closed loop
	planned int
	sent    int
}

// blocksOf measures A B B A so often, and pairs each A with the B beside it.
func (o *abOptions) blocksOf(ctx context.Context, a, b target) (as, bs []round, err error) {
	for range o.blocks {
		for i, t := range []target{a, b, b, a} {
			r, err := o.measure(ctx, t)
			if err != nil {
				return nil, nil, err
			}
			if i == 0 || i == 3 {
				as = append(as, r)
			} else {
				bs = append(bs, r)
			}
		}
	}
	return as, bs, ctx.Err()
}

func (o *abOptions) measure(ctx context.Context, t target) (round, error) {
	runtime.GC() // ours now, not while we measure
	limit, cancel := context.WithTimeout(ctx, o.round)
	defer cancel()
	before, _ := t.cost()
	began := time.Now()
	var r round
	var err error
	if o.rate > 0 {
		r, err = o.open(limit, t)
	} else {
		r, err = o.closed(limit, t)
	}
	n := float64(r.latency.Count())
	r.rate = n / time.Since(began).Seconds()
	after, _ := t.cost()
	r.cpu = (after - before).Seconds() / n
	return r, err
}

func (o *abOptions) closed(ctx context.Context, t target) (round, error) {
	hs, errs := make([]*load.Histogram, o.conns), make([]error, o.conns)
	dice := make([]*rand.Rand, o.conns)
	for i := range hs {
		hs[i], dice[i] = load.NewHistogram(), rand.New(rand.NewPCG(uint64(i), 1))
	}
	load.Closed(ctx, o.conns, func(worker int) {
		began := time.Now()
		if err := t.do(dice[worker].IntN(o.work.questions)); err != nil {
			errs[worker] = err
		}
		hs[worker].Record(time.Since(began))
	})
	all := load.NewHistogram()
	for _, h := range hs {
		all.Merge(h)
	}
	return round{latency: all}, errors.Join(errs...)
}

func (o *abOptions) open(ctx context.Context, t target) (round, error) {
	rec := load.NewRecorder(time.Now(), o.round)
	failures := make(chan error, 1)
	offer := load.Open(ctx, even(o.rate, o.round), 1024, func(_ struct{}, due time.Time) {
		sent := time.Now()
		err := t.do(rand.IntN(o.work.questions))
		rec.Record(load.Sample{Due: due, Lag: sent.Sub(due), Took: time.Since(due)})
		if err != nil {
			select {
			case failures <- err:
			default: // the first will do
			}
		}
	})
	all := rec.Recording()
	r := round{latency: all.Service, lag: all.Lag, planned: offer.Planned, sent: offer.Sent}
	select {
	case err := <-failures:
		return r, err
	default:
		return r, nil
	}
}

// abReport is what ab says.
type abReport struct {
	Command     string             `json:"command"`
	Started     time.Time          `json:"started"`
	A           string             `json:"a"`
	B           string             `json:"b"`
	Work        string             `json:"work"`
	Environment report.Environment `json:"environment"`
	Figures     []abFigure         `json:"figures"`
	Void        []string           `json:"void,omitempty"`

	noiseA, noiseB, roundsA, roundsB []round
}

// abFigure is one figure of both targets.
type abFigure struct {
	Name  string      `json:"name"`
	Unit  string      `json:"unit"`
	A     float64     `json:"a"` // medians over the rounds
	B     float64     `json:"b"`
	Noise stats.Ratio `json:"noise"` // A over A
	Ratio stats.Ratio `json:"ratio"` // A over B
}

func (r *abReport) summarise(o *abOptions) {
	loop := fmt.Sprintf("%d connections, each asking again once it is answered", o.conns)
	if o.rate > 0 {
		loop = fmt.Sprintf("%g requests/s offered; latency from the instant sent", o.rate)
	}
	r.Work = fmt.Sprintf("%s, %d ids, %d questions, %s, %d pairs of %v", o.work.kind, o.work.ids, o.work.questions, loop, 2*o.blocks, o.round)
	r.add("throughput", "1/s", func(r round) float64 { return r.rate })
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		r.add("p"+strconv.FormatFloat(100*q, 'g', 4, 64), "µs", func(r round) float64 {
			v, _ := r.latency.Quantile(q) // 0 if too few: left out
			return v.Seconds() * 1e6
		})
	}
	r.add("server CPU an answer", "µs", func(r round) float64 { return r.cpu * 1e6 })
	if o.rate > 0 {
		r.add("lag p99", "µs", func(r round) float64 { return r.lag.Rough(0.99).Seconds() * 1e6 })
		r.judge()
	}
}

// judge says whether the load could be offered as planned.
func (r *abReport) judge() {
	lag := load.NewHistogram()
	planned, sent := 0, 0
	for _, round := range slices.Concat(r.roundsA, r.roundsB) {
		lag.Merge(round.lag)
		planned, sent = planned+round.planned, sent+round.sent
	}
	if float64(sent) < 0.99*float64(planned) || lag.Rough(0.99) > report.MaxLag {
		r.Void = append(r.Void, fmt.Sprintf("%d of %d planned requests were sent, with a lag of %v at p99", sent, planned, lag.Rough(0.99)))
	}
}

func (r *abReport) add(name, unit string, of func(round) float64) {
	column := func(rounds []round) (out []float64) {
		for _, r := range rounds {
			out = append(out, of(r))
		}
		return out
	}
	a, b := column(r.roundsA), column(r.roundsB)
	f := abFigure{
		Name: name, Unit: unit, A: stats.Median(positive(a)), B: stats.Median(positive(b)),
		Noise: stats.Paired(column(r.noiseA), column(r.noiseB)), Ratio: stats.Paired(a, b),
	}
	if f.Ratio.Pairs > 0 {
		r.Figures = append(r.Figures, f)
	}
}

// positive leaves out rounds that have no such figure.
func positive(v []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(v), func(f float64) bool { return f <= 0 })
}

func (r *abReport) write(w io.Writer) error {
	fmt.Fprintf(w, "A = %s, B = %s\n%s\n\n", r.A, r.B, r.Work)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\tA\tB\tA − B\tA ÷ B\t95 %\tA ÷ A\t95 %\t")
	for _, f := range r.Figures {
		fmt.Fprintf(t, "%s, %s\t%.4g\t%.4g\t%.4g\t%s\t%s\t\n", f.Name, f.Unit, f.A, f.B, f.A-f.B, interval(f.Ratio), interval(f.Noise))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nA ÷ A is the noise: what lies within it is no difference.")
	for _, v := range r.Void {
		fmt.Fprintf(w, "VOID  %s\n", v)
	}
	return r.Environment.Write(w)
}

// interval shows a ratio and its interval, – if no round had the figure.
func interval(r stats.Ratio) string {
	if r.Pairs == 0 {
		return "–\t–"
	}
	return fmt.Sprintf("%.3f\t%.3f … %.3f", r.Value, r.Low, r.High)
}

// canPin reports whether processes can be bound to processors here.
func canPin() bool {
	_, err := exec.LookPath("taskset")
	return err == nil && runtime.NumCPU() > 1
}

// pinSelf leaves the server's processor to the server.
func pinSelf(ctx context.Context) error {
	others := "1-" + strconv.Itoa(runtime.NumCPU()-1)
	out, err := exec.CommandContext(ctx, "taskset", "-a", "-p", "-c", others, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("leaving the server its processor: %w: %s", err, out)
	}
	return nil
}
