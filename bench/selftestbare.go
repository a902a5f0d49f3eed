package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"vitrine/bench/baseline"
	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/rig"
	"vitrine/bench/stats"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// errSkipped means that a test needs what this machine does not have.
var errSkipped = errors.New("not here")

// startBare starts a bare handler with one answer, given after a delay, in a process of
// its own.
func startBare(ctx context.Context, cpus string, delay time.Duration) (child *rig.Child, err error) {
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // it has read the file once it listens
	file := filepath.Join(dir, "answers.json")
	if err := writeAnswers(file, []baseline.Answer{{Body: string(baseline.List("selftest", 24))}}); err != nil {
		return nil, err
	}
	return rig.StartChild(ctx, cpus, "bare", "127.0.0.1:0", file, delay.String())
}

// delayTest measures a delay that is known, in an open loop and in a closed one.
func delayTest(ctx context.Context) (out []proof, err error) {
	const delay, rate, length, conns = 20 * time.Millisecond, 100, 5 * time.Second, 16
	child, err := startBare(ctx, "", delay)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()
	client := wire.NewClient(child.Addr(), false)
	defer client.Close()
	rec := load.NewRecorder(time.Now(), length)
	load.Open(ctx, even(rate, length), 4096, func(_ struct{}, due time.Time) {
		sent := time.Now()
		err := client.Do(bareRequest(), new(wire.Answer), sent.Add(callTimeout))
		rec.Record(load.Sample{Due: due, Lag: sent.Sub(due), Took: time.Since(due), Class: "all", OK: err == nil})
	})
	r := rec.Recording()
	n, took := closedLoop(ctx, client, conns, 2*time.Second)
	return []proof{
		near("delay: answers without a fault", float64(r.All.Count()-r.Bad), rate*length.Seconds(), 0, ""),
		near("delay: p50", r.All.Rough(0.5).Seconds()*1e3, delay.Seconds()*1e3, 0.05, "ms"),
		near("delay: closed loop", float64(n)/took.Seconds(), conns/delay.Seconds(), 0.05, "a second"),
	}, nil
}

func bareRequest() []byte { return traffic.AppendPost(nil, "/", []byte(`{}`)) }

// closedLoop asks a bare handler again and again, and returns how many answers came, in
// which time.
func closedLoop(ctx context.Context, client *wire.Client, conns int, length time.Duration) (n int64, took time.Duration) {
	limit, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var answered atomic.Int64
	request, answers := bareRequest(), make([]wire.Answer, conns)
	began := time.Now()
	load.Closed(limit, conns, func(worker int) {
		if client.Do(request, &answers[worker], time.Now().Add(callTimeout)) == nil {
			answered.Add(1)
		}
	})
	return answered.Load(), time.Since(began)
}

// wrkConns is what both ask with, for wrkRound each.
const (
	wrkConns = 16
	wrkRound = 2 * time.Second
)

// wrkTest lets wrk and the harness take turns at a bare handler that has a processor of
// its own.
func wrkTest(ctx context.Context) (out []proof, err error) {
	if _, err := exec.LookPath("wrk"); err != nil || !canPin() {
		return nil, fmt.Errorf("%w: it takes wrk, two processors and taskset", errSkipped)
	}
	child, err := startBare(ctx, serverCPU, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	script := filepath.Join(dir, "post.lua")
	if err := os.WriteFile(script, []byte("wrk.method = \"POST\"\nwrk.body = \"{}\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n"), 0o600); err != nil {
		return nil, err
	}
	unpin, err := pinSelf(ctx)
	if err != nil {
		return nil, err
	}
	defer unpin()
	client := wire.NewClient(child.Addr(), false)
	defer client.Close()
	var ours, theirs []float64
	for i := range 8 {
		if i%4 == 0 || i%4 == 3 {
			n, took := closedLoop(ctx, client, wrkConns, wrkRound)
			ours = append(ours, float64(n)/took.Seconds())
			continue
		}
		rate, err := runWrk(ctx, child.Addr(), script)
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, rate)
	}
	return []proof{near("wrk: our closed loop in terms of wrk's", stats.Paired(ours, theirs).Value, 1, 0.1, "")}, nil
}

var wrkRate = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

// runWrk returns the requests a second of one run of wrk, on our own processors.
func runWrk(ctx context.Context, addr, script string) (float64, error) {
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(wrkConns), "-d"+wrkRound.String(), "-s", script, "http://"+addr+"/").CombinedOutput()
	found := wrkRate.FindSubmatch(out)
	if err != nil || found == nil {
		return 0, fmt.Errorf("running wrk: %w\n%s", err, out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// rateTest offers what the fastest open loop of marks does.
func rateTest(ctx context.Context) (out []proof, err error) {
	if !canPin() {
		return nil, fmt.Errorf("%w: it takes two processors and taskset", errSkipped)
	}
	o := abDefaults()
	o.rate, o.round, o.conns = 20_000, 2*time.Second, openConns
	if err := o.validate(0); err != nil {
		return nil, err
	}
	t, err := openTarget(ctx, "bare", o.work)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	unpin, err := pinSelf(ctx)
	if err != nil {
		return nil, err
	}
	defer unpin()
	r, err := o.measure(ctx, t)
	if err != nil {
		return nil, err
	}
	lag, used := r.lag.Rough(0.99), r.own/float64(runtime.NumCPU()-1)
	return []proof{
		near("rate: requests sent", float64(r.sent), float64(r.planned), 0.01, ""),
		{"rate: lag of the generator at p99", lag.Seconds(), 0, "s", lag <= report.MaxLag},
		{"rate: share of its processors the generator used", used, 0, "", used <= minBusy},
	}, nil
}
