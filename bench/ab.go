package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"vitrine/bench/report"
)

const abHelp = `Measures two targets in turn, A B B A, again and again, and says how many times as
much of each figure A has as B: the median of the pairs, and the interval that
holds it with 95 % confidence. Before that it measures A against itself, half as
often, which shows the noise: a difference smaller than that is none. Every answer
is checked.

Targets:
  vitrine           the sidecar of this module
  vitrine:PATH      a built sidecar
  http://HOST:PORT/PATH   any server; only the status of its answers is checked
  bare              a bare fasthttp handler in a process of its own, with the same
                    headers and bodies from a plain map (constant with -questions 1)
  nginx, varnish    these, if they are installed, caching by the request's body as
                    bench/baseline has it, in front of the stand-in API
  redis-get         a plain go-redis GET of the same bodies, its pool as -redis-pool says
  direct            the stand-in API itself, called without a sidecar
  relay             a bare fasthttp proxy in front of it
  post              the same through a plain fasthttp client, whose CPU is measured
vitrine and bare take a suffix @unix and are then reached over a unix socket.
bare+redis-get asks the one, then the other, and counts both as one answer.

Work (-work):
  hit        every answer is in the sidecar's memory
  redis-hit  nearly every one is in Redis only
  miss       every question is new: the sidecar asks the API
  native     the API's breaker is open, the request brings its own ordering with the
             viewed product in it, which is left out, and has it completed
  deliver    nothing is asked: events accepted before are delivered, and an answer is
             one that the API gave

With -pin, the default where it can be had, the server has the first processor for
itself and GOMAXPROCS 1, the generator the others; redis-server is where the system
puts it. Then a server that was not busy was held up by the generator: such a run
is void. With -rate so is one whose generator had nothing to spare, or was late.

    go run ./bench ab -a vitrine -b bare
    go run ./bench ab -a vitrine -b bare -rate 20000 -c 64 -round 1s
    go run ./bench ab -a vitrine -b direct -work miss -c 1 -api 5ms -round 2s
    go run ./bench ab -a vitrine -b post -work deliver -c 64 -api 20ms
    go run ./bench ab -a vitrine -b bare+redis-get -work redis-hit -c 1
    go run ./bench ab -a vitrine -b vitrine -set-b VITRINE_OUTBOX_DIR=memory
    go run ./bench ab -a nginx -b bare
`

// abOptions are the flags of ab.
type abOptions struct {
	a, b    string
	work    work
	setB    settings // for the other alone
	conns   int
	rate    float64
	blocks  int
	round   time.Duration
	collect bool
	json    string
}

func abDefaults() abOptions {
	return abOptions{
		a: "vitrine", b: "bare", work: work{kind: "hit", ids: 24, delay: 180 * time.Millisecond, env: settings{}, pin: canPin(), pool: 256},
		setB: settings{}, conns: 16, blocks: 10, round: 250 * time.Millisecond,
	}
}

// cmdAB compares two targets.
func cmdAB(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := abDefaults()
	f := newFlags("ab", abHelp)
	f.StringVar(&o.a, "a", o.a, "the one target")
	f.StringVar(&o.b, "b", o.b, "the other")
	f.StringVar(&o.work.kind, "work", o.work.kind, "hit, redis-hit, miss, native or deliver")
	f.IntVar(&o.work.questions, "questions", 0, "distinct questions asked, any as likely as any other; 0 is 1000, or 50000 for redis-hit")
	f.IntVar(&o.work.ids, "ids", o.work.ids, "ids in an answer, 25 bytes each; with native, ids sent along")
	f.DurationVar(&o.work.delay, "api", o.work.delay, "what the API takes")
	f.IntVar(&o.work.pool, "redis-pool", o.work.pool, "connections redis-get may have; 0 is go-redis's own default, 10 for each processor")
	f.Var(o.work.env, "set", "further configuration of the sidecars, VITRINE_NAME=VALUE; may be repeated")
	f.Var(o.setB, "set-b", "the same for the other sidecar alone: -b vitrine -set-b VITRINE_OUTBOX_DIR=memory")
	f.BoolVar(&o.work.pin, "pin", o.work.pin, "server on the first processor, generator on the others")
	f.IntVar(&o.conns, "c", o.conns, "connections, each asking again once it is answered, or once it is due with -rate")
	f.Float64Var(&o.rate, "rate", 0, "offer so many requests a second instead, at even distances, answered or not")
	f.IntVar(&o.blocks, "blocks", o.blocks, "blocks of A B B A, two pairs each")
	f.DurationVar(&o.round, "round", o.round, "how long a target is measured before it is the other's turn")
	f.BoolVar(&o.collect, "collect", false, "make sidecars collect their garbage in the middle of every round")
	f.StringVar(&o.json, "json", "", "file to write the report to as JSON")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if err := o.validate(f.NArg()); err != nil {
		return usageError(stderr, err)
	}
	r, err := o.compare(ctx, newProgress(stderr, os.Getenv))
	if err != nil {
		return abFailed(stderr, err)
	}
	r.Command = "go run ./bench ab " + strings.Join(args, " ")
	if err := r.write(stdout); err != nil {
		return failed(stderr, err)
	}
	if o.json != "" {
		if err := writeFile(o.json, r.writeJSON); err != nil {
			return failed(stderr, err)
		}
	}
	if len(r.Limited)+len(r.Void) > 0 {
		return exitLimited
	}
	return exitOK
}

