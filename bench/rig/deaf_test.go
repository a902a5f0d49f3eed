package rig

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

func TestDialling(t *testing.T) {
	us := fmt.Sprintf("%08X", binary.NativeEndian.Uint32([]byte{127, 0, 0, 1}))
	table := "  sl  local_address rem_address   st tx_queue\n" +
		"   0: " + us + ":1F90 00000000:0000 0A 00000000:00000000\n" + // listens
		"   1: " + us + ":C001 " + us + ":1F90 02 00000001:00000000\n" + // knocks
		"   2: " + us + ":C002 " + us + ":1F90 01 00000000:00000000\n" + // is in
		"   3: " + us + ":C003 " + us + ":1F91 02 00000001:00000000\n" // knocks elsewhere
	if got, err := dialling(table, "127.0.0.1:8080"); err != nil || got != 1 {
		t.Errorf("got %d (%v), want 1", got, err)
	}
}

func TestDeafDropsWhoKnocks(t *testing.T) {
	d, err := ListenDeaf(t.Context(), "127.0.0.1:0")
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the listener, or its own time-out
		defer close(done)
		dialer := net.Dialer{Timeout: 10 * time.Second}
		if c, err := dialer.DialContext(t.Context(), "tcp", d.Addr()); err == nil {
			_ = c.Close()
		}
	}()
	err = poll(t.Context(), func() bool {
		n, err := d.Dialling()
		return n == 1 || err != nil
	})
	if err != nil {
		t.Errorf("got nobody dialling: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	<-done
}
