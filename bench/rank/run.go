package rank

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"vitrine/internal/reco"
)

const help = `How good are the lists of an outage? They are held against what the API would have
ranked at that moment, in a simulation: the API's stand-in ranks by popularity, by
what the session has looked at (-taste) and by a whim (-whim). How the real one ranks
is not known, so try more than one -taste before you believe a figure.
`

// Run is the command: it returns 0, or 2 if the arguments are wrong.
func Run(args []string, stdout, stderr io.Writer) int {
	const usage = 2
	s := DefaultScenario()
	flags := flag.NewFlagSet("rank", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: go run ./bench rank\n\n%s\nFlags:\n", help)
		flags.PrintDefaults()
	}
	flags.Uint64Var(&s.Traffic.Seed, "seed", s.Traffic.Seed, "picks one crowd of those the traffic model describes")
	flags.Float64Var(&s.Pages, "pages", s.Pages, "pages a second over all shoppers")
	flags.DurationVar(&s.Length, "for", s.Length, "length of the run, in simulated time")
	flags.DurationVar(&s.From, "from", s.From, "when the API goes away")
	flags.DurationVar(&s.Outage, "outage", s.Outage, "for how long")
	flags.DurationVar(&s.Fresh, "fresh", s.Fresh, "cache.fresh")
	flags.DurationVar(&s.Stale, "stale", s.Stale, "cache.stale")
	flags.IntVar(&s.FreshEvents, "fresh-events", s.FreshEvents, "cache.fresh_events")
	flags.Float64Var(&s.API.Taste, "taste", s.API.Taste, "weight of what the session has looked at in the API's ranking")
	flags.Float64Var(&s.API.Whim, "whim", s.API.Whim, "weight of what nothing explains in it")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return usage
	}
	s.API.Seed = s.Traffic.Seed
	if err := s.Validate(); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return usage
	}
	Simulate(s).print(stdout, s)
	return 0
}

// Validate reports everything that is wrong with s.
func (s Scenario) Validate() error {
	errs := []error{s.Traffic.Validate()}
	demand := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	demand(s.Pages > 0 && s.Pages <= 1000, "-pages must be above 0 and at most 1000")
	demand(s.Length > 0 && s.Length <= 24*time.Hour, "-for must be above 0 and at most 24h")
	demand(s.From >= 0 && s.Outage > 0 && s.From+s.Outage <= s.Length, "the outage must lie within the run")
	demand(s.Fresh >= 0 && s.Stale >= 0 && s.FreshEvents >= 0, "-fresh, -stale and -fresh-events must not be negative")
	demand(s.API.Taste >= 0 && s.API.Whim >= 0, "-taste and -whim must not be negative")
	return errors.Join(errs...)
}

// shownSources are where an answer can come from while the API is away, best first.
var shownSources = [...]reco.Source{reco.FromCache, reco.FromStale, reco.FromNative, reco.FromNone}

// print writes a line for every source of every event type, and for all of them.
func (r Result) print(w io.Writer, s Scenario) {
	fmt.Fprintf(w, "A simulation: an outage of %v, %d answers; the API's stand-in has taste %v, whim %v.\n", s.Outage, r.Answers, s.API.Taste, s.API.Whim)
	fmt.Fprint(w, "Each list against the API's own of that moment: 1 is the same list, an empty one is 0.\n"+
		"The stand-in shop orders its categories at random, so their native lists show the floor.\n\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "event\tsource\tanswers\tshare\tRBO p=0.9\toverlap@10\tNDCG@10\t")
	all := make(map[reco.Source]*Tally)
	for _, kind := range reco.EventTypes {
		for _, source := range shownSources {
			t := r.Tallies[kind][source]
			if t == nil {
				continue
			}
			t.line(table, kind.String(), source, r.Answers)
			if all[source] == nil {
				all[source] = new(Tally)
			}
			all[source].merge(*t)
		}
	}
	total := new(Tally)
	for _, source := range shownSources {
		if t := all[source]; t != nil {
			t.line(table, "all", source, r.Answers)
			total.merge(*t)
		}
	}
	q := total.Mean()
	fmt.Fprintf(table, "all\tany\t%d\t100.0 %%\t%.3f\t%.3f\t%.3f\t\n", total.Answers, q.RBO, q.Overlap, q.NDCG)
	_ = table.Flush() // to a terminal
}

func (t *Tally) merge(other Tally) {
	t.Answers += other.Answers
	t.sum.RBO += other.sum.RBO
	t.sum.Overlap += other.sum.Overlap
	t.sum.NDCG += other.sum.NDCG
}

func (t *Tally) line(w io.Writer, event string, source reco.Source, of int) {
	q := t.Mean()
	fmt.Fprintf(w, "%s\t%s\t%d\t%.1f %%\t%.3f\t%.3f\t%.3f\t\n",
		event, source, t.Answers, 100*float64(t.Answers)/float64(max(1, of)), q.RBO, q.Overlap, q.NDCG)
}
