package rig

import (
	"bufio"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Every piece is as late as it was told, and none waits for the one before.
func TestRelayDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Relay
		far, src := net.Pipe()
		dst, near := net.Pipe()
		done := make(chan struct{})
		go func() { // ends with far
			defer close(done)
			r.pump(dst, src)
		}()
		r.Delay(50 * time.Millisecond)
		began := time.Now()
		for _, text := range []string{"a", "b"} {
			if _, err := far.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, 2)
		if _, err := io.ReadFull(near, got); err != nil || string(got) != "ab" {
			t.Fatalf("got %q (%v), want ab", got, err)
		}
		if got, want := time.Since(began), 50*time.Millisecond; got != want {
			t.Errorf("got the pieces after %v, want %v", got, want)
		}
		_ = far.Close()
		<-done
	})
}

func TestRelayCarriesAndEnds(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() { // ends with the target
		c, err := target.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	r, err := StartRelay(t.Context(), target.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(c)
	if got, err := lines.ReadString('\n'); err != nil || got != "hello\n" {
		t.Errorf("got %q (%v), want hello", got, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := lines.ReadByte(); err == nil {
		t.Error("got more from a relay that is closed")
	}
}
