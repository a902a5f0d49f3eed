package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/fallback"
	"vitrine/fallback/platform"
	"vitrine/internal/reco"
)

// shopFake is a platform whose answers take a while. It knows every list it is asked for.
type shopFake struct {
	takes  time.Duration
	serves []platform.List // nil = all
	wait   time.Duration   // of the quota

	mu      sync.Mutex
	down    error                       // what it answers instead
	ids     map[platform.Query][]string // lists that are not "<id>1", "<id>2"
	fetched []string                    // lists, in the order their fetches began
}

func (s *shopFake) Serves(kind platform.List) bool {
	return s.serves == nil || slices.Contains(s.serves, kind)
}

func (s *shopFake) Quota() platform.Quota {
	s.mu.Lock()
	defer s.mu.Unlock()
	return platform.Quota{Wait: s.wait, Left: 7}
}

func (s *shopFake) Fetch(ctx context.Context, q platform.Query) (platform.Result, error) {
	s.mu.Lock()
	s.fetched = append(s.fetched, q.List.String()+":"+q.ID)
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return platform.Result{}, ctx.Err()
	case <-time.After(s.takes):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return platform.Result{}, s.down
	}
	if ids, special := s.ids[platform.Query{List: q.List, ID: q.ID}]; special {
		return platform.Result{IDs: ids}, nil
	}
	return platform.Result{IDs: []string{q.ID + "1", q.ID + "2"}}, nil
}

func (s *shopFake) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *shopFake) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetched)
}

// start runs natives for the length of a bubble.
func start(t testing.TB, o fallback.NativeOptions) *fallback.Natives {
	t.Helper()
	n, err := fallback.NewNatives(o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, n)
	return n
}

// run fetches what is asked for, as long as the test takes.
func run(t testing.TB, n *fallback.Natives) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
}

func view(category string) reco.Event {
	return reco.Event{Session: "s", Type: reco.CategoryView, Item: category}
}

// answer is what Wait returned, and how long it took.
type answer struct {
	ids  []string
	age  time.Duration
	ok   bool
	took time.Duration
}

func ask(n *fallback.Natives, e reco.Event, budget time.Duration) answer {
	began := time.Now()
	ranking, age, ok := n.Ask(e).Wait(began.Add(budget))
	return answer{ranking.IDs(), age, ok, time.Since(began)}
}

func (a answer) check(t *testing.T, took, age time.Duration, ids ...string) {
	t.Helper()
	if !slices.Equal(a.ids, ids) || a.ok != (len(ids) > 0) || a.age != age || a.took != took {
		t.Errorf("got %+v, want %q of age %v after %v", a, ids, age, took)
	}
}

const budget = 300 * time.Millisecond

func TestTheFirstAskerWaitsLaterOnesNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{takes: 100 * time.Millisecond}
		n := start(t, fallback.NativeOptions{Platform: shop})
		ask(n, view("c"), budget).check(t, 100*time.Millisecond, 100*time.Millisecond, "c1", "c2")
		time.Sleep(time.Minute)
		ask(n, view("c"), budget).check(t, 0, time.Minute+100*time.Millisecond, "c1", "c2")

		// Old, it is answered all the same, and fetched anew behind the asker's back.
		time.Sleep(time.Hour)
		shop.set(func() { shop.ids = map[platform.Query][]string{{List: platform.Category, ID: "c"}: {"new"}} })
		ask(n, view("c"), budget).check(t, 0, time.Hour+time.Minute+100*time.Millisecond, "c1", "c2")
		time.Sleep(time.Second)
		ask(n, view("c"), budget).check(t, 0, time.Second, "new")
		if got, want := shop.asked(), []string{"category:c", "category:c"}; !slices.Equal(got, want) {
			t.Errorf("got fetches %q, want %q", got, want)
		}
	})
}

func TestTheBudgetEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, fallback.NativeOptions{Platform: &shopFake{takes: time.Second}})
		ask(n, view("c"), budget).check(t, budget, 0)
		time.Sleep(time.Second)
		ask(n, view("c"), budget).check(t, 0, time.Second+budget, "c1", "c2")
	})
}

func TestOneFetchForAThousandAskers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{takes: 100 * time.Millisecond}
		n := start(t, fallback.NativeOptions{Platform: shop})
		var askers sync.WaitGroup
		for range 1000 {
			askers.Go(func() {
				ask(n, view("c"), budget).check(t, 100*time.Millisecond, 100*time.Millisecond, "c1", "c2")
			})
		}
		askers.Wait()
		if got := len(shop.asked()); got != 1 {
			t.Errorf("got %d fetches, want 1", got)
		}
	})
}

func TestTheListOutlivesThePlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{}
		n := start(t, fallback.NativeOptions{Platform: shop})
		ask(n, view("c"), budget)
		shop.set(func() { shop.down = &platform.Error{Kind: platform.Unreachable} })
		began := time.Now()
		for range 72 {
			time.Sleep(time.Hour)
			ask(n, view("c"), budget).check(t, 0, time.Since(began), "c1", "c2")
		}
		shop.set(func() { shop.down = nil })
		time.Sleep(time.Hour)
		ask(n, view("c"), budget)
		synctest.Wait()
		ask(n, view("c"), budget).check(t, 0, 0, "c1", "c2")
	})
}

func TestAFailureBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{takes: 10 * time.Millisecond, down: &platform.Error{Kind: platform.Status, Status: 503}}
		n := start(t, fallback.NativeOptions{Platform: shop})
		ask(n, view("c"), budget).check(t, 10*time.Millisecond, 0)
		ask(n, view("c"), budget).check(t, 0, 0) // nobody waits for what is left alone
		began := time.Now()
		for time.Since(began) < time.Hour {
			ask(n, view("c"), budget)
			time.Sleep(100 * time.Millisecond)
		}
		// 1, 2, 4 … 256 s, then 300 s each, of which half to all is waited.
		if got := len(shop.asked()); got < 9+10 || got > 9+24 {
			t.Errorf("got %d fetches in an hour", got)
		}
		if got := n.Stats().Outcomes["status"]; got != uint64(len(shop.asked())) {
			t.Errorf("got %d failures counted of %d", got, len(shop.asked()))
		}
	})
}

func TestAnUnchangedListIsYoungAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &etagShop{}
		n := start(t, fallback.NativeOptions{Platform: shop})
		ask(n, view("c"), budget).check(t, 0, 0, "a")
		time.Sleep(6 * time.Minute)
		ask(n, view("c"), budget).check(t, 0, 6*time.Minute, "a")
		synctest.Wait()
		ask(n, view("c"), budget).check(t, 0, 0, "a")
		if got := n.Stats().Outcomes; got["unchanged"] != 1 || got["fetched"] != 1 {
			t.Errorf("got outcomes %v", got)
		}
	})
}

// etagShop has one list that never changes.
type etagShop struct{ shopFake }

func (s *etagShop) Fetch(_ context.Context, q platform.Query) (platform.Result, error) {
	seen := platform.Validators{ETag: `"1"`}
	if q.Seen == seen {
		return platform.Result{NotModified: true, Validators: seen}, nil
	}
	return platform.Result{IDs: []string{"a"}, Validators: seen}, nil
}

// catalogue knows every product's category.
type catalogue map[string]string

func (c catalogue) CategoryOf(id string) (string, bool) {
	category, known := c[id]
	return category, known
}

type sales struct{ asked []string }

func (s *sales) SalesRanking(_ context.Context, category string) ([]string, error) {
	s.asked = append(s.asked, category)
	if category == "none" {
		return nil, errors.New("no such category")
	}
	return []string{"best-" + category, "p"}, nil
}

