package check

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vitrine/bench/wire"
)

// The sources of an answer.
const (
	API    = "api"
	Cache  = "cache"
	Stale  = "stale"
	Native = "native"
	None   = "none"
)

// topped is the one reason that says nothing bad of a ranking.
const topped = "topped-up"

// Headers are what the headers of an answer say.
type Headers struct {
	Source, Reason string
	Event          string
	Age            time.Duration // -1 is none
}

// readHeaders returns what the headers say, and what is wrong with them.
func readHeaders(a *wire.Answer) (Headers, error) {
	h := Headers{
		Source: a.Header("vitrine-source"), Reason: a.Header("vitrine-reason"),
		Event: a.Header("vitrine-event"), Age: -1,
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if v := a.Header("age"); v != "" {
		seconds, err := strconv.Atoi(v)
		if err != nil || seconds < 0 {
			wrong("Age is %q", v)
		}
		h.Age = time.Duration(seconds) * time.Second
	}
	if v := a.Header("cache-control"); v != "private, no-store" {
		wrong("Cache-Control is %q", v)
	}
	aged := h.Source == Cache || h.Source == Stale
	if aged != (h.Age >= 0) {
		wrong("Age is %q for source %s", a.Header("age"), h.Source)
	}
	if err := reasonFits(h.Source, h.Reason); err != nil {
		errs = append(errs, err)
	}
	if err := statusFits(h, a.Header("cache-status")); err != nil {
		errs = append(errs, err)
	}
	return h, errors.Join(errs...)
}

func reasonFits(source, reason string) error {
	switch source {
	case API, Cache:
		if reason != "" && reason != topped {
			return fmt.Errorf("source %s has a reason, %q", source, reason)
		}
		return nil
	case Stale, Native, None:
		if !knownReason(reason) {
			return fmt.Errorf("source %s has the reason %q", source, reason)
		}
		return nil
	default:
		return fmt.Errorf("Vitrine-Source is %q", source)
	}
}

func knownReason(reason string) bool {
	switch reason {
	case "empty", "timeout", "open", "overload", "rate-limited", "unreachable", "bad-answer", "out-of-stock", "holdout", "bot", topped:
		return true
	}
	code, ok := strings.CutPrefix(reason, "http-")
	n, err := strconv.Atoi(code)
	return ok && err == nil && n >= 100 && n < 600
}

// statusFits holds Cache-Status (RFC 9211) against the source.
func statusFits(h Headers, status string) error {
	name, params := parseStatus(status)
	ttl, err := strconv.Atoi(params["ttl"])
	_, hit := params["hit"]
	bad := name != "vitrine"
	switch h.Source {
	case Cache:
		bad = bad || !hit || err != nil || ttl < 0 || params["detail"] != "memory" && params["detail"] != "redis"
	case Stale:
		bad = bad || !hit || err != nil || params["detail"] != "stale"
	default:
		bad = bad || hit || params["fwd"] == ""
	}
	if bad {
		return fmt.Errorf("Cache-Status is %q for source %s", status, h.Source)
	}
	return nil
}

func parseStatus(status string) (name string, params map[string]string) {
	name, rest, _ := strings.Cut(status, ";")
	params = make(map[string]string)
	for part := range strings.SplitSeq(rest, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		params[key] = value
	}
	return strings.TrimSpace(name), params
}
