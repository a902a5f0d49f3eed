package catalog_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/fallback/catalog"
	"vitrine/internal/reco"
)

const sizesFeed = "id,item_group_id,size,quantity,availability\n" +
	"s,dress,S,2,in_stock\nm,dress,M,1,in_stock\nred-m,dress,M,0,in_stock\nl,dress,L,,\nsolo,,,4,\npre,,,0,preorder\n"

func TestGroupIsWhatItsRowsAre(t *testing.T) {
	c, err := fromFile(t, sizesFeed)
	if err != nil {
		t.Fatal(err)
	}
	check := func(id string, soldOut bool, quantity int, complete bool) {
		t.Helper()
		p, _ := c.Product(id, time.Now())
		if p.SoldOut != soldOut || p.Quantity != quantity || p.Complete != complete || c.Stock(id) != p.Stock {
			t.Errorf("%s: got %+v, want sold out %v, quantity %d, complete %v", id, p, soldOut, quantity, complete)
		}
	}
	check("dress", false, -1, true) // nobody says how many L there are; M is there, if not in red
	check("m", false, 1, true)
	check("red-m", true, 0, true)
	check("pre", false, 0, true)
	push(t, c, "l", 3)
	check("dress", false, 6, true)
	push(t, c, "m", 0)
	check("m", true, 0, false)
	check("dress", false, 5, false)
	push(t, c, "s", 0)
	push(t, c, "l", 0)
	check("dress", true, 0, false)
	push(t, c, "dress", 9) // as a whole
	check("dress", false, 9, false)
	push(t, c, "s", 1) // later, and of one row: the sum counts again
	check("dress", false, 1, false)
	push(t, c, "pre", 0)
	check("pre", true, 0, false)
	push(t, c, "pre", 2)
	check("pre", false, 2, true)
}

func TestPushesWithoutAFeed(t *testing.T) {
	c := newCatalog(t, catalog.Defaults(), nil)
	if c.Active() || c.HasFeed() || !c.Ready() {
		t.Errorf("without anything: got active %v, feed %v, ready %v, want false, false, true", c.Active(), c.HasFeed(), c.Ready())
	}
	if changed, err := c.Refresh(t.Context()); changed || err != nil {
		t.Errorf("Refresh without a feed: got %v, %v, want nothing", changed, err)
	}
	push(t, c, "a", 0)
	push(t, c, "b", 3)
	for id, want := range map[string]catalog.Stock{
		"a": {SoldOut: true}, "b": {Quantity: 3}, "c": {Quantity: -1},
	} {
		if got := c.Stock(id); got != want {
			t.Errorf("Stock(%s): got %+v, want %+v", id, got, want)
		}
	}
	if !c.Active() || c.Stats().Pushed != 2 {
		t.Errorf("got active %v, %d pushed, want true, 2", c.Active(), c.Stats().Pushed)
	}
}

func TestAPushForAProductThatTheFeedLacksWaitsForIt(t *testing.T) {
	o := catalog.Defaults()
	o.File = filepath.Join(t.TempDir(), "feed.csv")
	c := newCatalog(t, o, nil)
	push(t, c, "new", 0)
	if got := c.Stock("new"); !got.SoldOut || c.Ready() {
		t.Errorf("before the first feed: got %+v and ready %v, want sold out and false", got, c.Ready())
	}
	for _, feed := range []string{"id,quantity\na,1\n", "id,quantity\na,1\nnew,5\n"} {
		write(t, o.File, feed)
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := strings.Contains(feed, "new")
		if got := c.Stock("new"); got.Known != want || got.SoldOut != want {
			t.Errorf("Stock(new): got %+v, want known and sold out %v", got, want)
		}
	}
}

func TestPushesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := catalog.Defaults()
		o.MaxPushed = 16
		c := newCatalog(t, o, nil)
		for i := range 100 {
			push(t, c, strconv.Itoa(i), i)
			if got := c.Stats().Pushed; got > 16 {
				t.Fatalf("after %d: got %d pushed, want at most 16", i, got)
			}
		}
		if got := c.Stock("99"); got.Quantity != 99 {
			t.Errorf("the newest: got %+v, want 99", got)
		}
		if got := c.Stock("0"); got.Quantity != -1 {
			t.Errorf("the oldest: got %+v, want it forgotten", got)
		}
		all := make([]reco.Stock, 50) // all in one moment
		for i := range all {
			all[i] = reco.Stock{ID: "x" + strconv.Itoa(i)}
		}
		if err := c.Push(t.Context(), all); err != nil || c.Stats().Pushed != 14 {
			t.Errorf("a push larger than the bound: got %v and %d pushed, want 14", err, c.Stats().Pushed)
		}
	})
}

func TestThePushThatArrivesLastCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where time stands still between them
		c, err := fromFile(t, sizesFeed)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []int{5, 0, 7, 7, 2} {
			push(t, c, "solo", q)
			if got := c.Stock("solo"); got.Quantity != q {
				t.Errorf("after pushing %d: got %+v", q, got)
			}
		}
	})
}

// A push holds until it is old, or until a later feed has news of the product.
func TestHowLongAPushHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := catalog.Defaults()
		o.File = filepath.Join(t.TempDir(), "feed.csv")
		c := newCatalog(t, o, nil)
		feed := func(a, b int, at time.Time) {
			t.Helper()
			write(t, o.File, "id,quantity\na,"+strconv.Itoa(a)+"\nb,"+strconv.Itoa(b)+"\n")
			stamp(t, o.File, at)
			if changed, err := c.Refresh(t.Context()); !changed || err != nil {
				t.Fatalf("Refresh: got %v, %v, want a new feed", changed, err)
			}
		}
		check := func(when string, a, b int) {
			t.Helper()
			if gotA, gotB := c.Stock("a").Quantity, c.Stock("b").Quantity; gotA != a || gotB != b {
				t.Errorf("%s: got %d and %d, want %d and %d", when, gotA, gotB, a, b)
			}
		}
		start := time.Now()
		feed(10, 20, start)
		time.Sleep(time.Hour)
		push(t, c, "a", 0)
		push(t, c, "b", 0)
		check("after the push", 0, 0)
		feed(11, 21, start.Add(30*time.Minute))
		check("after a feed older than the push", 0, 0)
		time.Sleep(time.Hour)
		feed(11, 22, time.Now())
		check("after a newer feed with news of b", 0, 22)
		push(t, c, "b", 5)
		check("after another push", 0, 5)

		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = c.Run(ctx) })
		time.Sleep(22*time.Hour + 50*time.Minute)
		synctest.Wait()
		check("just before the first push is a day old", 0, 5)
		time.Sleep(12 * time.Minute)
		synctest.Wait()
		check("after it", 11, 5)
		cancel()
		done.Wait()
	})
}

// shared is a store such as Redis would be, for several catalogues.
type shared struct {
	mu     sync.Mutex
	away   bool
	levels map[string]catalog.Level
	subs   map[chan []catalog.Level]struct{}
}

var errAway = errors.New("the store is away")

func newShared() *shared {
	return &shared{levels: map[string]catalog.Level{}, subs: map[chan []catalog.Level]struct{}{}}
}

func (s *shared) Save(_ context.Context, levels []catalog.Level, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	for _, l := range levels {
		if l.At.After(s.levels[l.ID].At) {
			s.levels[l.ID] = l
		}
	}
	for sub := range s.subs {
		sub <- levels
	}
	return nil
}

func (s *shared) Load(context.Context) ([]catalog.Level, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, errAway
	}
	all := make([]catalog.Level, 0, len(s.levels))
	for _, l := range s.levels {
		all = append(all, l)
	}
	return all, nil
}

