package e2e_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"vitrine/fallback"
	"vitrine/fallback/platform"
	"vitrine/internal/reco"
)

// The life of a native ordering, with a real shop at its other end.
func TestNativeOrderings(t *testing.T) {
	s := startShop(t)
	client, err := platform.New(platform.Options{Kind: "vendure", Vars: map[string]string{"base": s.base}})
	if err != nil {
		t.Fatal(err)
	}
	natives, err := fallback.NewNatives(fallback.NativeOptions{Platform: client, Refresh: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- natives.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	list := func(kind reco.EventType, item string) []string {
		asked := natives.Ask(reco.Event{Session: "s", Type: kind, Item: item})
		ranking, _, _ := asked.Wait(time.Now().Add(10 * time.Second))
		return ranking.IDs()
	}

	dresses := s.order("dresses")
	if got := list(reco.CategoryView, "dresses"); !slices.Equal(got, dresses) {
		t.Errorf("got dresses %q, want the shop's own order %q", got, dresses)
	}
	if got, want := list(reco.CategoryView, "shoes"), s.order("shoes"); !slices.Equal(got, want) {
		t.Errorf("got shoes %q, want the shop's own order %q", got, want)
	}
	if got, want := list(reco.CustomShelf, ""), s.order(""); !slices.Equal(got, want) {
		t.Errorf("got a shelf of %q, want the shop's own order %q", got, want)
	}
	if got := list(reco.CategoryView, "hats"); len(got) > 0 {
		t.Errorf("got hats %q, which the shop does not sell", got)
	}

	gone := dresses[3]
	s.disable(gone)
	want := without(dresses, gone)
	eventually(t, "the disabled product to go", func() bool { return slices.Equal(list(reco.CategoryView, "dresses"), want) })

	s.stop()
	for range 5 {
		time.Sleep(100 * time.Millisecond) // let refreshes fail
		if got := list(reco.CategoryView, "dresses"); !slices.Equal(got, want) {
			t.Errorf("got dresses %q without the shop, want its last order %q", got, want)
		}
	}
	if got := natives.Stats().Outcomes["unreachable"]; got == 0 {
		t.Error("the shop was not asked after its end")
	}
}
