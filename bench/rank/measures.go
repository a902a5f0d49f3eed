// Package rank asks how good the fallback's lists are: it holds what shoppers would see
// in an outage against what the API would have ranked for them at that moment.
//
// It is a simulation. Nobody outside the vendor knows how the API ranks, so a stand-in
// ranks here, by popularity and by what the session has looked at: see [API]. How close
// an older list comes follows from how fast the stand-in's mind changes, and how close
// the shop's own order comes from how much of it is popularity. The shares of the
// sources follow from the traffic model and the cache's settings, and are as good as these.
package rank

import "math"

// Quality is how close a list comes to the API's own, from 0 to 1.
type Quality struct {
	RBO     float64 // rank-biased overlap, p = 0.9, extrapolated
	Overlap float64 // share of the first 10 in common
	NDCG    float64 // of the first 10
}

const (
	persistence = 0.9 // the p of RBO: after each product a shopper looks at the next with this probability
	depth       = 10
)

// RBO is the rank-biased overlap of two lists without repetitions, extrapolated from what
// is seen of them: RBO_EXT, equation 32 in W. Webber, A. Moffat, J. Zobel: A similarity
// measure for indefinite rankings, ACM TOIS 28(4), 2010. p is the chance, between 0 and 1,
// that a reader goes on to the next rank. It is 1 for equal lists, and 0 for those with
// nothing in common.
func RBO(a, b []string, p float64) float64 {
	short, long := a, b
	if len(short) > len(long) {
		short, long = long, short
	}
	switch {
	case len(long) == 0:
		return 1
	case len(short) == 0:
		return 0
	}
	common := overlaps(short, long)
	s, l := float64(len(short)), float64(len(long))
	atS, atL := common[len(short)-1], common[len(long)-1]
	sum, weight := 0.0, 1.0
	for i, x := range common {
		d := float64(i + 1)
		weight *= p
		sum += x / d * weight
		if d > s {
			sum += atS * (d - s) / (s * d) * weight
		}
	}
	return (1-p)/p*sum + ((atL-atS)/l+atS/s)*weight
}

// overlaps returns how many products the first d of both lists have in common, for each d
// from 1 to the length of the longer.
func overlaps(short, long []string) []float64 {
	seen := make(map[string]bool, len(short)+len(long)) // in one of them so far
	counts := make([]float64, len(long))
	both := 0.0
	see := func(id string) {
		if seen[id] {
			both++
		}
		seen[id] = true
	}
	for i, id := range long {
		see(id)
		if i < len(short) {
			see(short[i])
		}
		counts[i] = both
	}
	return counts
}

// NDCG is the normalised discounted cumulative gain of the first k products shown. The
// API's first product is worth k, its second k-1, and so on; what it does not rank among
// its first k is worth nothing. It is 1 if there is nothing to be gained.
func NDCG(shown, best []string, k int) float64 {
	worth := make(map[string]float64, k)
	ideal := 0.0
	for i, id := range best[:min(k, len(best))] {
		worth[id] = float64(k - i)
		ideal += worth[id] * discount(i)
	}
	if ideal == 0 {
		return 1
	}
	gained := 0.0
	for i, id := range shown[:min(k, len(shown))] {
		gained += worth[id] * discount(i)
	}
	return gained / ideal
}

func discount(i int) float64 { return 1 / math.Log2(float64(i)+2) }
