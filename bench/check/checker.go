package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// Options says what the answers are held against.
type Options struct {
	Rankings fakeapi.Rankings // those of the stand-in API, the catalogue filled in

	// Fresh and Stale are the sidecar's cache.fresh and cache.stale. Entries may live a
	// tenth longer, by jitter.
	Fresh, Stale time.Duration

	// Share of answers whose list is computed anew and compared, 0 to 1. The rest is
	// checked for everything else. It exists for rates at which the comparing would
	// slow the asking.
	Share float64
}

// Checker may be used concurrently.
type Checker struct {
	opts  Options
	seed  maphash.Seed
	found findings

	mu     sync.Mutex
	asked  map[uint64]*tally     // by question
	owners map[uint64]string     // of lists lately seen, by the list's hash
	order  []uint64              // of owners, oldest first
	events map[[16]byte]struct{} // hashes of event ids
	n      uint64
	after  uint64 // the ledger has been read so far
	seen   int64  // entries of it
}

// tally is what became of one question, however often it was asked.
type tally struct {
	accepted int32     // with an event id
	maybe    int32     // whose answer was not seen
	arrived  int32     // at the API
	first    time.Time // asked
}

// New returns a checker that has seen nothing.
func New(o Options) *Checker {
	return &Checker{
		opts: o, seed: maphash.MakeSeed(),
		asked: make(map[uint64]*tally), owners: make(map[uint64]string), events: make(map[[16]byte]struct{}),
	}
}

// Findings returns the violations so far.
func (c *Checker) Findings() []Finding { return c.found.list() }

// Verdict is what an answer turned out to be.
type Verdict struct {
	Headers
	Products int
	OK       bool // nothing is wrong with it
}

// Answer checks the answer to a request that was asked.
func (c *Checker) Answer(r traffic.Request, a *wire.Answer) Verdict {
	before := c.total()
	v := Verdict{}
	if a.Status != 200 || !strings.HasPrefix(a.Header("content-type"), "application/json") {
		c.found.add(BadStatus, 1, "%s: %d %s: %.200s", describe(r), a.Status, a.Header("content-type"), a.Body)
		c.Failed(r)
		return v
	}
	var err error
	if v.Headers, err = readHeaders(a); err != nil {
		c.found.add(BadHeader, 1, "%s: %v", describe(r), err)
	}
	first, check := c.note(r, v.Event)
	products, err := parse(a.Body)
	if err != nil {
		c.found.add(BadBody, 1, "%s: %v: %.200s", describe(r), err, a.Body)
		return v
	}
	v.Products = len(products)
	c.shape(r, v.Headers, products)
	c.age(r, v.Headers, first)
	if check {
		c.content(r, v.Headers, products)
	}
	v.OK = c.total() == before
	return v
}

// total is the number of violations; only its change means anything, and answers
// checked at the same time may change it for each other, which blames one too many,
// never one too few.
func (c *Checker) total() (n int64) {
	c.found.mu.Lock()
	defer c.found.mu.Unlock()
	for _, f := range c.found.kind {
		n += f.Count
	}
	return n
}

// Asked notes a request that is about to be sent.
func (c *Checker) Asked(r traffic.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tallyLocked(r); t.first.IsZero() {
		t.first = time.Now()
	}
}

// Failed notes a request whose answer was not seen: its event may have been accepted.
func (c *Checker) Failed(r traffic.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tallyLocked(r).maybe++
}

// note counts an accepted event. It returns when its question was first asked, and
// whether the answer's list is to be compared.
func (c *Checker) note(r traffic.Request, event string) (first time.Time, check bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tallyLocked(r)
	t.accepted++
	c.n++
	if !c.newEventLocked(event) {
		c.found.add(BadEvent, 1, "%s: Vitrine-Event %q", describe(r), event)
	}
	return t.first, float64(c.n)*c.opts.Share-float64(uint64(float64(c.n-1)*c.opts.Share)) >= 1
}

func (c *Checker) newEventLocked(event string) bool {
	if len(event) != 36 {
		return false
	}
	var id [16]byte
	h1 := maphash.String(c.seed, event)
	for i := range 8 {
		id[i] = byte(h1 >> (8 * i))
	}
	copy(id[8:], event[28:]) // the random end itself
	_, again := c.events[id]
	c.events[id] = struct{}{}
	return !again
}

func (c *Checker) tallyLocked(r traffic.Request) *tally {
	key := c.key(r.Session, r.User, r.Type, r.ID)
	t := c.asked[key]
	if t == nil {
		t = new(tally)
		c.asked[key] = t
	}
	return t
}