func (s *shared) Subscribe(ctx context.Context, apply func([]catalog.Level)) error {
	sub := make(chan []catalog.Level, 16)
	s.mu.Lock()
	away := s.away
	if !away {
		s.subs[sub] = struct{}{}
	}
	s.mu.Unlock()
	if away {
		return errAway
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, sub)
	}()
	for {
		select {
		case levels := <-sub:
			apply(levels)
			if s.isAway() {
				return errAway
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *shared) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

func (s *shared) set(away bool, levels ...catalog.Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
	for _, l := range levels {
		s.levels[l.ID] = l
	}
}

func TestPodsShareStock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		store.set(false, catalog.Level{ID: "before", Quantity: 8, At: time.Now().Add(-time.Hour)})
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		pod := func() *catalog.Catalog {
			c := newCatalog(t, catalog.Defaults(), store)
			done.Go(func() { _ = c.Run(ctx) })
			synctest.Wait()
			return c
		}
		a, b := pod(), pod()
		check := func(when string, c *catalog.Catalog, id string, want int) {
			t.Helper()
			synctest.Wait()
			if got := c.Stock(id).Quantity; got != want {
				t.Errorf("%s: got %d of %s, want %d", when, got, id, want)
			}
		}
		check("at the start", a, "before", 8)
		push(t, a, "x", 0)
		check("at once", b, "x", 0)

		store.set(true)
		err := a.Push(ctx, []reco.Stock{{ID: "x", Quantity: 6}})
		if !errors.Is(err, catalog.ErrNotShared) || !errors.Is(err, errAway) {
			t.Errorf("Push with the store away: got %v, want ErrNotShared", err)
		}
		check("here", a, "x", 6)
		check("there", b, "x", 0)
		store.set(false)
		time.Sleep(3 * time.Minute)
		check("when the store is back", b, "x", 6)

		now := time.Now()
		store.set(false,
			catalog.Level{ID: "x", Quantity: 1, At: now.Add(-time.Hour)}, // older than what is known
			catalog.Level{ID: "", Quantity: 1, At: now},
			catalog.Level{ID: strings.Repeat("y", 300), Quantity: 1, At: now},
			catalog.Level{ID: "negative", Quantity: -2, At: now},
			catalog.Level{ID: "huge", Quantity: 1 << 40, At: now},
			catalog.Level{ID: "future", Quantity: 1, At: now.Add(48 * time.Hour)},
			catalog.Level{ID: "past", Quantity: 1, At: now.Add(-48 * time.Hour)},
			catalog.Level{ID: "sound", Quantity: 4, At: now},
		)
		time.Sleep(2 * time.Minute)
		check("beside rubbish", b, "sound", 4)
		check("older", b, "x", 6)
		for _, id := range []string{"", "negative", "huge", "future", "past"} {
			check("rubbish", b, id, -1)
		}
		push(t, a, "x", 3) // later than anything, whatever the clocks say
		check("after rubbish", b, "x", 3)
		cancel()
		done.Wait()
	})
}

// What the feed has overruled must not come back from the store.
func TestAnOverruledPushStaysOverruled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := catalog.Defaults()
		o.File = filepath.Join(t.TempDir(), "feed.csv")
		write(t, o.File, "id,quantity\na,10\n")
		stamp(t, o.File, time.Now())
		c := newCatalog(t, o, newShared())
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = c.Run(ctx) })
		time.Sleep(time.Hour)
		push(t, c, "a", 0)
		write(t, o.File, "id,quantity\na,12\n")
		stamp(t, o.File, time.Now().Add(time.Second))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := c.Stock("a").Quantity; got != 12 {
			t.Errorf("Stock(a): got %d, want 12", got)
		}
		cancel()
		done.Wait()
	})
}

func TestReadersSeeNoHalfState(t *testing.T) {
	c, err := fromFile(t, "id,item_group_id,size,quantity\na,g,S,1\nb,g,M,1\n")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if p, ok := c.Product("g", time.Time{}); !ok || p.SoldOut || p.Quantity != 1 && p.Quantity != 2 {
					t.Errorf("Product(g): got %+v, %v", p, ok)
					return
				}
			}
		})
	}
	for i := range 500 {
		push(t, c, "a", i%2)
	}
	close(stop)
	wg.Wait()
}
