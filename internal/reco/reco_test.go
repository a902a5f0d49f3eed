package reco_test

import (
	"testing"

	"vitrine/internal/reco"
)

func TestEventTypes(t *testing.T) {
	t.Parallel()
	views := map[reco.EventType]bool{reco.ProductView: true, reco.ShopTheLook: true}
	for _, kind := range reco.EventTypes {
		if got, ok := reco.ParseEventType(kind.String()); !ok || got != kind {
			t.Errorf("%s: read back as %v, %t", kind, got, ok)
		}
		if got := kind.ViewsProduct(); got != views[kind] {
			t.Errorf("%s: got ViewsProduct %t", kind, got)
		}
	}
	for _, name := range []string{"", "invalid", "productview"} {
		if got, ok := reco.ParseEventType(name); ok || got.String() != "invalid" {
			t.Errorf("%q: got %v, %t, want none", name, got, ok)
		}
	}
}

func TestNamesOfTheContract(t *testing.T) {
	t.Parallel()
	for i, want := range []string{"none", "native", "stale", "cache", "api"} {
		if got := reco.Sources[i].String(); got != want {
			t.Errorf("source %d: got %s, want %s", i, got, want)
		}
	}
	if got := reco.Source(99).String(); got != "invalid" {
		t.Errorf("a source that is none: got %s", got)
	}
	for tier, want := range map[reco.Tier]string{0: "", reco.Memory: "memory", reco.Redis: "redis"} {
		if got := tier.String(); got != want {
			t.Errorf("tier %d: got %q, want %q", tier, got, want)
		}
	}
	if got := reco.HTTPStatus(503); got != "http-503" {
		t.Errorf("got %s, want http-503", got)
	}
}

func TestEventAppendJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		event reco.Event
		want  string
	}{
		{reco.Event{Session: "s", User: "90", Item: "p", Type: reco.ProductView}, `{"userId":"90","sessionId":"s","eventType":"productView","data":{"id":"p"}}`},
		{reco.Event{Session: "s", Type: reco.CustomShelf}, `{"sessionId":"s","eventType":"customShelf","data":{"id":""}}`},
		{reco.Event{Session: "\"\\\x00", Item: "é", Type: reco.CategoryView}, `{"sessionId":"\"\\\u0000","eventType":"categoryView","data":{"id":"é"}}`},
	} {
		if got := string(tt.event.AppendJSON([]byte("x"))); got != "x"+tt.want {
			t.Errorf("got %s, want x%s", got, tt.want)
		}
	}
}
