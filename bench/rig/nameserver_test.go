package rig

import (
	"context"
	"net"
	"testing"
	"time"
)

// Go's own resolver, which is the sidecar's, understands every answer.
func TestNameServer(t *testing.T) {
	s, err := StartNameServer(t.Context())
	if err != nil {
		t.Skip(err)
	}
	defer s.Close()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Addr()+":53")
	}}
	ask := func(within time.Duration) ([]string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return resolver.LookupHost(ctx, "api.shop.test.")
	}
	if got, err := ask(10 * time.Second); err != nil || len(got) != 1 || got[0] != "127.0.0.1" {
		t.Errorf("got %v, %v, want 127.0.0.1", got, err)
	}
	for naming, within := range map[Naming]time.Duration{Silent: 50 * time.Millisecond, Fails: 10 * time.Second, Denies: 10 * time.Second} {
		before := s.Refused()
		s.Treat(naming)
		if got, err := ask(within); err == nil || s.Refused() == before {
			t.Errorf("%v: got %v, %d refused, want an error and more than %d", naming, got, s.Refused(), before)
		}
	}
}

func TestNoQuestionNoAnswer(t *testing.T) {
	question := []byte("\x01\x02\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03api\x00\x00\x01\x00\x01")
	if got := answerName(question, Resolves); len(got) != len(question)+16 {
		t.Fatalf("got %d bytes, want the question and an address", len(got))
	}
	for n := range question {
		if got := answerName(question[:n], Resolves); got != nil {
			t.Errorf("the first %d bytes: got %q, want no answer", n, got)
		}
	}
}
