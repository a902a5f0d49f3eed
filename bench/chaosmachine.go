package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"vitrine/bench/fakeapi"
	"vitrine/bench/load"
	"vitrine/bench/traffic"
)

func redisBreakerOpened(r *outcome) {
	opened := false
	for _, s := range r.states(r.from, r.from+4*time.Second) {
		opened = opened || s.RedisBreaker > 0
	}
	r.within(opened, "Redis breaker open after 2 s")
	closed := false
	for _, s := range r.states(r.to, r.to+7*time.Second) {
		closed = closed || s.RedisBreaker == 0
	}
	r.within(closed, "Redis in use again within 5 s")
}

// machineFaults are Redis, processes and clients that misbehave.
func machineFaults() []fault {
	killRedis := func(_ context.Context, b *battle) error { return b.stage.redis.Kill() }
	startRedis := func(ctx context.Context, b *battle) error { return b.stage.redis.Start(ctx) }
	return []fault{
		{
			number: 19, name: "Redis paused", ci: true,
			start: func(_ context.Context, b *battle) error { return b.stage.redis.Pause() },
			stop:  func(_ context.Context, b *battle) error { return b.stage.redis.Resume() },
			judge: redisBreakerOpened,
		},
		{number: 19, name: "Redis killed, and back empty", ci: true, start: killRedis, stop: startRedis, judge: redisBreakerOpened},
		{
			number: 21, name: "Redis emptied, then its values overwritten with rubbish", ci: true, start: spoil,
			stop: nothing,
			judge: func(r *outcome) {
				r.must(r.notes["spoiled"] > 0, "values overwritten: %.0f", r.notes["spoiled"])
			},
		},
		{
			number: 22, name: "API and Redis both gone", ci: true,
			start: func(ctx context.Context, b *battle) error {
				return errors.Join(killRedis(ctx, b), b.stage.api.Set(fakeapi.Fault{Answer: fakeapi.Refuse}))
			},
			stop: func(ctx context.Context, b *battle) error { b.stage.api.Clear(); return startRedis(ctx, b) },
			judge: func(r *outcome) {
				late := r.stretch(r.from+time.Second, r.to-r.patience)
				r.must(late.classes["api"] == 0, "answers from the API %d, want 0", late.classes["api"])
			},
		},
		{
			number: 23, name: "kill -9 at 200 events/s", ci: true, during: 2 * time.Second,
			set: func(o *options) { o.rate = 200 },
			start: func(ctx context.Context, b *battle) error {
				b.pod().kill(ctx)
				sleep(ctx, 500*time.Millisecond)
				return b.pod().revive(ctx)
			},
			waive: func(string) bool { return true }, // nobody answers while nobody is there
			judge: func(r *outcome) {
				l := r.run.Ledger
				r.must(float64(l.Repeated) <= 0.05*float64(l.Accepted), "events delivered twice %d of %d, allowed 5 %%", l.Repeated, l.Accepted)
			},
		},
		{
			number: 24, name: "SIGTERM under load", ci: true, set: func(o *options) { o.pods = 2 },
			start: func(ctx context.Context, b *battle) error { return b.pod().restart(ctx) },
			stop:  nothing,
			waive: func(mark string) bool { return mark == "growth" }, // a new process starts small
			judge: func(r *outcome) {
				r.must(r.run.Ledger.Unanswered == 0, "requests without an answer %d, want 0", r.run.Ledger.Unanswered)
			},
		},
		{
			number: 27, name: "4 pods restarted with warm Redis", set: func(o *options) { o.pods = 4 }, during: 30 * time.Second,
			start: func(ctx context.Context, b *battle) error {
				for _, p := range b.stage.pods {
					if err := p.restart(ctx); err != nil {
						return err
					}
				}
				return nil
			},
			stop:  nothing,
			waive: func(mark string) bool { return mark == "growth" },
			judge: func(r *outcome) {
				was := r.before.share(func(c string) bool { return c == "api" })
				is := r.stretch(r.from, r.to).share(func(c string) bool { return c == "api" })
				r.must(is <= 1.1*was+0.03, "answers waited for from the API %.1f %%, before %.1f %%, allowed 1.1 × and 3 of chance", 100*is, 100*was)
				calls := float64(r.stats.Events) / float64(max(1, r.run.Ledger.Accepted))
				r.must(calls <= 1.1, "calls for each event × %.3f, allowed × 1.1", calls)
			},
		},
		{
			number: 28, name: "1 000 at once for one question", ci: true, start: stampede,
			stop:  nothing,
			waive: func(mark string) bool { return mark == "growth" }, // a thousand connections are its point
			judge: func(r *outcome) {
				r.within(r.notes["ranked"] == stampeders, "answered with the first ranking %.0f of %d", r.notes["ranked"], stampeders)
			},
		},
		{
			number: 31, name: "20 % of clients hang up", ci: true,
			start: func(_ context.Context, b *battle) error { b.trial.setHangUp(0.2); return nil },
			stop:  func(_ context.Context, b *battle) error { b.trial.setHangUp(0); return nil },
			judge: func(r *outcome) {
				l := r.run.Ledger
				r.must(l.Arrived >= l.Accepted, "events arrived %d, of %d answered and %d hung up", l.Arrived, l.Accepted, l.Unanswered)
			},
		},
		{
			number: 32, name: "log-in, log-out, another user in one session", ci: true, plan: loginPlan,
			start: loose(fakeapi.Fault{Latency: &fakeapi.Latency{P50: 60 * time.Millisecond, P99: time.Second}}),
		},
		{
			number: 33, name: "slow headers, header bombs, smuggling, 2 000 idle connections", ci: true, start: besiege,
			stop:  nothing,
			waive: func(mark string) bool { return mark == "growth" },
			judge: func(r *outcome) {
				r.must(r.notes["bomb"] == 431, "64 KB of headers: %.0f, want 431", r.notes["bomb"])
				r.must(r.notes["smuggled"] == 400, "Content-Length with Transfer-Encoding: %.0f, want 400", r.notes["smuggled"])
				r.must(r.notes["pipelined"] == 2, "pipelined requests answered: %.0f of 2", r.notes["pipelined"])
			},
		},
	}
}

