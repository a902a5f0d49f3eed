package profile_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/profile"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// patience bounds every wait. It is a bound against hanging, not a measurement.
const patience = 20 * time.Second

// enough is a budget for Redis that a slow machine does not exhaust.
const enough = 5 * time.Second

// pod returns profiles of a pod beside the Redis, running, all with the same key file.
func pod(t *testing.T, server *redistest.Server, v *vendor, change ...func(*profile.Options)) shelf {
	t.Helper()
	client := connect(t, server)
	return running(t, open(t, v, append([]func(*profile.Options){func(o *profile.Options) {
		o.Remote, o.RemoteBudget, o.Keys = client, enough, openKeys(t, line("k1", 1))
		o.Budget = patience
	}}, change...)...))
}

func connect(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	b, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	client, err := redis.New(redis.Options{URL: server.URL(), Budget: enough, Breaker: b, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	start(t, client.Run)
	t.Cleanup(func() { client.Close() })
	return client
}

func running(t *testing.T, s shelf) shelf {
	t.Helper()
	start(t, s.Run)
	return s
}

// start runs a part until the test ends.
func start(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it ends before the test's own
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a part ended with %v", err)
		}
	})
}

// listeners waits until so many pods hear of erases.
func listeners(t *testing.T, server *redistest.Server, n int) {
	t.Helper()
	eventually(t, "all pods listen", func() bool {
		return strings.Contains(server.Do("EVAL", "return redis.call('PUBSUB','NUMSUB',KEYS[1])[2]..''", "1", profile.EraseChannel), strconv.Itoa(n))
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// held is everything Redis holds, keys and values, as one text.
func held(server *redistest.Server) string {
	return server.Do("EVAL", `
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
	all[#all+1] = key
	if redis.call('TYPE', key).ok == 'hash' then
		for _, part in ipairs(redis.call('HGETALL', key)) do all[#all+1] = part end
	else
		all[#all+1] = redis.call('GET', key)
	end
end
return table.concat(all, '\n')`, "0")
}

func fieldsOf(server *redistest.Server, key string) string {
	return server.Do("EVAL", "return table.concat(redis.call('HKEYS', KEYS[1]), ' ')", "1", key)
}

// asked are Ana's four.
var asked = []string{"email/ana@example.org", "phone/5511999998888", "document/12345678909", "user-profile-id/id-ana"}

func (s shelf) key(of string) string {
	kind, value, _ := strings.Cut(of, "/")
	return s.KeyOf(kind, value)
}

// shared waits until Redis holds something for all of them.
func (s shelf) shared(server *redistest.Server, all ...string) {
	s.t.Helper()
	eventually(s.t, "Redis holds them", func() bool {
		for _, one := range all {
			if !strings.Contains(" "+fieldsOf(server, s.key(one))+" ", " v ") {
				return false
			}
		}
		return true
	})
}

func TestPodsShareOneCopy(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	a, b := pod(t, server, v), pod(t, server, v)
	for i, one := range asked[:3] {
		a.want(one, one, false, 200, reco.FromAPI, written("id-ana", i+1))
		a.shared(server, one)
	}
	for _, one := range asked {
		b.want("the other pod: "+one, one, false, 200, reco.FromCache, written("id-ana", 3))
	}
	a.want("nobody", "phone/5511000000000", false, 404, reco.FromAPI, nobody)
	a.shared(server, "phone/5511000000000")
	b.want("nobody", "phone/5511000000000", false, 404, reco.FromCache, nobody)
	if v.called() != 4 {
		t.Errorf("got %d calls, want 4", v.called())
	}
	body := server.Do("EVAL", "return redis.call('HSTRLEN', KEYS[1], 'v')", "1", a.key(asked[3]))
	if n, _ := strconv.Atoi(body); n < len(written("id-ana", 3)) {
		t.Errorf("got %s bytes under the profile's id, want the profile", body)
	}
	for _, one := range asked[:3] {
		if n, _ := strconv.Atoi(server.Do("EVAL", "return redis.call('HSTRLEN', KEYS[1], 'v')", "1", a.key(one))); n > 100 {
			t.Errorf("%s: got %d bytes, want a pointer", one, n)
		}
	}
	if ttl, _ := strconv.Atoi(server.Do("PTTL", a.key(asked[3]))); ttl <= 0 || ttl > int((174*time.Hour)/time.Millisecond) {
		t.Errorf("got a life of %d ms, want at most fresh and stale", ttl)
	}
}

// A call that took long does not undo what a later one has brought.
func TestTheLaterCallWins(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	slow, quick, third := pod(t, server, v), pod(t, server, v), pod(t, server, v)
	gate := make(chan struct{})
	v.set(func() { v.gate = gate })
	first := make(chan profile.Answer, 1)
	go func() { first <- slow.Answer("email", "ana@example.org", false) }()
	eventually(t, "the first call is under way", func() bool { return v.called() == 1 })
	v.set(func() { v.gate = nil })
	quick.want("the second", "phone/5511999998888", false, 200, reco.FromAPI, written("id-ana", 2))
	quick.shared(server, asked[1], asked[3])
	close(gate)
	if got := <-first; string(got.Body) != written("id-ana", 1) {
		t.Errorf("got %s, want the first writing", got.Body)
	}
	slow.shared(server, asked[0])
	for _, one := range asked[:2] {
		third.want(one, one, false, 200, reco.FromCache, written("id-ana", 2))
	}
}

// Nothing in Redis, in the log or in an error tells who was asked about, or what was said.
func TestNothingPersonalIsSeen(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	a := pod(t, server, v)
	for _, one := range asked {
		a.want(one, one, true, 200, reco.FromAPI, written("id-ana", v.called()+1))
	}
	a.Answer("phone", "5511000000000", false)
	v.failing(fashionai.OK, 200, `{"userProfileId":"id-ana","descricao_geral":1}`)
	a.Answer("email", "ana@example.org", true)
	v.failing(fashionai.Unauthorized, 401, `{"error":"ana@example.org"}`)
	for i := range 20 {
		a.Answer("email", "ana@example.org", i%2 == 0)
		a.Answer("phone", "5511000000001", false)
	}
	v.well()
	a.shared(server, asked...)
	if _, err := a.Erase(t.Context(), "email", "ana@example.org/"); err == nil || strings.Contains(err.Error(), "ana") {
		t.Errorf("got %v, want a refusal that quotes nothing", err)
	}
	all := held(server)
	if strings.Count(all, "v1:p:") < 5 {
		t.Fatalf("got only\n%q\nin Redis, want what was remembered", all)
	}
	if _, err := a.Erase(t.Context(), "phone", "5511999998888"); err != nil {
		t.Fatal(err)
	}
	all += held(server) + a.logged()
	for _, secret := range []string{
		"ana", "example", "5511999998888", "999998888", "12345678909", "5511000000000", "id-ana", "descricao", "ocasi", "festa", "Profile not found",
		base64.StdEncoding.EncodeToString([]byte("ana@example.org"))[:16],
	} {
		if strings.Contains(all, secret) {
			t.Errorf("got %q in\n%q", secret, all)
		}
	}
}

// One pod asks, the others wait for what it gets.
func TestOneCallForAllPods(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	pods := []shelf{pod(t, server, v), pod(t, server, v), pod(t, server, v)}
	gate := make(chan struct{})
	v.set(func() { v.gate = gate })
	var callers sync.WaitGroup
	sources := make(chan reco.Source, 30)
	for i := range 30 {
		callers.Go(func() {
			a := pods[i%3].Answer("email", "ana@example.org", false)
			if string(a.Body) != written("id-ana", 1) {
				t.Errorf("got %+v, want the first writing", a)
			}
			sources <- a.Source
		})
	}
	eventually(t, "a call is under way", func() bool { return v.called() > 0 })
	close(gate)
	callers.Wait()
	close(sources)
	from := map[reco.Source]int{}
	for s := range sources {
		from[s]++
	}
	if v.called() != 1 || from[reco.FromAPI]+from[reco.FromCache] != 30 || from[reco.FromAPI] == 0 || from[reco.FromCache] == 0 {
		t.Errorf("got %d calls, answers %v, want 1, of the pod that called and of the others", v.called(), from)
	}
}

// Erased by any identifier, it is gone under all, here and there.
func TestErasedEverywhere(t *testing.T) {
	for _, by := range asked {
		t.Run(by, func(t *testing.T) {
			server, v := redistest.Start(t), newVendor()
			a, b := pod(t, server, v), pod(t, server, v)
			listeners(t, server, 2)
			for _, one := range asked[:3] {
				kind, value, _ := strings.Cut(one, "/")
				a.Answer(kind, value, false)
				a.shared(server, one)
			}
			for _, one := range asked {
				b.want("known to b", one, false, 200, reco.FromCache, written("id-ana", 3))
			}
			kind, value, _ := strings.Cut(by, "/")
			gone, err := a.Erase(t.Context(), kind, value)
			if err != nil || gone != (profile.Erased{Profile: true, Identifiers: 3}) {
				t.Errorf("got %+v, %v, want a profile and three identifiers", gone, err)
			}
			eventually(t, "the other pod has forgotten", func() bool { return b.Stats().Entries == 0 })
			if all := held(server); strings.Contains(all, "k1") {
				t.Errorf("got %q in Redis, want stamps alone", all)
			}
			calls := v.called()
			b.want("asked anew", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", calls+1))
			b.shared(server, asked[0], asked[3])
			a.want("and shared again", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", calls+1))
			gone, err = a.Erase(t.Context(), "email", "ana@example.org")
			if err != nil || gone != (profile.Erased{Profile: true, Identifiers: 1}) {
				t.Errorf("again: got %+v, %v, want a profile and one identifier", gone, err)
			}
		})
	}
}

// deaf is a Redis whose messages do not arrive.
type deaf struct{ *redis.Client }

func (deaf) Subscribe(ctx context.Context, _ string, _ func(string)) error {
	<-ctx.Done()
	return nil
}

func TestAPodThatWasNotToldLearnsOfAnErase(t *testing.T) {
	for name, keys := range map[string]bool{"sealed": true, "memory only": false} {
		t.Run(name, func(t *testing.T) {
			server, v := redistest.Start(t), newVendor()
			change := func(o *profile.Options) {
				o.Remote = deaf{connect(t, server)}
				if !keys {
					o.Keys = nil
				}
			}
			a, b := pod(t, server, v, change), pod(t, server, v, change)
			b.want("known to b", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
			if keys {
				b.shared(server, asked[0])
			}
			if _, err := a.Erase(t.Context(), "email", "ana@example.org"); err != nil {
				t.Fatal(err)
			}
			calls := v.called()
			b.want("refused", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", calls+1))
		})
	}
}

// What a call brings that started before an erase is for its caller, and nobody after.
func TestACallUnderWayDuringAnErase(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	a, b := pod(t, server, v), pod(t, server, v)
	listeners(t, server, 2)
	gate := make(chan struct{})
	v.set(func() { v.gate = gate })
	answers := make(chan profile.Answer, 2)
	go func() { answers <- a.Answer("email", "ana@example.org", false) }()
	go func() { answers <- b.Answer("phone", "5511999998888", false) }()
	eventually(t, "both calls are under way", func() bool { return v.called() == 2 })
	v.set(func() { v.gate = nil })
	if _, err := a.Erase(t.Context(), "user-profile-id", "id-ana"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other pod was told", func() bool { return b.Erases() == 1 })
	close(gate)
	for range 2 {
		if got := <-answers; got.Status != 200 {
			t.Errorf("got %+v, want the profile", got)
		}
	}
	eventually(t, "both calls are over", func() bool { return a.Flights()+b.Flights() == 0 })
	if all := held(server); strings.Contains(all, "k1") || a.Stats().Entries+b.Stats().Entries != 0 {
		t.Errorf("got %q, %+v, %+v, want nothing kept", all, a.Stats(), b.Stats())
	}
}

// So it is in a pod that was not told: Redis refuses what it brings, and says since when.
func TestACallUnderWayInAPodThatWasNotTold(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	a, b := pod(t, server, v), pod(t, server, v, func(o *profile.Options) { o.Remote = deaf{connect(t, server)} })
	gate := make(chan struct{})
	v.set(func() { v.gate = gate })
	answer := make(chan profile.Answer, 1)
	go func() { answer <- b.Answer("email", "ana@example.org", false) }()
	eventually(t, "the call is under way", func() bool { return v.called() == 1 })
	if _, err := a.Erase(t.Context(), "user-profile-id", "id-ana"); err != nil {
		t.Fatal(err)
	}
	close(gate)
	if got := <-answer; got.Status != 200 {
		t.Errorf("got %+v, want the profile", got)
	}
	eventually(t, "Redis has told of the erase", func() bool { return b.Erases() == 1 && b.Stats().Entries == 0 })
	if all := held(server); strings.Contains(all, "k1") {
		t.Errorf("got %q in Redis, want the stamp alone", all)
	}
}

// An identifier that was never asked here is resolved, or the operator is told.
func TestEraseByAnUnknownIdentifier(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	a := pod(t, server, v)
	a.want("known", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
	a.shared(server, asked[0], asked[3])
	v.failing(fashionai.ServerError, 503, "")
	if _, err := a.Erase(t.Context(), "phone", "5511999998888"); err == nil {
		t.Error("the API is away: got no error, want one")
	}
	v.well()
	gone, err := a.Erase(t.Context(), "phone", "5511999998888")
	if err != nil || gone != (profile.Erased{Profile: true, Identifiers: 1}) {
		t.Errorf("got %+v, %v, want the profile and the e-mail", gone, err)
	}
	if gone, err = a.Erase(t.Context(), "phone", "5511000000000"); err != nil || gone != (profile.Erased{}) {
		t.Errorf("nobody: got %+v, %v, want nothing", gone, err)
	}
	if _, err = a.Erase(t.Context(), "name", "ana"); !errors.Is(err, profile.ErrKind) {
		t.Errorf("got %v, want ErrKind", err)
	}
	server.Kill()
	if _, err := a.Erase(t.Context(), "user-profile-id", "id-ana"); err == nil {
		t.Error("Redis is away: got no error, want one")
	}
}

// Whatever stands in Redis, it is a miss unless it is a profile's own.
func TestRubbishInRedis(t *testing.T) {
	for what, spoil := range map[string]func(ana, ze string) []string{
		"another's": func(ana, ze string) []string {
			return []string{"EVAL", "return redis.call('HSET', KEYS[1], 'v', redis.call('HGET', KEYS[2], 'v'))", "2", ana, ze}
		},
		"rubbish":  func(ana, _ string) []string { return []string{"HSET", ana, "v", "rubbish", "e", "rubbish"} },
		"no hash":  func(ana, _ string) []string { return []string{"SET", ana, "rubbish"} },
		"no value": func(ana, _ string) []string { return []string{"HDEL", ana, "v"} },
		"a stamp of the future": func(ana, _ string) []string {
			return []string{"EVAL", "return redis.call('HSET', KEYS[1], 'v', '1b9999999999999999'..string.sub(redis.call('HGET', KEYS[1], 'v'), 19))", "1", ana}
		},
	} {
		t.Run(what, func(t *testing.T) {
			server, v := redistest.Start(t), newVendor()
			a := pod(t, server, v)
			a.want("ana", "user-profile-id/id-ana", false, 200, reco.FromAPI, written("id-ana", 1))
			a.want("ze", "user-profile-id/id-ze", false, 200, reco.FromAPI, written("id-ze", 2))
			a.shared(server, "user-profile-id/id-ana", "user-profile-id/id-ze")
			server.Do(spoil(a.key("user-profile-id/id-ana"), a.key("user-profile-id/id-ze"))...)
			b, c := pod(t, server, v), pod(t, server, v)
			b.want("asked anew", "user-profile-id/id-ana", false, 200, reco.FromAPI, written("id-ana", 3))
			eventually(t, "and shared anew", func() bool {
				c.Answer("user-profile-id", "id-ana", false)
				return c.Stats().Cached > 0
			})
		})
	}
}

// An erase of the future is not believed: it would keep the person out for ever.
func TestAnEraseOfTheFuture(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	a, b := pod(t, server, v), pod(t, server, v)
	server.Do("HSET", a.key("user-profile-id/id-ana"), "e", "9999999999999999")
	a.want("asked", "user-profile-id/id-ana", false, 200, reco.FromAPI, written("id-ana", 1))
	a.shared(server, "user-profile-id/id-ana")
	b.want("shared", "user-profile-id/id-ana", false, 200, reco.FromCache, written("id-ana", 1))
}

// The keys in two pods rotate without a miss; see Keys.
func TestRotationBetweenPods(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	with := func(text string) func(*profile.Options) {
		return func(o *profile.Options) { o.Keys = openKeys(t, text) }
	}
	before := pod(t, server, v, with(line("old", 1)))
	before.want("sealed by old", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
	before.shared(server, asked[0], asked[3])
	added := pod(t, server, v, with(line("old", 1)+line("new", 2)))
	moved := pod(t, server, v, with(line("new", 2)+line("old", 1)))
	moved.want("opened", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 1))
	moved.want("sealed by new", "user-profile-id/id-ze", false, 200, reco.FromAPI, written("id-ze", 2))
	moved.shared(server, "user-profile-id/id-ze")
	added.want("opened", "user-profile-id/id-ze", false, 200, reco.FromCache, written("id-ze", 2))
	gone := pod(t, server, v, with(line("new", 2)))
	gone.want("opened", "user-profile-id/id-ze", false, 200, reco.FromCache, written("id-ze", 2))
	gone.want("a miss", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 3))
	if gone.Stats().Rubbish == 0 {
		t.Error("got none counted that do not open, want some")
	}
}

// The embedded Redis runs the same scripts.
func TestEmbedded(t *testing.T) {
	v := newVendor()
	b, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	client, err := redis.New(redis.Options{URL: "embedded", Budget: enough, Breaker: b, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	start(t, client.Run)
	t.Cleanup(func() { client.Close() })
	with := func(o *profile.Options) {
		o.Remote, o.RemoteBudget, o.Budget = client, enough, patience
		o.Keys = openKeys(t, line("k1", 1))
	}
	one, two := running(t, open(t, v, with)), running(t, open(t, v, with))
	one.want("first", asked[0], false, 200, reco.FromAPI, written("id-ana", 1))
	eventually(t, "it is shared", func() bool {
		fields, err := client.HGetAll(t.Context(), one.key(asked[0]))
		return err == nil && fields["v"] != ""
	})
	two.want("shared", asked[0], false, 200, reco.FromCache, written("id-ana", 1))
	gone, err := two.Erase(t.Context(), "email", "ana@example.org")
	if err != nil || gone != (profile.Erased{Profile: true, Identifiers: 1}) {
		t.Errorf("got %+v, %v, want the profile and the e-mail", gone, err)
	}
	one.want("erased", asked[0], false, 200, reco.FromAPI, written("id-ana", 2))
}

// Redis away costs what it shares, and no answer.
func TestWithoutRedis(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	server.Kill()
	a := pod(t, server, v, func(o *profile.Options) { o.RemoteBudget = 5 * time.Millisecond })
	a.want("from the API", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
	a.want("from memory", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 1))
}

// Without a key Redis holds no profile, be it sealed.
func TestWithoutAKey(t *testing.T) {
	server, v := redistest.Start(t), newVendor()
	a := pod(t, server, v, func(o *profile.Options) { o.Keys = nil })
	a.want("from the API", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
	a.want("from memory", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 1))
	eventually(t, "the call is over", func() bool { return a.Flights() == 0 })
	if got := server.Do("DBSIZE"); got != "0" {
		t.Errorf("got %s keys, want none", got)
	}
	eventually(t, "the log says so", func() bool { return strings.Contains(a.logged(), "memory only: profile.key_file is not set") })
}
