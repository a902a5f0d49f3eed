package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"time"

	"vitrine/bench/baseline"
	"vitrine/bench/rig"
	"vitrine/cache"
	"vitrine/internal/reco"
)

// cmdTier is the child that fills a memory tier with so many entries of so many ids, and
// writes how many bytes that made resident and how many the bodies are. The overview
// does not list it.
func cmdTier(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		return exitUsage
	}
	entries, err1 := strconv.Atoi(args[0])
	ids, err2 := strconv.Atoi(args[1])
	if err := errors.Join(err1, err2); err != nil {
		return usageError(stderr, err)
	}
	resident, bodies, err := fillTier(entries, ids)
	if err != nil {
		return failed(stderr, err)
	}
	fmt.Fprintln(stdout, resident, bodies)
	return exitOK
}

func fillTier(entries, ids int) (resident, bodies int64, err error) {
	o := cache.Options{Memory: 1 << 40} // all there is
	for _, t := range reco.EventTypes {
		o.Policies[t] = cache.Policy{Fresh: time.Hour, Stale: time.Hour, Empty: time.Second, FreshEvents: 3}
	}
	tier, err := cache.New(o)
	if err != nil {
		return 0, 0, err
	}
	before := settled()
	for i := range entries {
		e := reco.Event{Type: reco.ProductView, Session: "tier" + strconv.Itoa(1_000_000+i/perSession), Item: strconv.Itoa(1_000_000 + i)}
		body := baseline.List(e.Item, ids)
		ranking, err := reco.ParseRanking(body)
		if err != nil {
			return 0, 0, err
		}
		if !tier.Store(e, ranking, time.Now(), tier.Accept(e)) {
			return 0, 0, errors.New("the tier refuses an entry")
		}
		bodies += int64(len(body))
	}
	resident = settled() - before
	if held := tier.Stats().Entries; held != int64(entries) {
		return 0, 0, fmt.Errorf("the tier holds %d entries, want %d", held, entries)
	}
	return resident, bodies, nil
}

// perSession is how many rankings a session has: people view a median of 3.4 pages.
const perSession = 3

// settled is the resident memory once the garbage is collected and given back.
func settled() int64 {
	debug.FreeOSMemory()
	return rig.Self().Resident
}
