package fallback

import (
	"container/list"
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/fallback/platform"
	"vitrine/internal/reco"
)

// Natives knows the platform's own ordering for the place an event happens at.
//
// It answers from snapshots: one per list, shared by all shoppers, fetched in the
// background when somebody asks for a list that is missing or old. Only who asks for
// a list that was never fetched waits for it; a failed fetch keeps the last snapshot,
// however old. Fetching happens in Run, within the platform's quota and behind its breaker.
type Natives struct {
	opt   NativeOptions
	owner string // of our leases
	shop  atomic.Pointer[shop]

	loads    *lane // look into Shared, held up by nothing else
	platform *lane // ask the platform, within its quota and behind its breaker
	sales    *lane // ask for the sales ranking

	file atomic.Pointer[fileLists]

	late sync.WaitGroup // calls of Shared that nobody waits for any more

	mu      sync.Mutex
	entries map[place]*entry
	recent  *list.List // of *entry, the one asked for last in front
	bytes   int
	counts  [numOutcomes]uint64
}

// NewNatives reads the file of lists, if there is one, and starts nothing: see Run.
func NewNatives(o NativeOptions) (*Natives, error) {
	n := &Natives{opt: o.withDefaults(), owner: rand.Text(), entries: make(map[place]*entry), recent: list.New()}
	n.shop.Store(&shop{n.opt.Platform, n.opt.Namespace})
	n.loads = newLane(n.opt.Workers, n.load, nil)
	n.platform = newLane(n.opt.Workers, n.fetch, n.platformWait)
	n.sales = newLane(1, n.fetch, nil)
	if err := n.ReloadFile(); err != nil {
		return nil, err
	}
	return n, nil
}

// Run looks up and fetches what is asked for, until ctx ends.
func (n *Natives) Run(ctx context.Context) error {
	var lanes sync.WaitGroup
	for _, l := range []*lane{n.loads, n.platform, n.sales} {
		lanes.Go(func() { n.drive(ctx, l) })
	}
	lanes.Wait()
	n.late.Wait()
	return nil
}

// source is where a list comes from. They are asked in this order.
type source uint8

const (
	fromPlatform source = iota
	fromFile
	fromSales
)

// place is one list of one source.
type place struct {
	id     string
	kind   platform.List
	source source
}

// maxPlaces is the most that [Natives.places] can name: those of a product page.
const maxPlaces = 5

// places appends where e's ordering may come from, best first.
func (n *Natives) places(dst []place, e reco.Event) []place {
	category, known := "", false
	switch e.Type {
	case reco.CategoryView:
		category, known = e.Item, true
	case reco.ProductView:
		if n.opt.Catalogue != nil {
			category, known = n.opt.Catalogue.CategoryOf(e.Item)
		}
	case reco.CustomShelf:
	default:
		return dst // what completes a look no platform knows: the shop hides the button
	}
	for _, from := range [...]source{fromPlatform, fromFile, fromSales} {
		if e.Type == reco.ProductView && n.serves(from, platform.Similar) {
			dst = append(dst, place{e.Item, platform.Similar, from})
		}
		if known && n.serves(from, platform.Category) {
			dst = append(dst, place{category, platform.Category, from})
		}
		if e.Type == reco.CustomShelf && n.serves(from, platform.Shelf) {
			dst = append(dst, place{"", platform.Shelf, from})
		}
	}
	return dst
}

func (n *Natives) serves(from source, kind platform.List) bool {
	switch from {
	case fromPlatform:
		shop := n.shop.Load().platform
		return shop != nil && shop.Serves(kind)
	case fromFile:
		return n.file.Load() != nil
	default:
		return n.opt.Sales != nil && kind != platform.Similar
	}
}

// Asked is a question for a native ordering, put when its event was accepted.
type Asked struct {
	natives *Natives
	rungs   [maxPlaces]rung // best first
	count   int
	without string // the viewed product
}

// rung is a place that may answer: one list of the file, or an entry.
type rung struct {
	place place
	fixed *snapshot
	entry *entry
}

// Ask puts the question what the native ordering for e is, and sees to it that
// lists which are missing or old are fetched. It never blocks. Places are asked in
// order, down to the first that has a product to show.
func (n *Natives) Ask(e reco.Event) Asked {
	a := Asked{natives: n}
	if e.Type.ViewsProduct() {
		a.without = e.Item
	}
	var room [maxPlaces]place
	places := n.places(room[:0], e)
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range places {
		r := rung{place: p}
		if p.source == fromFile {
			r.fixed = n.fileList(p)
		} else {
			r.entry = n.touchLocked(p, now)
		}
		a.rungs[a.count] = r
		a.count++
		if r.snapshotLocked().usable() {
			break
		}
	}
	return a
}

func (r rung) snapshotLocked() *snapshot {
	if r.entry != nil {
		return r.entry.snapshot
	}
	return r.fixed
}

// Wait returns the native ordering and the time since it was fetched: at once if a
// snapshot of it exists, however old; else as soon as the first fetch has brought
// one, until the deadline. It does not wait for what cannot come before the
// deadline: a list that was just asked for in vain, or a platform whose breaker is
// open or whose quota is used up. False means that there is nothing to show.
func (a Asked) Wait(deadline time.Time) (reco.Ranking, time.Duration, bool) {
	for i := 0; ; i++ {
		if ranking, age, found := a.look(); found || i == a.count {
			return ranking, age, found
		}
		if held := a.rungs[i].entry; held != nil {
			a.natives.await(held, deadline)
		}
	}
}

// Tried is what one place gave when it was asked for an ordering.
type Tried struct {
	Place   string // such as "platform:category:27"
	Found   bool   // false: there is no list of it, or none yet
	Ranking reco.Ranking
	Age     time.Duration
}

// Tried lists the places that were asked, best first, down to the first with
// products to show, and what each has now.
func (a Asked) Tried() []Tried {
	now := time.Now()
	tried := make([]Tried, 0, a.count)
	a.natives.mu.Lock()
	defer a.natives.mu.Unlock()
	for _, r := range a.rungs[:a.count] {
		t := Tried{Place: r.place.String()}
		if s := r.snapshotLocked(); s != nil {
			t.Ranking, t.Found, t.Age = s.ranking, true, s.age(now)
		}
		tried = append(tried, t)
	}
	return tried
}

// look returns the best there is now.
func (a Asked) look() (reco.Ranking, time.Duration, bool) {
	var found *snapshot
	a.natives.mu.Lock()
	for _, r := range a.rungs[:a.count] {
		if found = r.snapshotLocked(); found.usable() {
			break
		}
	}
	a.natives.mu.Unlock()
	if !found.usable() {
		return reco.Ranking{}, 0, false
	}
	ranking := found.ranking.Without(a.without)
	return ranking, found.age(time.Now()), !ranking.Empty()
}

// await waits for e's first products, as long as what goes on for it may bring them
// before the deadline.
func (n *Natives) await(e *entry, deadline time.Time) {
	for {
		n.mu.Lock()
		under, moved, here := e.lane, e.moved, e.snapshot.usable()
		n.mu.Unlock()
		left := time.Until(deadline)
		if here || under == nil || left <= 0 || under.wait() >= left {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}
