package fakeapi

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Endpoint names a part of the API, for faults that hit only some and for counts.
type Endpoint string

// The endpoints.
const (
	Recommendation Endpoint = "recommendation" // the event call
	Profile        Endpoint = "profile"        // a customer's profile
	Lists          Endpoint = "lists"          // similar, sales-ranking, collections, search
)

// unknownEndpoint counts the requests for paths the API does not have.
const unknownEndpoint Endpoint = "unknown"

// Answer names a way in which an answer goes wrong.
type Answer string

// The broken answers. An empty Answer is the real one.
const (
	Hang        Answer = "hang"         // read the call, never answer
	ResetBefore Answer = "reset-before" // reset the connection (RST) before the body is read: no event
	ResetAfter  Answer = "reset-after"  // read the call, then reset the connection
	Drip        Answer = "drip"         // the real answer, one byte at a time, one every 50 ms
	Truncated   Answer = "truncated"    // half the JSON, with the Content-Length of that half
	ShortBody   Answer = "short-body"   // half the JSON, with the Content-Length of the whole, then the end
	HTML        Answer = "html"         // status 200 and a page of HTML
	Null        Answer = "null"         // null
	EmptyObject Answer = "object"       // {}
	WrongTypes  Answer = "wrong-types"  // a list of things that are neither strings nor integers
	EmptyList   Answer = "empty"        // {"products":[]}
	Huge        Answer = "huge"         // a valid list of 10 MB
	GzipBomb    Answer = "gzip-bomb"    // a list with one id of 256 MB, gzipped to about 250 KB and sent unasked
	Dirty       Answer = "dirty"        // the real list with duplicates, the viewed item and unknown ids
	Refuse      Answer = "refuse"       // no listener: connections are refused, open ones closed
)

// Certificate names a certificate the API may show.
type Certificate string

// The certificates. An empty Certificate is the valid one.
const (
	Expired   Certificate = "expired"    // of the right authority and host, but too old
	WrongHost Certificate = "wrong-host" // of the right authority, for another host
)

// dripEvery is how often Drip sends a byte.
const dripEvery = 50 * time.Millisecond

// A Fault is one way to be unwell. The zero Fault is none. Members may be combined:
// a call that it hits first waits for the latency and the delay, then gets the
// answer. Refuse, Certificate, IdleClose and CloseAfter concern connections rather
// than calls, so On and Share do not go with them.
type Fault struct {
	// Name is how the ledger calls it. Empty: made up from what it does.
	Name string `yaml:"name"`

	// On lists the endpoints it hits. Empty means all.
	On []Endpoint `yaml:"on"`

	// Share is the probability that it hits a call, 0 to 1; 0 means every call.
	Share float64 `yaml:"share"`

	// Up and Down make it flap: away for Up, there for Down, and again, counted
	// from the start of its phase. Both or neither.
	Up   time.Duration `yaml:"up"`
	Down time.Duration `yaml:"down"`

	// Latency replaces the API's own latency.
	Latency *Latency `yaml:"latency"`

	// Delay is added to the latency.
	Delay time.Duration `yaml:"delay"`

	// Status is an error status to answer with (400 to 599), in the documented
	// shape of that status.
	Status int `yaml:"status"`

	// RetryAfter is sent as Retry-After with Status, as written ("7", "86400",
	// "soon"); "date+30s" is sent as the HTTP date 30 s ahead.
	RetryAfter string `yaml:"retry_after"`

	// Answer is what goes wrong with the answer. Not together with Status.
	Answer Answer `yaml:"answer"`

	// IdleClose closes connections that have been idle so long, without a word.
	IdleClose time.Duration `yaml:"idle_close"`

	// CloseAfter closes a connection once it has carried so many calls. The last
	// answer does not announce it: the client believes the connection to be good.
	CloseAfter int `yaml:"close_after"`

	// Certificate is shown at new handshakes; open connections are closed when it
	// changes. Only for an API that speaks TLS.
	Certificate Certificate `yaml:"certificate"`
}

