package fakeapi

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vitrine/bench/shopdata"
)

// TokenHeader is the header that carries the shop's token.
const TokenHeader = "X-FashionAI-APP-Token"

// DefaultToken is the token demanded when Options names none.
const DefaultToken = "fake-token"

// Options says what stand-in is wanted. The zero Options is the one for tests: it
// answers at once, is never cold, and sells 2 000 products in 40 categories.
type Options struct {
	// Rankings computes the lists. A nil Catalogue in it means
	// shopdata.New(1, 2000, 40).
	Rankings Rankings

	// Token is what TokenHeader must carry, until API.Accept says otherwise. Empty means
	// DefaultToken.
	Token string

	// Seed starts the dice for latencies and shares. Calls under way together
	// take them in the order of their arrival.
	Seed uint64

	// ColdEvents is how many events of a new session are answered with an empty
	// list, for want of data about it.
	ColdEvents int

	// Latency is how long recommendation calls and the read-only lists take.
	Latency Latency

	// ProfileLatency is how long a profile takes; the real ones are written anew
	// at each call.
	ProfileLatency Latency

	// People is how many customers have a profile: PersonN(0) to PersonN(People-1).
	People int

	// MaxLedger bounds the entries kept, about 300 bytes each. 0 means 200 000.
	// When there are more, the oldest are forgotten, which Stats.Forgotten tells;
	// the counts stay exact.
	MaxLedger int

	// Listen is the API's address, ControlListen the control address. Empty means
	// a free port on 127.0.0.1.
	Listen, ControlListen string

	// TLS makes the API speak TLS, with a certificate of an authority made at the
	// start (see Server.CAPEM). Faults can make it an expired or a foreign one.
	TLS bool

	// Logger is told when a phase of a script begins, and when the listener cannot
	// be opened again. nil logs nothing.
	Logger *slog.Logger
}

// Realistic returns the options of a rehearsal: a median of 180 ms and a 99th
// percentile of 450 ms, and two empty answers at the start of each session. The
// vendor documents neither; these are the assumptions of the whole bench.
func Realistic() Options {
	return Options{
		ColdEvents:     2,
		Latency:        Latency{P50: 180 * time.Millisecond, P99: 450 * time.Millisecond},
		ProfileLatency: Latency{P50: 900 * time.Millisecond, P99: 4 * time.Second},
		People:         100,
	}
}

// Validate reports everything that is wrong with o.
func (o Options) Validate() error {
	var errs []error
	if o.ColdEvents < 0 {
		errs = append(errs, fmt.Errorf("option ColdEvents is %d, must not be negative", o.ColdEvents))
	}
	if o.People < 0 {
		errs = append(errs, fmt.Errorf("option People is %d, must not be negative", o.People))
	}
	if o.MaxLedger < 0 {
		errs = append(errs, fmt.Errorf("option MaxLedger is %d, must not be negative", o.MaxLedger))
	}
	for eventType, n := range o.Rankings.Lengths {
		if n < 0 {
			errs = append(errs, fmt.Errorf("the length of %s is %d, must not be negative", eventType, n))
		}
	}
	if err := o.Latency.validate(); err != nil {
		errs = append(errs, fmt.Errorf("option Latency: %w", err))
	}
	if err := o.ProfileLatency.validate(); err != nil {
		errs = append(errs, fmt.Errorf("option ProfileLatency: %w", err))
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.Rankings.Catalogue == nil {
		o.Rankings.Catalogue = shopdata.New(1, 2000, 40)
	}
	if o.Token == "" {
		o.Token = DefaultToken
	}
	if o.MaxLedger == 0 {
		o.MaxLedger = 200_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
