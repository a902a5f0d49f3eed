package proxy

import (
	"net"
	"time"
)

const (
	// A whole request must have come within readTimeout of its first byte, or of the
	// connection if it is the first, and a client must take an answer within
	// writeTimeout; both are local.
	readTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
	// idleTimeout is longer than any usual client's: who closes first has the
	// stale-connection problem, and here that should be the client.
	idleTimeout = 3 * time.Minute
	// deadlineSlack is how much later than that a connection may be closed.
	deadlineSlack = time.Second
)

// deadlines keep a connection's. fasthttp would move three of them for every request,
// each a look at the clock and a change to a timer, of which hardly one ever has an
// effect; these move when they have to, within deadlineSlack.
type deadlines struct {
	now   time.Time // when something was last written
	read  time.Time // the read deadline
	write time.Time // the write deadline
	whole bool      // read is that of the request which is being read
}

// reading is told before every read, and whether that is the first one for a request. It returns the time.
func (d *deadlines) reading(c net.Conn, first bool) (time.Time, error) {
	timeout := readTimeout
	switch {
	case !first && d.whole:
		return d.now, nil
	case d.now.IsZero() || !first:
		d.now = time.Now()
	default:
		timeout = idleTimeout // since the last answer
	}
	d.whole = !first
	return d.now, move(&d.read, d.now.Add(timeout), c.SetReadDeadline)
}

// writing is told before every write.
func (d *deadlines) writing(c net.Conn) error {
	d.now = time.Now()
	return move(&d.write, d.now.Add(writeTimeout), c.SetWriteDeadline)
}

// move puts a deadline off, unless it is late enough and not too late as it is.
func move(have *time.Time, want time.Time, set func(time.Time) error) error {
	if late := have.Sub(want); late >= 0 && late <= deadlineSlack {
		return nil
	}
	*have = want.Add(deadlineSlack)
	return set(*have) //nolint:wrapcheck // fasthttp looks at net's own errors
}
