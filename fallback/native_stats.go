package fallback

import (
	"time"

	"vitrine/fallback/platform"
)

// NativeStats is what there is to show of Natives.
type NativeStats struct {
	Lists     int               // known, with a snapshot or waiting for their first
	Snapshots int               //
	Bytes     int               // they take, about
	Oldest    time.Duration     // age of the oldest snapshot
	Youngest  time.Duration     // and of the youngest
	Queue     int               // lists waiting to be looked up or fetched
	LeftToday int               // requests of the platform's quota; -1 = not limited
	Outcomes  map[string]uint64 // how looking up and fetching ended, by name: all there are, be it zero times
}

// outcome is how looking up or fetching a list ended. Below numOutcomes, the
// platform's kinds of failure follow ours.
type outcome int

const (
	outcomeFetched   outcome = iota // a list came
	outcomeUnchanged                // the source said that ours is still right
	outcomeShared                   // another pod's snapshot was young enough
	outcomeRubbish                  // what Shared held was no snapshot
	outcomeRefused                  // the queue was full
	outcomeError                    // a failure of no kind of the platform's
	ownOutcomes
	numOutcomes = ownOutcomes - 1 + outcome(platform.LastKind) + 1
)

func outcomeOf(err error) outcome {
	if kind := platform.KindOf(err); kind != 0 {
		return ownOutcomes - 1 + outcome(kind)
	}
	return outcomeError
}

// String names the outcome as metrics do.
func (o outcome) String() string {
	switch o {
	case outcomeFetched:
		return "fetched"
	case outcomeUnchanged:
		return "unchanged"
	case outcomeShared:
		return "shared"
	case outcomeRubbish:
		return "rubbish"
	case outcomeRefused:
		return "queue-full"
	case outcomeError:
		return "error"
	default:
		return platform.Kind(o - ownOutcomes + 1).String() //nolint:gosec // made from a Kind
	}
}

// Stats counts. It looks at every snapshot, and is for scrapes and status pages.
func (n *Natives) Stats() NativeStats {
	s := NativeStats{LeftToday: -1, Outcomes: make(map[string]uint64, numOutcomes)}
	if shop := n.shop.Load().platform; shop != nil {
		s.LeftToday = shop.Quota().Left
	}
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.entries {
		if e.snapshot == nil {
			continue
		}
		age := e.snapshot.age(now)
		s.Oldest = max(s.Oldest, age)
		if s.Snapshots == 0 || age < s.Youngest {
			s.Youngest = age
		}
		s.Snapshots++
	}
	s.Lists, s.Bytes = len(n.entries), n.bytes
	s.Queue = len(n.loads.queue) + len(n.platform.queue) + len(n.sales.queue)
	for o, count := range n.counts {
		s.Outcomes[outcome(o).String()] = count
	}
	return s
}
