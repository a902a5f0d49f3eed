package fakeshop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"vitrine/bench/shopdata"
)

// The lengths of the lists, about those of real platforms.
const (
	pageLength = 50
	maxPage    = 200
	shelfSize  = 24
)

// Options says what shop is wanted.
type Options struct {
	// Catalogue is what it sells. nil means shopdata.New(1, 2000, 40), the one
	// package fakeapi recommends from when it is given none.
	Catalogue *shopdata.Catalogue

	// Listen is the address of Start. Empty means a free port on 127.0.0.1.
	Listen string
}

// A Fault is a way to be unwell. It hits every call; members may be combined.
type Fault struct {
	Down   bool          // the connection is closed without an answer
	Delay  time.Duration // every answer is late by so much
	Errors bool          // 200 with an "errors" member beside a list, as GraphQL platforms throttle
	Empty  bool          // 200 with an empty list, or a feed without rows
}

// Stats are counts since the start.
type Stats struct {
	Requests    map[string]uint64 // by path, "other" for those the shop does not have
	NotModified uint64            // of these, answered with 304
}

// Shop is the shop without a listener: an http.Handler.
type Shop struct {
	catalogue *shopdata.Catalogue
	mux       *http.ServeMux

	mu       sync.Mutex
	fault    Fault
	disabled map[string]bool
	soldOut  map[string]bool
	version  uint64 // raised when disabled or soldOut change
	feeds    map[string]feed
	stats    Stats
}

// New returns a shop. It listens nowhere and starts nothing.
func New(opts Options) *Shop {
	if opts.Catalogue == nil {
		opts.Catalogue = shopdata.New(1, 2000, 40)
	}
	s := &Shop{
		catalogue: opts.Catalogue,
		mux:       http.NewServeMux(),
		disabled:  make(map[string]bool),
		soldOut:   make(map[string]bool),
		feeds:     make(map[string]feed),
		stats:     Stats{Requests: make(map[string]uint64)},
	}
	s.mux.HandleFunc("GET /native", s.native)
	s.mux.HandleFunc("GET /similar", s.similar)
	s.mux.HandleFunc("GET /shelf", s.shelf)
	for extension, format := range formats() {
		s.mux.HandleFunc("GET /feed"+extension, func(w http.ResponseWriter, r *http.Request) { s.feed(w, r, format) })
	}
	return s
}

// Set lets a fault loose until it is replaced.
func (s *Shop) Set(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Clear makes the shop well again.
func (s *Shop) Clear() { s.Set(Fault{}) }

// Disable takes products off every list and the feed. Unknown ids do nothing.
func (s *Shop) Disable(ids ...string) { s.mark(s.disabled, true, ids) }

// Enable puts disabled products back where they were.
func (s *Shop) Enable(ids ...string) { s.mark(s.disabled, false, ids) }

// SellOut leaves no unit of the products, in any size. They stay on the lists.
func (s *Shop) SellOut(ids ...string) { s.mark(s.soldOut, true, ids) }

// Restock gives sold-out products back the stock of the catalogue.
func (s *Shop) Restock(ids ...string) { s.mark(s.soldOut, false, ids) }

func (s *Shop) mark(marks map[string]bool, marked bool, ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if _, ok := s.catalogue.Product(id); !ok {
			continue
		}
		if marked {
			marks[id] = true
		} else {
			delete(marks, id)
		}
	}
	s.version++
}

// Catalogue returns what the shop sells.
func (s *Shop) Catalogue() *shopdata.Catalogue { return s.catalogue }

// Stats returns the counts.
func (s *Shop) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Requests: maps.Clone(s.stats.Requests), NotModified: s.stats.NotModified}
}

// ServeHTTP answers one request, if the fault lets it.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.begin(r)
	if !wait(r.Context(), f.Delay) || f.Down {
		panic(http.ErrAbortHandler) // net/http's way to close without an answer
	}
	if f.Errors {
		s.write(w, r, "application/json", jsonOf(map[string]any{
			"errors": []map[string]string{{"message": "Throttled"}},
			"items":  items(s.catalogue.BestSellers()[:1]),
		}))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// begin counts a request and returns its fate.
func (s *Shop) begin(r *http.Request) Fault {
	_, pattern := s.mux.Handler(r)
	path := r.URL.Path
	if pattern == "" {
		path = "other"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests[path]++
	return s.fault
}

func (s *Shop) native(w http.ResponseWriter, r *http.Request) {
	category, ok := s.catalogue.Category(r.URL.Query().Get("category"))
	if !ok {
		missing(w, "no such category")
		return
	}
	page, errPage := positive(r, "page", 1)
	limit, errLimit := positive(r, "limit", pageLength)
	if err := errors.Join(errPage, errLimit); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	all := s.sold(category.Products)
	limit = min(limit, maxPage)
	from := min(page-1, len(all)) * limit // beyond the end is an empty page
	s.list(w, r, all[min(from, len(all)):min(from+limit, len(all))], len(all))
}

func (s *Shop) similar(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("product")
	if _, ok := s.catalogue.Product(id); !ok {
		missing(w, "no such product")
		return
	}
	ids := s.sold(s.catalogue.Similar(id))
	s.list(w, r, ids, len(ids))
}

func (s *Shop) shelf(w http.ResponseWriter, r *http.Request) {
	ids := s.sold(s.catalogue.BestSellers())
	ids = ids[:min(len(ids), shelfSize)]
	s.list(w, r, ids, len(ids))
}

// sold returns the ids without those disabled; none if the fault is emptiness.
func (s *Shop) sold(ids []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault.Empty {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return s.disabled[id] })
}

func (s *Shop) list(w http.ResponseWriter, r *http.Request, ids []string, total int) {
	s.write(w, r, "application/json", jsonOf(map[string]any{"items": items(ids), "total": total}))
}

// write sends a body with its ETag, or 304 if the client has it.
func (s *Shop) write(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		s.mu.Lock()
		s.stats.NotModified++
		s.mu.Unlock()
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error is the client's going away
}

type item struct {
	ProductID string `json:"productId"`
}

func items(ids []string) []item {
	list := make([]item, len(ids))
	for i, id := range ids {
		list[i].ProductID = id
	}
	return list
}

// jsonOf encodes what cannot fail to be: maps of our own strings and numbers.
func jsonOf(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding our own answer: %v", err))
	}
	return body
}

func missing(w http.ResponseWriter, what string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write(jsonOf(map[string]string{"error": what}))
}

// positive returns a number of the query, or the standard one if it is not there.
func positive(r *http.Request, name string, standard int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s must be a number from 1", name)
	}
	return n, nil
}

// wait waits for d and reports whether it could.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
