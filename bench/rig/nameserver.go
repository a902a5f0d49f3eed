package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
)

// Naming is how a name server treats those who ask.
type Naming int32

// The ways to be asked.
const (
	Resolves Naming = iota // every name is 127.0.0.1
	Silent                 // no answer at all
	Fails                  // SERVFAIL: the server could not find out
	Denies                 // NXDOMAIN: there is no such name
)

// NameServer answers DNS questions over UDP on an address of loopback of its own. Who is to
// ask it is told so by Options.NameServer.
type NameServer struct {
	conn  net.PacketConn
	addr  netip.Addr
	group sync.WaitGroup

	naming  atomic.Int32
	refused atomic.Int64
}

// nameServerTries bounds the addresses that are tried.
const nameServerTries = 16

// StartNameServer starts one that resolves every name. Resolvers ask on port 53 and no
// other, so it takes the right to listen there, and one of the addresses of 127.0.0.0/8
// where nobody does, which not every system has.
func StartNameServer(ctx context.Context) (*NameServer, error) {
	var errs []error
	for range nameServerTries {
		addr := netip.AddrFrom4([4]byte{127, byte(1 + rand.N(250)), byte(rand.N(250)), byte(1 + rand.N(250))})
		conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", netip.AddrPortFrom(addr, 53).String())
		if err == nil {
			s := &NameServer{conn: conn, addr: addr}
			s.group.Go(s.serve) // ends with the socket, which Close awaits
			return s, nil
		}
		if errs = append(errs, err); errors.Is(err, os.ErrPermission) {
			break
		}
	}
	return nil, fmt.Errorf("starting a name server: %w", errors.Join(errs...))
}

// Addr is its address; its port is 53.
func (s *NameServer) Addr() string { return s.addr.String() }

// Treat changes how questions are answered from now on.
func (s *NameServer) Treat(n Naming) { s.naming.Store(int32(n)) }

// Refused is how many questions got no address.
func (s *NameServer) Refused() int64 { return s.refused.Load() }

// Close ends it and waits.
func (s *NameServer) Close() error {
	err := s.conn.Close()
	s.group.Wait()
	return err
}

func (s *NameServer) serve() {
	for buffer := make([]byte, 4096); ; {
		n, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return // closed
		}
		naming := Naming(s.naming.Load())
		if naming != Resolves {
			s.refused.Add(1)
		}
		if answer := answerName(buffer[:n], naming); answer != nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

// Of a DNS message, see RFC 1035, 4.1.
const (
	dnsHeader   = 12
	dnsA        = 1
	dnsIN       = 1
	dnsAnswered = 0x8180 // an answer, recursion wanted and to be had
	dnsServFail = 2
	dnsNXDomain = 3
	dnsPointer  = 0xc000 | dnsHeader // the name of the question
	dnsLife     = 1                  // seconds an answer may be kept
)

// answerName returns the answer to a question; nil for none, and to what is no question.
func answerName(query []byte, naming Naming) []byte {
	end := questionEnd(query)
	if end < 0 || naming == Silent {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end-4:])
	flags, answers := uint16(dnsAnswered), uint16(0)
	switch {
	case naming == Fails:
		flags |= dnsServFail
	case naming == Denies:
		flags |= dnsNXDomain
	case kind == dnsA:
		answers = 1
	}
	out := append([]byte(nil), query[:2]...)
	for _, v := range []uint16{flags, 1, answers, 0, 0} {
		out = binary.BigEndian.AppendUint16(out, v)
	}
	out = append(out, query[dnsHeader:end]...)
	if answers == 0 {
		return out
	}
	for _, v := range []uint16{dnsPointer, dnsA, dnsIN, 0, dnsLife, 4} {
		out = binary.BigEndian.AppendUint16(out, v)
	}
	return append(out, 127, 0, 0, 1)
}

// questionEnd returns where the first question ends, -1 if there is none.
func questionEnd(query []byte) int {
	if len(query) < dnsHeader || binary.BigEndian.Uint16(query[4:]) == 0 {
		return -1
	}
	at := dnsHeader
	for at < len(query) && query[at] != 0 {
		at += 1 + int(query[at])
	}
	if at += 1 + 4; at > len(query) { // the root, the type and the class
		return -1
	}
	return at
}