// Validate reports everything that is wrong with f.
func (f Fault) Validate() error {
	var errs []error
	if !(f.Share >= 0 && f.Share <= 1) {
		errs = append(errs, fmt.Errorf("share is %v, must lie between 0 and 1", f.Share))
	}
	if (f.Up > 0) != (f.Down > 0) || f.Up < 0 || f.Down < 0 {
		errs = append(errs, errors.New("up and down go together, and are positive"))
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		errs = append(errs, fmt.Errorf("status is %d, must lie between 400 and 599", f.Status))
	}
	if f.Status != 0 && f.Answer != "" {
		errs = append(errs, errors.New("status and answer exclude each other"))
	}
	if f.RetryAfter != "" && f.Status == 0 {
		errs = append(errs, errors.New("retry_after needs a status"))
	}
	if f.Delay < 0 || f.IdleClose < 0 || f.CloseAfter < 0 {
		errs = append(errs, errors.New("delay, idle_close and close_after must not be negative"))
	}
	if f.Latency != nil {
		errs = append(errs, f.Latency.validate())
	}
	if f.hitsConnections() && (f.Share != 0 || len(f.On) > 0) {
		errs = append(errs, errors.New("share and on do not go with refuse, certificate, idle_close or close_after"))
	}
	return errors.Join(append(errs, f.validateNames())...)
}

func (f Fault) validateNames() error {
	var errs []error
	answers := []Answer{
		"", Hang, ResetBefore, ResetAfter, Drip, Truncated, ShortBody, HTML, Null, EmptyObject,
		WrongTypes, EmptyList, Huge, GzipBomb, Dirty, Refuse,
	}
	if !slices.Contains(answers, f.Answer) {
		errs = append(errs, fmt.Errorf("unknown answer %q, must be one of %q", f.Answer, answers[1:]))
	}
	if certificates := []Certificate{"", Expired, WrongHost}; !slices.Contains(certificates, f.Certificate) {
		errs = append(errs, fmt.Errorf("unknown certificate %q, must be one of %q", f.Certificate, certificates[1:]))
	}
	for _, e := range f.On {
		if endpoints := []Endpoint{Recommendation, Profile, Lists}; !slices.Contains(endpoints, e) {
			errs = append(errs, fmt.Errorf("unknown endpoint %q, must be one of %q", e, endpoints))
		}
	}
	return errors.Join(errs...)
}

func (f Fault) hitsConnections() bool {
	return f.Answer == Refuse || f.Certificate != "" || f.IdleClose > 0 || f.CloseAfter > 0
}

func (f Fault) hitsCalls() bool {
	return f.Latency != nil || f.Delay > 0 || f.Status != 0 || (f.Answer != "" && f.Answer != Refuse)
}

// active reports whether f is there so long after the start of its phase.
func (f Fault) active(elapsed time.Duration) bool {
	return f.Up == 0 || elapsed%(f.Up+f.Down) >= f.Up
}

// nextFlap returns how long after elapsed f comes or goes, 0 for never.
func (f Fault) nextFlap(elapsed time.Duration) time.Duration {
	if f.Up == 0 {
		return 0
	}
	into := elapsed % (f.Up + f.Down)
	if into < f.Up {
		return f.Up - into
	}
	return f.Up + f.Down - into
}

// label is what the ledger calls f.
func (f Fault) label() string {
	switch {
	case f.Name != "":
		return f.Name
	case f.Status != 0:
		return fmt.Sprintf("status %d", f.Status)
	case f.Answer != "":
		return string(f.Answer)
	default:
		return "slow"
	}
}

// retryAfter returns the Retry-After header at that time.
func (f Fault) retryAfter(now time.Time) string {
	offset, isDate := cutDate(f.RetryAfter)
	if !isDate {
		return f.RetryAfter
	}
	return httpDate(now.Add(offset))
}
