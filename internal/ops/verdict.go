package ops

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"vitrine/breaker"
	"vitrine/internal/reco"
)

// oldPending is the age, in seconds, from which on pending events are worth a word. On a good
// day none is older than a call takes.
const oldPending = 10

// verdict puts s into one sentence, and says whether all is well.
func (s *Status) verdict() (sentence string, well bool) {
	var troubles []string
	told := make(map[string]bool) // breakers, and why they are not closed
	for _, b := range s.Breakers {
		if clause := breakerVerdict(b, s.At); clause != "" {
			troubles = append(troubles, clause)
			told[b.Name], told[b.Reason] = true, true
		}
	}
	served, well := s.LastMinute.verdict(len(troubles) > 0)
	clauses := append([]string{served}, troubles...)
	if n := s.LastMinute.TokenRefused; n > 0 {
		clauses = append(clauses, fmt.Sprintf("the API has refused the token %d times in the last minute", n))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Readiness.Dependencies)) {
		if d := s.Readiness.Dependencies[name]; !d.Ready && !told[name] && (d.Detail == "" || !told[d.Detail]) {
			clauses = append(clauses, name+" is away")
		}
	}
	if s.Journal.Away {
		clauses = append(clauses, "new events are kept in memory because the journal's disk is full or refuses")
	}
	if s.Events.OldestPendingSeconds >= oldPending {
		clauses = append(clauses, fmt.Sprintf("%d events wait to be delivered, the oldest for %s", s.Events.Pending, seconds(s.Events.OldestPending)))
	}
	return strings.Join(clauses, "; ") + ".", well && len(clauses) == 1
}

// verdict says where the answers came from, and whether that is as well as can be. With more
// to follow on what is open, that is not given as the reason, too.
func (m Minute) verdict(more bool) (clause string, well bool) {
	if m.Requests == 0 {
		return "Nobody asked in the last minute", true
	}
	places := [numSources]string{
		reco.FromAPI: "the API", reco.FromCache: "the cache", reco.FromStale: "older rankings",
		reco.FromNative: "the shop's own ordering", reco.FromNone: "nothing, with empty lists",
	}
	most := reco.FromNone
	for _, source := range reco.Sources {
		if m.Sources[source.String()].Requests > m.Sources[most.String()].Requests {
			most = source
		}
	}
	clause = "Serving from " + places[most]
	if share := m.Sources[most.String()].Share; share < 1 {
		clause = fmt.Sprintf("Serving mostly from %s (%.0f %% of the last minute)", places[most], 100*share)
	}
	if most >= reco.FromCache {
		return clause, true
	}
	reason := m.commonestReason() // it should have been better
	if reason == reco.NoReason {
		return clause, true
	}
	because, meant := inWords(reason)
	if more && (reason == reco.Open || reason == reco.RateLimited) {
		return clause, false
	}
	return clause + ", because " + because, meant
}

// inWords says what a reason means, and whether it is nobody's failure.
func inWords(r reco.Reason) (text string, meant bool) {
	switch r {
	case reco.Empty:
		return "the API had nothing to recommend", true
	case reco.Holdout:
		return "the API's rankings are not to be shown", true
	case reco.Bot:
		return "bots asked", true
	case reco.ToppedUp:
		return "the API's rankings were short", true
	case reco.OutOfStock:
		return "what was recommended is sold out", true
	case reco.Timeout:
		return "the API took too long", false
	case reco.Open:
		return "the API had failed and was not asked", false
	case reco.Overload:
		return "more was asked than the API can answer in time", false
	case reco.RateLimited:
		return "the API asked for a pause", false
	case reco.Unreachable:
		return "the API could not be reached", false
	case reco.BadAnswer:
		return "the API's answers were no lists", false
	case reco.HTTPStatus(http.StatusUnauthorized):
		return "the API refused the token", false
	default:
		return "the API answered " + strings.TrimPrefix(string(r), "http-"), false
	}
}

func (m Minute) commonestReason() reco.Reason {
	most := ""
	for _, reason := range slices.Sorted(maps.Keys(m.Reasons)) {
		if m.Reasons[reason] > m.Reasons[most] {
			most = reason
		}
	}
	return reco.Reason(most)
}

// breakerVerdict is empty for a breaker that does what it does on a good day.
func breakerVerdict(b breaker.Snapshot, now time.Time) string {
	switch {
	case b.Override != "auto" && b.OverrideUntil.IsZero():
		return b.Name + " breaker set " + b.Override + " by an operator"
	case b.Override != "auto":
		return fmt.Sprintf("%s breaker set %s by an operator for another %s", b.Name, b.Override, seconds(b.OverrideUntil.Sub(now)))
	case b.HoldUntil.After(now):
		return fmt.Sprintf("%s asked for a pause, %s to go", b.Name, seconds(b.HoldUntil.Sub(now)))
	case b.State == breaker.HalfOpen:
		return b.Name + " breaker half-open, trying whether it is back"
	case b.State == breaker.Open:
		return b.Name + " breaker open" + openSince(b, now) + nextProbe(b, now)
	default:
		return ""
	}
}

// openSince says for how long the breaker has not been closed: what changed since was
// probing in vain.
func openSince(b breaker.Snapshot, now time.Time) string {
	for _, c := range slices.Backward(b.Changes) {
		if c.From == breaker.Closed {
			return " for " + seconds(now.Sub(c.At))
		}
	}
	return ""
}

func nextProbe(b breaker.Snapshot, now time.Time) string {
	if !b.OpenUntil.After(now) {
		return ""
	}
	return ", next probe in " + seconds(b.OpenUntil.Sub(now))
}

func seconds(d time.Duration) string { return max(d, 0).Round(time.Second).String() }