func (c *Checker) key(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// shape checks what holds for every list, whatever its source.
func (c *Checker) shape(r traffic.Request, h Headers, products []string) {
	known := make(map[string]struct{}, len(products))
	for _, id := range products {
		if _, twice := known[id]; twice {
			c.found.add(Duplicate, 1, "%s: %q twice", describe(r), id)
		}
		known[id] = struct{}{}
		if _, ok := c.opts.Rankings.Catalogue.Product(id); !ok && !slices.Contains(r.Native, id) {
			c.found.add(Unknown, 1, "%s: %.80q", describe(r), id)
		}
	}
	if _, has := known[r.ID]; has && withoutViewed(r.Type) {
		c.found.add(Viewed, 1, "%s", describe(r))
	}
	if r.Limit > 0 && len(products) > r.Limit {
		c.found.add(TooLong, 1, "%s: %d ids, the limit is %d", describe(r), len(products), r.Limit)
	}
	if (h.Source == None) != (len(products) == 0) {
		c.found.add(BadHeader, 1, "%s: source %s with %d products", describe(r), h.Source, len(products))
	}
}

// age checks that an answer is neither older than it may be nor than its question.
func (c *Checker) age(r traffic.Request, h Headers, first time.Time) {
	longest := c.opts.Fresh
	switch h.Source {
	case Cache:
	case Stale:
		longest += c.opts.Stale
	default:
		return
	}
	longest += longest/10 + time.Second
	if h.Age > longest {
		c.found.add(BadAge, 1, "%s: %s, %v old, allowed are %v", describe(r), h.Source, h.Age, longest)
	}
	if asked := time.Since(first); h.Age > asked+time.Second {
		c.found.add(BadAge, 1, "%s: %v old, but first asked %v ago", describe(r), h.Age, asked.Round(time.Millisecond))
	}
}

// content checks that the list is the one of this question.
func (c *Checker) content(r traffic.Request, h Headers, products []string) {
	switch h.Source {
	case None:
	case Native:
		c.nativeContent(r, products)
	default:
		ranking := c.opts.Rankings.Ranking(r.Session, r.User, r.Type, r.ID)
		want := dress(r, ranking)
		c.own(ranking, r)
		if !slices.Equal(products, want) && (h.Reason != topped || !subset(products, ranking, r.Native)) {
			c.blame(r, h, products, want)
		}
	}
}

func (c *Checker) nativeContent(r traffic.Request, products []string) {
	if len(r.Native) == 0 {
		return // from the platform: any products of the shop
	}
	if want := dress(r, r.Native); !slices.Equal(products, want) {
		c.found.add(WrongNative, 1, "%s: got %.120q, want %.120q", describe(r), products, want)
	}
}

// ownedPrefix is how much of a list tells whose it is; lists are cut by limits.
const ownedPrefix = 5

// maxOwners bounds the lists whose owners we know.
const maxOwners = 200_000

func (c *Checker) own(ranking []string, r traffic.Request) {
	if len(ranking) < ownedPrefix {
		return
	}
	key := c.key(ranking[:ownedPrefix]...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.owners[key]; ok {
		return
	}
	if len(c.order) == maxOwners {
		delete(c.owners, c.order[0])
		c.order = c.order[1:]
	}
	c.owners[key], c.order = describe(r), append(c.order, key)
}

func (c *Checker) blame(r traffic.Request, h Headers, products, want []string) {
	if len(products) >= ownedPrefix {
		key := c.key(products[:ownedPrefix]...)
		c.mu.Lock()
		owner := c.owners[key]
		c.mu.Unlock()
		if owner != "" && owner != describe(r) {
			c.found.add(Leak, 1, "%s was answered (%s) with the list of %s", describe(r), h.Source, owner)
			return
		}
	}
	c.found.add(Foreign, 1, "%s (%s): got %.120q, want %.120q", describe(r), h.Source, products, want)
}

// dress does to a list what the sidecar must have done.
func dress(r traffic.Request, list []string) []string {
	out := make([]string, 0, len(list))
	seen := make(map[string]struct{}, len(list))
	add := func(ids []string) {
		for _, id := range ids {
			if _, twice := seen[id]; twice || id == r.ID && withoutViewed(r.Type) {
				continue
			}
			seen[id] = struct{}{}
			out = append(out, id)
		}
	}
	add(list)
	if r.Complete {
		add(r.Native)
	}
	if r.Limit > 0 && len(out) > r.Limit {
		out = out[:r.Limit]
	}
	return out
}

func withoutViewed(eventType string) bool {
	return eventType == fakeapi.ProductView || eventType == fakeapi.ShopTheLook
}

func subset(products []string, of ...[]string) bool {
	known := make(map[string]struct{})
	for _, list := range of {
		for _, id := range list {
			known[id] = struct{}{}
		}
	}
	for _, id := range products {
		if _, ok := known[id]; !ok {
			return false
		}
	}
	return true
}

var errShape = errors.New("not exactly one member, products, with a list of strings")

// parse reads the one shape an answer may have.
func parse(body []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var answer struct {
		Products []*string `json:"products"`
	}
	if err := d.Decode(&answer); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || answer.Products == nil {
		return nil, errShape
	}
	ids := make([]string, len(answer.Products))
	for i, id := range answer.Products {
		if id == nil {
			return nil, errShape
		}
		ids[i] = *id
	}
	return ids, nil
}

func describe(r traffic.Request) string {
	return r.Type + " " + r.ID + " of " + r.Session + "/" + r.User
}
