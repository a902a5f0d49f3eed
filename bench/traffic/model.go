// Package traffic makes up shoppers: which pages they look at, in which order, and
// what a storefront then asks the sidecar.
//
// A Model is the numbers, a Crowd the shoppers of one run. The same model and seed
// make the same crowd, request for request.
package traffic

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Lognormal is a distribution given by its median and the spread of its logarithm,
// clipped to [Min, Max].
type Lognormal struct {
	Median, Sigma, Min, Max float64
}

// Draw returns a value.
func (l Lognormal) Draw(rng *rand.Rand) float64 {
	return min(max(l.Median*math.Exp(l.Sigma*rng.NormFloat64()), l.Min), l.Max)
}

// Quantile returns the value at a standard normal deviate z.
func (l Lognormal) Quantile(z float64) float64 {
	return min(max(l.Median*math.Exp(l.Sigma*z), l.Min), l.Max)
}

// Model says how shoppers behave. Default has the numbers and where they come from.
type Model struct {
	// Seed picks one crowd of those the model describes.
	Seed uint64

	// Shoppers is how many sessions are under way at once. When one ends, another
	// begins. 0 means as many as the rate of pages and the gaps between a session's
	// pages amount to, about 72 for each page a second; fewer means that each of them
	// looks at pages faster than people do.
	Shoppers int

	// Length is the number of pages in a session.
	Length Lognormal

	// Gap is the time between two pages of a session, in seconds.
	Gap Lognormal

	// ProductPages is the share of product pages; the others are categories and, for
	// the share Home of them, the home page.
	ProductPages, Home float64

	// Repeat is the share of product pages that show a product the session has seen
	// before, one of the latest most likely.
	Repeat float64

	// LoggedIn is the share of sessions with a user.
	LoggedIn float64

	// Bots is the share of pages fetched by bots: each with a session of its own, any
	// product as likely as any other.
	Bots float64

	// DoubleFire is the share of pages whose requests are all sent a second time
	// within DoubleWithin.
	DoubleFire   float64
	DoubleWithin time.Duration

	// Flash is the share of product pages that show one and the same product from
	// FlashFrom to FlashTo, counted from the start of the run.
	Flash              float64
	FlashFrom, FlashTo time.Duration

	// Limit is how many products a shelf shows; a category shows all of its own.
	// 0 asks for no limit.
	Limit int

	// Native is how many products of its own ordering the storefront sends along.
	Native int
}

// Default returns the numbers the harness uses unless told otherwise.
//
// Session lengths: Coveo's SIGIR'21 data set, quartiles 2, 3, 8 and 17 and 27 at the
// 90th and 95th percentile. Product pages among all: the same. Repeats: between the
// REES46, Diginetica and YOOCHOOSE data sets. Bots: Imperva's report of 2025. Gaps
// and log-ins are assumptions.
func Default() Model {
	return Model{
		Seed:         1,
		Length:       Lognormal{Median: 3.4, Sigma: 1.25, Min: 1, Max: 206},
		Gap:          Lognormal{Median: 35, Sigma: 1.2, Max: (30 * time.Minute).Seconds()},
		ProductPages: 0.38,
		Home:         0.2,
		Repeat:       0.25,
		LoggedIn:     0.2,
		Bots:         0.3,
		DoubleWithin: 50 * time.Millisecond,
		Limit:        24,
		Native:       24,
	}
}

// Validate reports everything that is wrong with m.
func (m Model) Validate() error {
	var errs []error
	share := func(name string, v float64) {
		if v < 0 || v > 1 || math.IsNaN(v) {
			errs = append(errs, fmt.Errorf("%s is %v, must be a share between 0 and 1", name, v))
		}
	}
	share("product-pages", m.ProductPages)
	share("home", m.Home)
	share("repeat", m.Repeat)
	share("logged-in", m.LoggedIn)
	share("bots", m.Bots)
	share("double-fire", m.DoubleFire)
	share("flash", m.Flash)
	if m.Shoppers < 0 || m.Limit < 0 || m.Native < 0 {
		errs = append(errs, errors.New("shoppers, limit and native must not be negative"))
	}
	if m.Length.Median <= 0 || m.Gap.Median <= 0 {
		errs = append(errs, errors.New("the medians of session length and gap must be positive"))
	}
	return errors.Join(errs...)
}

// requestsPerProductPage: the page fires productView, shopTheLook and customShelf.
const requestsPerProductPage = 3

// RequestsPerPage is how many requests a page fires on average.
func (m Model) RequestsPerPage() float64 {
	return (1 + m.ProductPages*(requestsPerProductPage-1)) * (1 + m.DoubleFire)
}

// crowd is how many sessions are under way at a rate of pages a second.
func (m Model) crowd(pages float64) int {
	if m.Shoppers > 0 {
		return m.Shoppers
	}
	const samples = 20_000 // the clipped mean has no closed form worth writing down
	rng := rand.New(rand.NewPCG(1, 2))
	sum := 0.0
	for range samples {
		sum += m.Gap.Draw(rng)
	}
	return max(1, int(pages*(1-m.Bots)*sum/samples))
}