func TestPlaces(t *testing.T) {
	at := func(list platform.List, id string) platform.Query { return platform.Query{List: list, ID: id} }
	f := func(name string, o fallback.NativeOptions, kind reco.EventType, item string, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, o)
				ask(n, reco.Event{Session: "s", Type: kind, Item: item}, budget).check(t, 0, 0, want...)
			})
		})
	}
	all := func() *shopFake { return &shopFake{} }
	noSimilar := &shopFake{serves: []platform.List{platform.Category}}
	known := catalogue{"p": "c", "c1": "c"}

	f("a category", fallback.NativeOptions{Platform: all()}, reco.CategoryView, "c", "c1", "c2")
	f("the shelf", fallback.NativeOptions{Platform: all()}, reco.CustomShelf, "", "1", "2")
	f("similar products", fallback.NativeOptions{Platform: all(), Catalogue: known}, reco.ProductView, "p", "p1", "p2")
	f("without the product", fallback.NativeOptions{Platform: &shopFake{ids: map[platform.Query][]string{
		at(platform.Similar, "p"): {"a", "p", "b"},
	}}}, reco.ProductView, "p", "a", "b")
	f("its category, less the product", fallback.NativeOptions{Platform: noSimilar, Catalogue: known}, reco.ProductView, "c1", "c2")
	f("its category, when none is similar", fallback.NativeOptions{Platform: &shopFake{ids: map[platform.Query][]string{
		at(platform.Similar, "p"): {},
	}}, Catalogue: known}, reco.ProductView, "p", "c1", "c2")
	f("a product of no known category", fallback.NativeOptions{Platform: noSimilar, Catalogue: known}, reco.ProductView, "q")
	f("no catalogue", fallback.NativeOptions{Platform: noSimilar}, reco.ProductView, "p")
	f("a look", fallback.NativeOptions{Platform: all(), Catalogue: known, Sales: &sales{}}, reco.ShopTheLook, "p")
	f("nothing configured", fallback.NativeOptions{}, reco.CategoryView, "c")
	f("sales of a category", fallback.NativeOptions{Sales: &sales{}}, reco.CategoryView, "c", "best-c", "p")
	f("sales of the shop", fallback.NativeOptions{Sales: &sales{}}, reco.CustomShelf, "", "best-", "p")
	f("sales, less the product", fallback.NativeOptions{Sales: &sales{}, Catalogue: known}, reco.ProductView, "p", "best-c")
	f("sales that fail", fallback.NativeOptions{Sales: &sales{}}, reco.CategoryView, "none")
	f("sales, when the platform fails", fallback.NativeOptions{
		Platform: &shopFake{down: &platform.Error{Kind: platform.NotFound}}, Sales: &sales{},
	}, reco.CategoryView, "c", "best-c", "p")
}

func TestSalesAreAskedOnlyInNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sales{}
		n := start(t, fallback.NativeOptions{Platform: &shopFake{}, Sales: s})
		ask(n, view("c"), budget)
		synctest.Wait()
		before := len(s.asked)
		time.Sleep(time.Hour)
		ask(n, view("c"), budget)
		synctest.Wait()
		if got := len(s.asked); got != before {
			t.Errorf("got %d questions more, though the platform's list is there", got-before)
		}
	})
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "native.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"category:c":["a",2],"similar:p":["q"],"shelf":["s"]}`)
	n, err := fallback.NewNatives(fallback.NativeOptions{File: name})
	if err != nil {
		t.Fatal(err)
	}
	f := func(kind reco.EventType, item string, want ...string) {
		t.Helper()
		got, _, ok := n.Ask(reco.Event{Type: kind, Item: item}).Wait(time.Time{})
		if !slices.Equal(got.IDs(), want) || ok != (len(want) > 0) {
			t.Errorf("%v %s: got %q, %v, want %q", kind, item, got.IDs(), ok, want)
		}
	}
	f(reco.CategoryView, "c", "a", "2")
	f(reco.CategoryView, "d")
	f(reco.ProductView, "p", "q")
	f(reco.CustomShelf, "", "s")
	for _, bad := range []string{`[]`, `{"c":[]}`, `{"shelf:x":[]}`, `{"category:":["a"]}`, `{"category:c":[1.5]}`, `{"category:c":["a"]`} {
		write(bad)
		if err := n.ReloadFile(); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
	f(reco.CategoryView, "c", "a", "2")
	write(`{"category:c":["b"]}`)
	if err := n.ReloadFile(); err != nil {
		t.Error(err)
	}
	f(reco.CategoryView, "c", "b")
	if _, err := fallback.NewNatives(fallback.NativeOptions{File: name + "x"}); err == nil {
		t.Error("got no error without the file")
	}
}

