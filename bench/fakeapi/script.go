package fakeapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// A Script is a series of phases that pass by themselves. The zero Script is a well
// API for ever.
type Script struct {
	// Repeat starts again after the last phase.
	Repeat bool `yaml:"repeat"`

	Phases []Phase `yaml:"phases"`
}

// A Phase is a stretch of time with the same faults.
type Phase struct {
	// Name is how the ledger and the counts call it.
	Name string `yaml:"name"`

	// For is how long it lasts. 0 means until another script is set.
	For time.Duration `yaml:"for"`

	// Faults are tried in order for every call; the first that hits it counts.
	Faults []Fault `yaml:"faults"`
}

// ParseScript reads a script written as YAML. Unknown and repeated members, and
// every mistake Script.Validate finds, are errors.
func ParseScript(text []byte) (Script, error) {
	var s Script
	if err := yaml.Load(text, &s, yaml.WithKnownFields()); err != nil {
		return Script{}, fmt.Errorf("reading the script: %w", err)
	}
	if err := s.Validate(); err != nil {
		return Script{}, err
	}
	return s, nil
}

// Validate reports everything that is wrong with s.
func (s Script) Validate() error {
	var errs []error
	for i, phase := range s.Phases {
		if phase.For < 0 {
			errs = append(errs, fmt.Errorf("phases[%d].for must not be negative", i))
		}
		if phase.For == 0 && (s.Repeat || i < len(s.Phases)-1) {
			errs = append(errs, fmt.Errorf("phases[%d] lasts until told otherwise, so the ones after it never come", i))
		}
		for j, fault := range phase.Faults {
			if err := fault.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("phases[%d].faults[%d]: %w", i, j, err))
			}
		}
	}
	return errors.Join(errs...)
}

// At returns the phase so long after the start, how long it has been going on, and
// how long it still will, 0 for ever. After the last phase all is well.
func (s Script) At(elapsed time.Duration) (phase Phase, since, left time.Duration) {
	if s.Repeat {
		var total time.Duration
		for _, p := range s.Phases {
			total += p.For
		}
		if total > 0 {
			elapsed %= total
		}
	}
	for _, p := range s.Phases {
		if p.For == 0 {
			return p, elapsed, 0
		}
		if elapsed < p.For {
			return p, elapsed, p.For - elapsed
		}
		elapsed -= p.For
	}
	return Phase{}, elapsed, 0
}

// usesTLS reports whether a phase shows a certificate.
func (s Script) usesTLS() bool {
	for _, phase := range s.Phases {
		for _, fault := range phase.Faults {
			if fault.Certificate != "" {
				return true
			}
		}
	}
	return false
}

// cutDate reads the "date+30s" form of Fault.RetryAfter.
func cutDate(text string) (offset time.Duration, ok bool) {
	rest, ok := strings.CutPrefix(text, "date+")
	if !ok {
		return 0, false
	}
	offset, err := time.ParseDuration(rest)
	return offset, err == nil
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
