package proxy

import (
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// fakeConn notes its deadlines.
type fakeConn struct {
	net.Conn

	read, write time.Time
	moved       int
}

func (c *fakeConn) SetReadDeadline(t time.Time) error {
	c.read, c.moved = t, c.moved+1
	return nil
}

func (c *fakeConn) SetWriteDeadline(t time.Time) error {
	c.write, c.moved = t, c.moved+1
	return nil
}

// within fails unless a deadline is so far away, or a little further.
func within(t *testing.T, what string, deadline time.Time, since time.Time, timeout time.Duration) {
	t.Helper()
	if got := deadline.Sub(since); got < timeout || got > timeout+deadlineSlack {
		t.Errorf("%s: got a deadline after %v, want %v and at most %v more", what, got, timeout, deadlineSlack)
	}
}

func TestDeadlinesAreNeverEarlyAndHardlyLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := new(fakeConn), new(deadlines)
		reading := func(first bool) {
			t.Helper()
			if _, err := d.reading(c, first); err != nil {
				t.Fatal(err)
			}
		}
		pause := func(longest time.Duration) { time.Sleep(rand.N(longest) + 1) }
		reading(true)
		within(t, "before the first request", c.read, time.Now(), readTimeout)
		for range 1000 {
			if rand.N(2) == 0 { // it comes in pieces
				pause(idleTimeout / 2)
				begun := time.Now()
				for range rand.N(4) + 1 {
					reading(false)
					within(t, "in the middle of a request", c.read, begun, readTimeout)
					pause(readTimeout / 4)
				}
			}
			pause(10 * time.Second)
			if err := d.writing(c); err != nil {
				t.Fatal(err)
			}
			answered := time.Now()
			within(t, "for an answer", c.write, answered, writeTimeout)
			reading(true)
			within(t, "between requests", c.read, answered, idleTimeout)
		}
	})
}

func TestDeadlinesMoveOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := new(fakeConn), new(deadlines)
		for range 1000 { // a request a millisecond
			if _, err := d.reading(c, true); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			if err := d.writing(c); err != nil {
				t.Fatal(err)
			}
		}
		if c.moved > 4 {
			t.Errorf("got the deadlines of 1000 requests in a second moved %d times, want at most 4", c.moved)
		}
	})
}