func TestTheFileHelpsThePlatform(t *testing.T) {
	name := filepath.Join(t.TempDir(), "native.json")
	if err := os.WriteFile(name, []byte(`{"category:c":["f"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{takes: 100 * time.Millisecond}
		n := start(t, fallback.NativeOptions{Platform: shop, File: name})
		if got := ask(n, view("c"), budget); !slices.Equal(got.ids, []string{"f"}) || got.took != 0 {
			t.Errorf("got %+v, want the file's list at once", got)
		}
		time.Sleep(time.Second)
		ask(n, view("c"), budget).check(t, 0, time.Second, "c1", "c2")
	})
}

func TestTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{ids: map[platform.Query][]string{{List: platform.Similar, ID: "p"}: {}}}
		n, err := fallback.NewNatives(fallback.NativeOptions{Platform: shop, Catalogue: catalogue{"p": "c"}, Sales: &sales{}})
		if err != nil {
			t.Fatal(err)
		}
		event := reco.Event{Type: reco.ProductView, Item: "p"}
		f := func(want string) {
			t.Helper()
			var got string
			for _, tried := range n.Ask(event).Tried() {
				got += fmt.Sprintf("%s %v %v %q\n", tried.Place, tried.Found, tried.Age, tried.Ranking.IDs())
			}
			if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		}
		f("platform:similar:p false 0s []\nplatform:category:c false 0s []\nsales:category:c false 0s []\n") // nothing runs yet
		run(t, n)
		synctest.Wait()
		time.Sleep(time.Second)
		f("platform:similar:p true 1s []\nplatform:category:c true 1s [\"c1\" \"c2\"]\n")
	})
}

func TestMostAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{takes: time.Second}
		n := start(t, fallback.NativeOptions{Platform: shop, Workers: 1})
		n.Ask(view("under way"))
		synctest.Wait()
		for i, id := range []string{"once", "thrice", "twice"} {
			for range []int{1, 3, 2}[i] {
				n.Ask(view(id))
			}
		}
		time.Sleep(time.Minute)
		if got, want := shop.asked(), []string{"category:under way", "category:thrice", "category:twice", "category:once"}; !slices.Equal(got, want) {
			t.Errorf("got fetches %q, want %q", got, want)
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{takes: time.Second}
		n := start(t, fallback.NativeOptions{Platform: shop, Workers: 1, MaxQueue: 2})
		for i := range 6 {
			n.Ask(view(fmt.Sprint(i)))
			synctest.Wait()
		}
		if got := n.Stats(); got.Queue != 2 || got.Outcomes["queue-full"] != 3 {
			t.Errorf("got %+v, want one under way, 2 queued and 3 refused", got)
		}
		ask(n, view("5"), budget).check(t, 0, 0) // refused: nobody waits
		time.Sleep(time.Minute)
		ask(n, view("5"), 2*time.Second).check(t, time.Second, time.Second, "51", "52")
	})
}

func TestTheQuotaHoldsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{wait: time.Hour}
		n := start(t, fallback.NativeOptions{Platform: shop})
		ask(n, view("c"), budget).check(t, 0, 0) // it cannot come in time, so nobody waits
		time.Sleep(time.Minute)
		if got := shop.asked(); len(got) > 0 {
			t.Errorf("got fetches %q beyond the quota", got)
		}
		shop.set(func() { shop.wait = 0 })
		time.Sleep(1500 * time.Millisecond)
		if got := ask(n, view("c"), 0); len(got.ids) != 2 {
			t.Errorf("got %+v, want the list when the quota lets it through", got)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := breaker.Defaults("platform")
		o.OpenMin, o.OpenMax = 10*time.Second, 10*time.Second
		guard, err := breaker.New(o)
		if err != nil {
			t.Fatal(err)
		}
		shop := &shopFake{down: &platform.Error{Kind: platform.Unreachable}}
		n := start(t, fallback.NativeOptions{Platform: shop, Breaker: guard})
		for i := range o.ConnectFailures {
			ask(n, view(fmt.Sprint(i)), budget)
		}
		if got := guard.State(); got != breaker.Open {
			t.Fatalf("got %v, want the breaker open", got)
		}
		ask(n, view("c"), budget).check(t, 0, 0) // nobody waits for it
		shop.set(func() { shop.down = nil })
		time.Sleep(4 * time.Second)
		if got := len(shop.asked()); got != o.ConnectFailures {
			t.Errorf("got %d fetches, want none behind the open breaker", got-o.ConnectFailures)
		}
		guard.Auto()
		time.Sleep(7 * time.Second)
		if got := ask(n, view("c"), budget); !slices.Equal(got.ids, []string{"c1", "c2"}) {
			t.Errorf("got %+v after the opening", got)
		}
	})
}

func TestUnknownListsDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard, err := breaker.New(breaker.Defaults("platform"))
		if err != nil {
			t.Fatal(err)
		}
		shop := &shopFake{down: &platform.Error{Kind: platform.NotFound}}
		n := start(t, fallback.NativeOptions{Platform: shop, Breaker: guard})
		for i := range 100 {
			ask(n, view(fmt.Sprint(i)), budget)
		}
		if got := guard.State(); got != breaker.Closed {
			t.Errorf("got %v, want the breaker closed", got)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shopFake{}
		n := start(t, fallback.NativeOptions{Platform: shop, MaxLists: 3})
		for _, id := range []string{"a", "b", "c", "a", "d"} {
			ask(n, view(id), budget)
		}
		got := shop.asked()
		ask(n, view("a"), budget) // asked for again of late, so b went
		ask(n, view("b"), budget)
		if got, want := shop.asked()[len(got):], []string{"category:b"}; !slices.Equal(got, want) {
			t.Errorf("got fetches %q, want %q", got, want)
		}
		if got := n.Stats(); got.Lists != 3 || got.Snapshots != 3 {
			t.Errorf("got %+v, want 3 lists", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := start(t, fallback.NativeOptions{Platform: &shopFake{}, MaxBytes: 10_000})
		for i := range 1000 {
			ask(n, view(fmt.Sprint(i)), budget)
		}
		if got := n.Stats(); got.Bytes > 10_000 || got.Bytes < 5_000 || got.Lists < 10 {
			t.Errorf("got %+v, want about 10000 bytes", got)
		}
	})
}

func TestUnaskedListsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, fallback.NativeOptions{Platform: &shopFake{}})
		ask(n, view("a"), budget)
		time.Sleep(25 * time.Hour)
		ask(n, view("b"), budget)
		if got := n.Stats().Lists; got != 1 {
			t.Errorf("got %d lists, want that of today alone", got)
		}
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, fallback.NativeOptions{Platform: &shopFake{}})
		ask(n, view("a"), budget)
		time.Sleep(time.Minute)
		ask(n, view("b"), budget)
		time.Sleep(time.Second)
		got := n.Stats()
		if got.Oldest != time.Minute+time.Second || got.Youngest != time.Second || got.LeftToday != 7 || got.Outcomes["fetched"] != 2 {
			t.Errorf("got %+v", got)
		}
		if _, there := got.Outcomes["throttled"]; !there || len(got.Outcomes) != 14 {
			t.Errorf("got outcomes %v, want all of them, be it at zero", got.Outcomes)
		}
	})
}
