package fallback

import "vitrine/internal/reco"

// Overlap is the share of the first depth products of two lists that is in both, from 0
// to 1; of lists that are shorter, the share of the longer one. It is 1 for two empty lists.
func Overlap(a, b reco.Ranking, depth int) float64 {
	top := func(r reco.Ranking) []string {
		ids := r.IDs()
		return ids[:min(depth, len(ids))]
	}
	ours, theirs := top(a), top(b)
	most := max(len(ours), len(theirs))
	if most == 0 {
		return 1
	}
	among := make(map[string]bool, len(theirs))
	for _, id := range theirs {
		among[id] = true
	}
	both := 0
	for _, id := range ours {
		if among[id] {
			both++
		}
	}
	return float64(both) / float64(most)
}
