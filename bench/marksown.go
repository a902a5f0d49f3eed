package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"vitrine/bench/baseline"
	"vitrine/bench/load"
	"vitrine/bench/rig"
	"vitrine/bench/stats"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// hitting starts a sidecar whose memory has the answers to so many questions, lets do
// use it, and closes it. Both are pinned as in a comparison.
func (m *marker) hitting(ctx context.Context, questions int, more settings, do func(o *abOptions, t *vitrineTarget) error) (err error) {
	o := abDefaults()
	o.work = o.work.with(more)
	o.work.binary, o.work.questions = m.binary, questions
	if err := o.validate(0); err != nil {
		return err
	}
	opened, err := openVitrine(ctx, o.work, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	t, ok := opened.(*vitrineTarget)
	if !ok {
		return errors.New("not a sidecar that is asked")
	}
	if o.work.pin {
		unpin, err := pinSelf(ctx)
		if err != nil {
			return err
		}
		defer unpin()
	}
	return do(&o, t)
}

// profiled is how long a profile is taken: 3 s are 300 samples of a busy processor,
// short enough for the journal's default bound.
const profiled = 3 * time.Second

// journalShare profiles a sidecar that does nothing but serve hits, and adds up the
// samples within the journal's functions and what they call, the kernel included.
func journalShare(ctx context.Context, m *marker) (out []reading, err error) {
	err = m.hitting(ctx, 1000, nil, func(o *abOptions, t *vitrineTarget) error {
		type profile struct {
			text []byte
			err  error
		}
		taken := make(chan profile, 1)
		go func() { // awaited below
			text, err := t.sidecar.Profile(ctx, profiled)
			taken <- profile{text, err}
		}()
		o.round = profiled
		if _, err := o.measure(ctx, t); err != nil {
			return err
		}
		p := <-taken
		if p.err != nil {
			return p.err
		}
		share, total, err := shareOf(ctx, m.binary, filepath.Join(m.dir, "hit.pprof"), p.text, `vitrine/internal/journal\.`)
		out = []reading{{
			got: share, low: share, high: share,
			a:    fmt.Sprintf("%.2f %% of %s of processor time", share, total),
			note: fmt.Sprintf("a CPU profile of %v of memory hits: samples with a function of internal/journal on their stack", profiled),
		}}
		return err
	})
	return out, err
}

// accounted is the line in which pprof says how much its filter lets through.
var accounted = regexp.MustCompile(`accounting for \S+, ([0-9.]+)% of (\S+) total`)

// shareOf returns the share of a profile's samples, in percent, with a function on their
// stack whose name matches, and how much time there was.
func shareOf(ctx context.Context, binary, path string, profile []byte, function string) (percent float64, total string, err error) {
	if err := os.WriteFile(path, profile, 0o600); err != nil {
		return 0, "", err
	}
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodefraction=0", "-nodecount=100000", "-focus", function, binary, path).CombinedOutput()
	if err != nil {
		return 0, "", fmt.Errorf("reading the profile: %w\n%.500s", err, out)
	}
	if bytes.Contains(out, []byte("matched no samples")) {
		return 0, "all samples", nil
	}
	found := accounted.FindSubmatch(out)
	if found == nil {
		return 0, "", fmt.Errorf("reading the profile: no total in %.500q", out)
	}
	percent, err = strconv.ParseFloat(string(found[1]), 64)
	return percent, string(found[2]), err
}

// allocations counts those of the whole process while it serves hits with the breaker
// held open, so that no delivery is among them.
func allocations(ctx context.Context, m *marker) (out []reading, err error) {
	err = m.hitting(ctx, 1000, nil, func(o *abOptions, t *vitrineTarget) error {
		if err := t.sidecar.Override(ctx, "recommendation", "open", time.Hour); err != nil {
			return err
		}
		o.round = time.Second
		mallocs := func() float64 {
			s, err := t.sidecar.Metrics(ctx)
			if err != nil {
				return math.NaN()
			}
			return s["go_memstats_mallocs_total"]
		}
		if _, err := o.measure(ctx, t); err != nil { // opens the connections
			return err
		}
		first := mallocs()
		sleep(ctx, o.round)
		before := mallocs() // a scrape's own, and those of as long with nothing to do, are between the two
		r, err := o.measure(ctx, t)
		if err != nil {
			return err
		}
		each := (mallocs() - before - (before - first)) / float64(r.latency.Count())
		if math.IsNaN(each) {
			return errors.New("the sidecar does not tell its allocations")
		}
		whole := math.Floor(each)
		out = []reading{{
			got: whole, low: whole, high: whole,
			a:    fmt.Sprintf("%.3f allocations of the process for each of %d hits; rounded down, as testing.AllocsPerRun does", each, r.latency.Count()),
			note: "go_memstats_mallocs_total over a second of hits, the breaker held open so that nothing is delivered meanwhile; internal/proxy/hit_test.go counts the handler's alone",
		}}
		return nil
	})
	return out, err
}

// tierMemory fills the memory tier in a process of its own.
func tierMemory(ctx context.Context, _ *marker) ([]reading, error) {
	const entries, ids = 500_000, 24
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := exec.CommandContext(ctx, self, "tier", strconv.Itoa(entries), strconv.Itoa(ids)).Output()
	if err != nil {
		return nil, fmt.Errorf("filling the tier: %w", err)
	}
	var resident, bodies float64
	if _, err := fmt.Sscan(string(text), &resident, &bodies); err != nil {
		return nil, fmt.Errorf("filling the tier: %w: %q", err, text)
	}
	got := resident / bodies
	return []reading{{
		got: got, low: got, high: got,
		a:    fmt.Sprintf("%.1f MiB resident for %.1f MiB of bodies, %d entries", resident/(1<<20), bodies/(1<<20), entries),
		note: "package cache in a process of its own, resident memory after a collection less that before the first entry; three entries a session; a running sidecar has up to as much again, as Go's collector lets garbage lie",
	}}, nil
}

// residentMemory is that of a sidecar with nothing to do, then with its tier full.
func residentMemory(ctx context.Context, m *marker) (out []reading, err error) {
	upstream, err := baseline.StartUpstream(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, upstream.Close()) }()
	idle, err := rig.StartSidecar(ctx, rig.Options{Binary: m.binary, Upstream: upstream.URL(), Token: "ab"})
	if err != nil {
		return nil, err
	}
	sleep(ctx, 3*time.Second)
	least := float64(idle.Usage().Resident) / (1 << 20)
	if err := idle.Close(); err != nil {
		return nil, err
	}
	err = m.hitting(ctx, fullTier, nil, func(o *abOptions, t *vitrineTarget) error {
		o.rate, o.round = 1000, 20*time.Second
		limit, stop := context.WithCancel(ctx)
		defer stop()
		worst := make(chan int64, 1)
		go func() { // ends with limit; awaited below
			var most int64
			for sleep(limit, 200*time.Millisecond) {
				most = max(most, t.sidecar.Usage().Resident)
			}
			worst <- most
		}()
		m.out.say("1000 requests/s for 20 s")
		_, err := o.measure(ctx, t)
		stop()
		busy := float64(<-worst) / (1 << 20)
		out = []reading{
			{got: least, low: least, high: least, a: fmt.Sprintf("%.1f MiB", least), note: "3 s after the start, no request yet, no Redis"},
			{got: busy, low: busy, high: busy, a: fmt.Sprintf("%.1f MiB at most in 20 s", busy), note: fmt.Sprintf("%d rankings of 600 B in memory, hits at 1000/s; %v", fullTier, t.notes(ctx, "sidecar"))},
		}
		return err
	})
	return out, err
}