// spoil empties Redis and, for as long as the fault lasts, overwrites what is written.
func spoil(ctx context.Context, b *battle) error {
	client := redis.NewClient(&redis.Options{Addr: b.stage.redis.Addr()})
	defer client.Close()
	if err := client.FlushAll(ctx).Err(); err != nil {
		return err
	}
	end := time.Now().Add(b.opts.length / 4)
	for time.Now().Before(end) && sleep(ctx, 500*time.Millisecond) {
		keys := client.Scan(ctx, 0, "v1:*", 100).Iterator()
		for keys.Next(ctx) {
			fields, err := client.HKeys(ctx, keys.Val()).Result()
			if err != nil {
				continue // not a hash: a lease or a stream
			}
			for _, f := range fields {
				if client.HSet(ctx, keys.Val(), f, "rubbish\x00\xff"+f).Err() == nil {
					b.notes["spoiled"]++
				}
			}
		}
	}
	return nil
}

const stampeders = 1000

// stampede asks one new question a thousand times at once.
func stampede(ctx context.Context, b *battle) error {
	r := traffic.Request{Session: "stampede", Type: fakeapi.CustomShelf, Limit: 24, Native: b.stage.catalogue.BestSellers()[:24]}
	var group sync.WaitGroup
	var mu sync.Mutex
	for range stampeders {
		group.Go(func() {
			v := b.trial.ask(r)
			mu.Lock()
			defer mu.Unlock()
			if fresh(v.Source) {
				b.notes["ranked"]++
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// loginPlan lets few sessions change their user all the time, asking the same
// questions under every one.
func loginPlan(o *options, s *stage, p phases) plan {
	users := []string{"", "u1", "", "u2", "u3"}
	order := s.catalogue.BestSellers()
	return plan{length: p.length(), requests: func(yield func(load.Due[traffic.Request]) bool) {
		n := 0
		for at := range (load.Arrivals{Curve: load.Constant(o.rate, p.length()), Seed: o.model.Seed}).All() {
			r := traffic.Request{
				Session: "shared-" + strconv.Itoa(n%10), User: users[n/10%len(users)],
				Type: fakeapi.ProductView, ID: order[n/200%20], Limit: 24, Native: order[100:124],
			}
			if n++; !yield(load.Due[traffic.Request]{At: at, What: r}) {
				return
			}
		}
	}}
}

// besiege opens connections that do what no client should.
func besiege(ctx context.Context, b *battle) error {
	addr := b.pod().current().Addr()
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			_ = c.Close()
		}
	}()
	for range 2000 {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			break // the sidecar's bound, or ours: fewer will do
		}
		idle = append(idle, c)
		if len(idle)%4 == 0 {
			_, _ = c.Write([]byte("POST " + traffic.Path + " HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")) // and no more
		}
	}
	b.notes["idle"] = float64(len(idle))
	bomb := "POST " + traffic.Path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Bomb: " + string(make64K()) + "\r\nContent-Length: 2\r\n\r\n{}"
	smuggled := "POST " + traffic.Path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	twice := string(traffic.AppendPost(nil, "/nowhere", nil))
	b.notes["bomb"], _ = provoke(ctx, addr, bomb)
	b.notes["smuggled"], _ = provoke(ctx, addr, smuggled)
	_, b.notes["pipelined"] = provoke(ctx, addr, twice+twice)
	sleep(ctx, 3*time.Second)
	return nil
}

func make64K() []byte {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// provoke writes bytes and returns the status of the first answer and how many there were.
func provoke(ctx context.Context, addr, text string) (status, answers float64) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	go func() { _, _ = c.Write([]byte(text)) }() // ends with the connection, at the latest
	buffer := make([]byte, 0, 16<<10)
	for chunk := make([]byte, 4<<10); len(buffer) < 12<<10; {
		n, err := c.Read(chunk)
		buffer = append(buffer, chunk[:n]...)
		if answers = float64(countAnswers(buffer)); err != nil || answers == 2 {
			break
		}
	}
	var code int
	_, _ = fmt.Sscanf(string(buffer), "HTTP/1.1 %d", &code)
	return float64(code), answers
}

func countAnswers(b []byte) (n int) {
	const line = "HTTP/1.1 "
	for i := 0; i+len(line) <= len(b); i++ {
		if string(b[i:i+len(line)]) == line {
			n++
		}
	}
	return n
}
