package isolation

import (
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/traffic"
)

func question() traffic.Request {
	return traffic.Request{Session: "s1", User: "u1", Type: fakeapi.ProductView, ID: "i1"}
}

// A list in the wrong hands is seen, whatever it differs in.
func TestJudge(t *testing.T) {
	const mine = "s1/u1/productView/i1"
	for _, c := range []struct {
		what, source, product string
		complete, wrong       bool
	}{
		{"mine", "api", mine + "#2.0", false, false},
		{"mine, newer than it need be", "cache", mine + "#3.0", false, false},
		{"my native one", "native", mine + "#native", false, false},
		{"mine, completed", "cache", mine + "#native", true, false},
		{"another session's", "cache", "s2/u1/productView/i1#2.0", false, true},
		{"another user's", "cache", "s1/u2/productView/i1#2.0", false, true},
		{"a guest's", "stale", "s1//productView/i1#2.0", false, true},
		{"of another page", "api", "s1/u1/productView/i2#2.0", false, true},
		{"of another shelf", "api", "s1/u1/shopTheLook/i1#2.0", false, true},
		{"another's native one", "native", "s2/u1/productView/i1#native", false, true},
		{"another's native one, completed", "api", "s2/u1/productView/i1#native", true, true},
		{"erased", "stale", mine + "#1.0", false, true},
		{"the API's, said to be native", "native", mine + "#2.0", false, true},
		{"nobody's", "api", "p1", false, true},
	} {
		j := newJudge(newRegister())
		q := asked{Request: question(), oldest: 2}
		q.Complete = c.complete
		j.list(q, c.source, []string{mine + "#native", c.product}[1:])
		if got := j.wrong > 0; got != c.wrong {
			t.Errorf("%s: got %v, want wrong %v", c.what, j.first, c.wrong)
		}
	}
	j := newJudge(newRegister())
	if j.list(asked{Request: question()}, "none", nil); j.wrong != 1 {
		t.Errorf("got %d violations for an empty list, want 1", j.wrong)
	}
}

// What was erased may not come back: from the pod that erased it at once, from others
// once they have been told.
func TestErasedGenerations(t *testing.T) {
	g := newRegister()
	now := time.Now()
	if got := g.oldest("s1", 0, now); got != 0 {
		t.Errorf("got %d before any erase, want 0", got)
	}
	if !g.begin("s1") || g.begin("s1") {
		t.Error("got two erases of a session at once, want one")
	}
	if got := g.generation("s1"); got != 1 {
		t.Errorf("got generation %d of answers given since, want 1", got)
	}
	if got := g.oldest("s1", 0, now.Add(time.Hour)); got != 0 {
		t.Errorf("got %d while it is under way, want 0", got)
	}
	g.end("s1", 0)
	now = time.Now()
	for _, c := range []struct {
		session string
		pod     int
		later   time.Duration
		want    int
	}{
		{"s1", 0, time.Millisecond, 1},
		{"s1", 1, time.Millisecond, 0},
		{"s1", 1, propagation + time.Second, 1},
		{"s1", 0, -time.Second, 0},
		{"s2", 0, time.Hour, 0},
	} {
		if got := g.oldest(c.session, c.pod, now.Add(c.later)); got != c.want {
			t.Errorf("%s on pod %d, %v later: got %d, want %d", c.session, c.pod, c.later, got, c.want)
		}
	}
	if !g.begin("s1") {
		t.Error("got no second erase, want one")
	}
}
