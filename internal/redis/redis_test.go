package redis_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/breaker"
	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// connect returns a client of the Redis at url, which runs as long as the test, and its breaker.
func connect(t testing.TB, url string, change ...func(*redis.Options)) (*redis.Client, *breaker.Breaker) {
	t.Helper()
	b, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	o := redis.Options{URL: url, Budget: 5 * time.Millisecond, Breaker: b, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	c, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(t.Context()); err != nil {
			t.Errorf("running: %v", err)
		}
	})
	t.Cleanup(func() {
		running.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, b
}

// patient makes every answer count as in time: for tests of what, not when.
func patient(o *redis.Options) { o.Budget = time.Minute }

type outcome struct {
	replies []any
	err     error
}

// pipe hands commands over and waits for what comes of them.
func pipe(c *redis.Client, key string, commands ...redis.Command) ([]any, error) {
	got := make(chan outcome, 1)
	err := c.Pipe(redis.Batch{
		Op: redis.OpLookup, Key: key, Commands: commands,
		Done: func(replies []any, err error) { got <- outcome{replies, err} },
	})
	if err != nil {
		return nil, err
	}
	o := <-got
	return o.replies, o.err
}

func command(args ...any) redis.Command { return redis.Command{Args: args} }

// eventually polls, since a real Redis takes real time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}

func TestPipeGivesEachBatchItsReplies(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	var callers sync.WaitGroup
	for i := range 200 {
		callers.Go(func() {
			key := "key" + strconv.Itoa(i)
			replies, err := pipe(c, key,
				command("hincrby", key, "n", i),
				command("hmget", key, "n", "absent"),
				command("get", key), // of a hash: an error, and no reason to lose the others
				command("pexpire", key, 60_000))
			if err != nil {
				t.Errorf("got %v", err)
				return
			}
			var wrong redis.ReplyError
			fields, _ := replies[1].([]any)
			refused, _ := replies[2].(error)
			if replies[0] != int64(i) || len(fields) != 2 || fields[0] != strconv.Itoa(i) || fields[1] != nil ||
				!errors.As(refused, &wrong) || !strings.HasPrefix(wrong.Error(), "WRONGTYPE") || replies[3] != int64(1) {
				t.Errorf("batch %d: got %v", i, replies)
			}
		})
	}
	callers.Wait()
}

// On one processor a lane would leave with the first who asks, if it did not let the others
// ask before it goes.
func TestWhoAsksAtOnceTravelsTogether(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	before := stat(t, server, "stats", "total_reads_processed")
	const callers, asks = 64, 100
	var asking sync.WaitGroup
	for i := range callers {
		asking.Go(func() {
			key := strconv.Itoa(i)
			for range asks {
				if _, err := pipe(c, key, command("get", key)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	asking.Wait()
	reads := stat(t, server, "stats", "total_reads_processed") - before
	if got := callers * asks / reads; got < 3 {
		t.Errorf("got %d batches in each of %d reads of Redis, want at least 3", got, reads)
	} else {
		t.Logf("%d in each", got)
	}
}

func TestBatchesOfOneKeyKeepTheirOrder(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	const n = 500
	got := make(chan int64, n)
	for range n {
		err := c.Pipe(redis.Batch{
			Op: redis.OpCount, Key: "k", Commands: []redis.Command{command("incr", "k")},
			Done: func(replies []any, err error) {
				if err != nil {
					t.Error(err)
					got <- 0
					return
				}
				n, _ := replies[0].(int64)
				got <- n
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for want := range int64(n) {
		if have := <-got; have != want+1 {
			t.Fatalf("got reply %d at place %d", have, want+1)
		}
	}
}

func TestScriptsSurviveTheirLoss(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	script := redis.NewScript(`redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])`)
	for _, value := range []string{"first", "known", "lost"} {
		if value == "lost" {
			server.Do("SCRIPT", "FLUSH")
		}
		replies, err := pipe(c, "k", command("set", "k", "before"), redis.Command{Script: script, Args: []any{value}})
		if err != nil || len(replies) != 2 || replies[1] != value {
			t.Errorf("%s: got %v, %v", value, replies, err)
		}
	}
}

func TestFullLaneRefuses(t *testing.T) {
	b, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	c, err := redis.New(redis.Options{
		URL: "embedded", Budget: time.Second, Breaker: b, Log: slog.New(slog.DiscardHandler),
		Observe: func(_ redis.Op, o redis.Outcome, _ time.Duration) {
			if o == redis.Refused {
				refused++
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// It does not run, so nothing leaves the lane.
	batch := redis.Batch{Op: redis.OpLookup, Key: "k", Done: func([]any, error) { t.Error("a refused batch is done") }}
	for range 1024 {
		if err := c.Pipe(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Pipe(batch); !errors.Is(err, redis.ErrBusy) || !errors.Is(err, redis.ErrUnavailable) || refused != 1 {
		t.Errorf("got %v and %d refused, want %v and 1", err, refused, redis.ErrBusy)
	}
}

// load asks once a millisecond, whatever comes of it, until stopped.
func load(c *redis.Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	asking.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			key := strconv.Itoa(i)
			_ = c.Pipe(redis.Batch{
				Op: redis.OpLookup, Key: key, Commands: []redis.Command{command("get", key)}, Done: func([]any, error) {},
			})
			time.Sleep(time.Millisecond)
		}
	})
	return func() { cancel(); asking.Wait() }
}

// A Redis that is gone in whatever way opens the breaker, costs neither goroutines nor
// connections, and is in use again by itself once it is back.
func TestRedisGoneAndBack(t *testing.T) {
	for name, fault := range map[string]struct{ gone, back func(*redistest.Server) }{
		"paused": {(*redistest.Server).Pause, (*redistest.Server).Resume},
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Start},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			c, b := connect(t, server.URL(), patientUntil(500*time.Millisecond))
			eventually(t, "the first PING", func() bool { return c.Ready() == nil })
			stop := load(c)
			defer stop()
			before := runtime.NumGoroutine()

			fault.gone(server)
			start := time.Now()
			eventually(t, "the breaker to open", func() bool { return b.State() != breaker.Closed })
			t.Logf("open after %s", time.Since(start))
			if _, err := pipe(c, "k", command("get", "k")); !errors.Is(err, redis.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, redis.ErrUnavailable)
			}
			eventually(t, "a PING to fail", func() bool { return c.Ready() != nil })
			if got := runtime.NumGoroutine(); got > 2*before+10 {
				t.Errorf("got %d goroutines, %d before", got, before)
			}

			fault.back(server)
			start = time.Now()
			eventually(t, "the breaker to close", func() bool { return b.State() == breaker.Closed })
			t.Logf("closed after %s", time.Since(start))
			eventually(t, "an answer", func() bool { _, err := pipe(c, "k", command("get", "k")); return err == nil })
			if err := c.Ready(); err != nil {
				t.Errorf("got %v, want ready", err)
			}
			if got := connections(t, server); got > 8+1 {
				t.Errorf("got %d connections, want at most 8 and the one that asks", got)
			}
		})
	}
}

// patientUntil makes answers count as late only after d, which a busy machine keeps to.
func patientUntil(d time.Duration) func(*redis.Options) {
	return func(o *redis.Options) { o.Budget = d / 5 }
}

func connections(t *testing.T, server *redistest.Server) int {
	t.Helper()
	return stat(t, server, "clients", "connected_clients")
}

// stat is a number that Redis tells of itself.
func stat(t *testing.T, server *redistest.Server, section, name string) int {
	t.Helper()
	for line := range strings.Lines(server.Do("INFO", section)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			count, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			return count
		}
	}
	t.Fatalf("INFO does not tell %s", name)
	return 0
}

// A Redis that always takes far longer than the budget is no use, though it answers.
func TestFarTooSlowOpensTheBreaker(t *testing.T) {
	server := redistest.Start(t)
	proxy := delay(t, server.Addr, 100*time.Millisecond)
	c, b := connect(t, "redis://"+proxy)
	defer load(c)()
	eventually(t, "the breaker to open", func() bool { return b.State() != breaker.Closed })
}

// delay is a proxy to addr that holds back what comes from there.
func delay(t *testing.T, addr string, by time.Duration) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(far, near)
				_ = far.Close()
			}()
			go func() {
				buffer := make([]byte, 64<<10)
				for {
					n, err := far.Read(buffer)
					if err != nil {
						_ = near.Close()
						return
					}
					time.Sleep(by)
					_, _ = near.Write(buffer[:n])
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func TestAbsentAtStart(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	c, b := connect(t, server.URL(), patientUntil(500*time.Millisecond))
	defer load(c)()
	eventually(t, "the breaker to open", func() bool { return b.State() != breaker.Closed })
	server.Start()
	eventually(t, "an answer", func() bool { _, err := pipe(c, "k", command("get", "k")); return err == nil })
}

// An operator's word goes before what was measured.
func TestOverride(t *testing.T) {
	server := redistest.Start(t)
	c, b := connect(t, server.URL(), patient)
	if err := b.Override(breaker.Open, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe(c, "k", command("get", "k")); !errors.Is(err, redis.ErrUnavailable) {
		t.Errorf("open: got %v, want %v", err, redis.ErrUnavailable)
	}
	if err := c.Set(t.Context(), "k", "v", time.Minute); !errors.Is(err, redis.ErrUnavailable) {
		t.Errorf("open: got %v, want %v", err, redis.ErrUnavailable)
	}
	b.Auto()
	if _, err := pipe(c, "k", command("get", "k")); err != nil {
		t.Errorf("auto: got %v", err)
	}
}

func TestNamedUser(t *testing.T) {
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "shop", "on", ">pa:ss,w@rd", "~v1:*", "+@all")
	c, _ := connect(t, "redis://shop:pa%3Ass%2Cw%40rd@"+server.Addr+"/0?client_name=vitrine", patient)
	if replies, err := pipe(c, "v1:k", command("set", "v1:k", "v", "px", 1000)); err != nil || replies[0] != "OK" {
		t.Errorf("got %v, %v, want OK", replies, err)
	}
	replies, err := pipe(c, "other", command("get", "other"))
	if refused, ok := replies[0].(error); err != nil || !ok || !strings.HasPrefix(refused.Error(), "NOPERM") {
		t.Errorf("got %v, %v, want NOPERM", replies, err)
	}
}