// abFailed says why a comparison came to no end: a wrong answer, or anything else.
func abFailed(stderr io.Writer, err error) int {
	if errors.Is(err, errAnswer) {
		fmt.Fprintf(stderr, "bench: VIOLATION %v\n", err)
		return exitViolation
	}
	return failed(stderr, err)
}

// validate reports everything that is wrong, and fills in what follows from the work.
func (o *abOptions) validate(rest int) error {
	var errs []error
	wrong := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	w := &o.work
	if w.questions == 0 {
		w.questions = 1000
		if w.kind == "redis-hit" {
			w.questions = 50_000
		}
	}
	switch w.kind {
	case "hit", "redis-hit", "miss", "native", "deliver":
	default:
		wrong(true, "-work must be hit, redis-hit, miss, native or deliver")
	}
	wrong(rest > 0, "there is an argument behind the flags")
	wrong(w.questions < 1 || w.questions > 1_000_000, "-questions must be between 1 and 1000000")
	wrong(w.ids < 1 || w.ids > 10_000, "-ids must be between 1 and 10000")
	wrong(w.pool < 0 || w.pool > 10_000, "-redis-pool must be between 0 and 10000")
	wrong(o.conns < 1 || o.conns > 10_000, "-c must be between 1 and 10000")
	wrong(o.rate < 0 || o.rate > 1e6, "-rate must be at most a million")
	wrong(o.rate > 0 && w.kind == "deliver", "-rate is of requests: with -work deliver there are none")
	wrong(o.blocks < 1 || o.blocks > 1000, "-blocks must be between 1 and 1000")
	wrong(o.round < 10*time.Millisecond || o.round > time.Hour, "-round must be between 10 ms and an hour")
	wrong(w.pin && !canPin(), "-pin needs Linux, two processors and taskset")
	return errors.Join(errs...)
}

// compare opens the targets and measures them in turn.
func (o *abOptions) compare(ctx context.Context, out *progress) (r *abReport, err error) {
	r = &abReport{Started: time.Now().UTC(), A: o.a, B: o.b, Work: o.describe(), Environment: report.Survey(ctx)}
	a, err := openTarget(ctx, o.a, o.work)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", o.a, err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	b, err := openTarget(ctx, o.b, o.work.with(o.setB))
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", o.b, err)
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if o.work.pin {
		unpin, err := pinSelf(ctx)
		if err != nil {
			return nil, err
		}
		defer unpin()
	}
	out.say("measuring " + o.a + " against itself")
	if r.noiseA, r.noiseB, err = o.blocksOf(ctx, max(1, o.blocks/2), a, a); err != nil {
		return nil, err
	}
	out.say("measuring " + o.a + " against " + o.b)
	if r.roundsA, r.roundsB, err = o.blocksOf(ctx, o.blocks, a, b); err != nil {
		return nil, err
	}
	out.say("")
	r.summarise(o)
	for side, t := range map[string]target{"A": a, "B": b} {
		if _, other := t.cost(); other > o.work.maxOther() {
			r.Void = append(r.Void, fmt.Sprintf("%.2f %% of %s's answers did not come from where the work wants them", 100*other, side))
		}
		if n, ok := t.(noter); ok {
			r.Notes = append(r.Notes, n.notes(ctx, side)...)
		}
	}
	r.Environment.Done()
	return r, nil
}

// maxOther is the share of answers that may come from elsewhere. A sidecar busy with
// something else for a moment may ask the API; and the least memory there is still holds
// one in fifty of the rankings that should be Redis's.
func (w work) maxOther() float64 {
	if w.kind == "redis-hit" {
		return 0.05
	}
	return 0.01
}

func (r *abReport) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}
