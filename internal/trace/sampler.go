package trace

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Sampler decides which traces are kept. The zero Sampler keeps none.
type Sampler struct {
	parent bool   // what has a parent goes by that one's decision
	below  uint64 // of 2^63: a trace is kept if its id's last 63 bits are below
}

// everyTrace is above any 63 bits.
const everyTrace = 1 << 63

// KeepAll keeps what its parent keeps, and every trace that begins here: OpenTelemetry's default.
func KeepAll() Sampler { return Sampler{parent: true, below: everyTrace} }

// ParseSampler reads the values of OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. A share of
// traces is decided by their ids as OpenTelemetry's own libraries do it, so that all that
// serve a trace agree. On an error the Sampler is what the specification wants used then.
func ParseSampler(name, argument string) (Sampler, error) {
	switch name {
	case "always_on":
		return Sampler{below: everyTrace}, nil
	case "always_off":
		return Sampler{}, nil
	case "parentbased_always_on", "":
		return KeepAll(), nil
	case "parentbased_always_off":
		return Sampler{parent: true}, nil
	case "traceidratio", "parentbased_traceidratio":
		below, err := ratio(argument)
		return Sampler{parent: name != "traceidratio", below: below}, err
	default:
		return KeepAll(), fmt.Errorf("OTEL_TRACES_SAMPLER: there is no sampler %q here; parentbased_always_on is used", name)
	}
}

func ratio(argument string) (below uint64, err error) {
	if argument == "" {
		return everyTrace, nil
	}
	share, err := strconv.ParseFloat(argument, 64)
	if err != nil || !(share >= 0 && share <= 1) { // and not NaN
		return everyTrace, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is no number from 0 to 1; 1 is used", argument)
	}
	return uint64(share * everyTrace), nil
}

// keeps decides about a span of that trace below parent, which is zero if it is the first.
func (s Sampler) keeps(parent Context, trace [16]byte) bool {
	if s.parent && !parent.IsZero() {
		return parent.Sampled()
	}
	return binary.BigEndian.Uint64(trace[8:])>>1 < s.below
}