// starts is how often the start is measured.
const starts = 20

// startUp measures from the fork of the process to the first answer read. Beside it a
// bare handler in this program, which does less and is larger.
func startUp(ctx context.Context, m *marker) (out []reading, err error) {
	w := abDefaults().work
	w.questions = 1
	upstream, err := baseline.StartUpstream(ctx, w.ids)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, upstream.Close()) }()
	ours := func() (time.Duration, error) {
		began := time.Now()
		s, err := rig.StartSidecar(ctx, rig.Options{Binary: m.binary, Upstream: upstream.URL(), Token: "ab"})
		if err != nil {
			return 0, err
		}
		err = firstAnswer(s.Addr(), w)
		return time.Since(began), errors.Join(err, s.Close())
	}
	bare := func() (time.Duration, error) {
		began := time.Now()
		t, err := openBare(ctx, w, false)
		if err != nil {
			return 0, err
		}
		err = t.do(0)
		return time.Since(began), errors.Join(err, t.close())
	}
	var a, b []float64
	for range starts {
		for _, side := range []struct {
			start func() (time.Duration, error)
			to    *[]float64
		}{{ours, &a}, {bare, &b}} {
			took, err := side.start()
			if err != nil {
				return nil, err
			}
			*side.to = append(*side.to, took.Seconds()*1e3)
		}
	}
	got := stats.Median(a)
	return []reading{{
		got: got, low: got, high: got, a: fmt.Sprintf("median of %d starts %.1f ms, slowest %.1f ms", starts, got, slices.Max(a)),
		b:    fmt.Sprintf("a bare handler in the harness's own program %.1f ms", stats.Median(b)),
		note: "from the fork to the last byte of the first answer, which the API gave at once; an empty journal, no Redis, all processors",
	}}, nil
}

func firstAnswer(addr string, w work) error {
	client := wire.NewClient(addr, false)
	defer client.Close()
	var a wire.Answer
	if err := client.Do(traffic.AppendPost(nil, traffic.Path, w.body(0)), &a, time.Now().Add(callTimeout)); err != nil {
		return err
	}
	if a.Header("vitrine-source") != "api" {
		return fmt.Errorf("%w: source %q, want api", errAnswer, a.Header("vitrine-source"))
	}
	return nil
}

// binarySize builds the sidecar as make build does.
func binarySize(ctx context.Context, m *marker) ([]reading, error) {
	path, err := goBuild(ctx, filepath.Join(m.dir, "stripped"), "-trimpath", "-ldflags", "-s -w")
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	size := float64(info.Size()) / (1 << 20)
	return []reading{{got: size, low: size, high: size, a: fmt.Sprintf("%d bytes", info.Size()), note: "go build -trimpath -ldflags '-s -w'"}}, nil
}

// quantileOf is a quantile of a histogram in microseconds, however few samples carry it.
func quantileOf(h *load.Histogram, q float64) float64 { return h.Rough(q).Seconds() * 1e6 }
