package rig

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// Deaf is a listener that drops whoever knocks.
type Deaf struct {
	addr     string
	listener *os.File
	held     []net.Conn // fill its queue
}

// Addr is its host:port.
func (d *Deaf) Addr() string { return d.addr }

// Close ends it; the address is free again.
func (d *Deaf) Close() error {
	var errs []error
	for _, c := range d.held {
		errs = append(errs, c.Close())
	}
	if d.listener != nil {
		errs = append(errs, d.listener.Close())
	}
	return errors.Join(errs...)
}

// synSent is the state in /proc/net/tcp of a connection whose SYN nobody answered yet.
const synSent = "02"

// dialling counts the connections being tried to an IPv4 address in the text of
// /proc/net/tcp, which writes addresses in the machine's own order of bytes.
func dialling(table, addr string) (n int, err error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	ip := at.Addr().As4()
	want := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), at.Port())
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[2] == want && fields[3] == synSent {
			n++
		}
	}
	return n, nil
}
