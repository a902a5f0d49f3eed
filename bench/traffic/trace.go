package traffic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"vitrine/bench/load"
)

// AppendTrace appends one line of a trace: the sidecar's own JSON with one member
// more, at, in seconds since the trace began.
func AppendTrace(dst []byte, d load.Due[Request]) []byte {
	dst = append(dst, `{"at":`...)
	dst = strconv.AppendFloat(dst, d.At.Seconds(), 'f', 6, 64)
	body := d.What.AppendBody(nil)
	return append(append(append(dst, ','), body[1:]...), '\n')
}

const (
	maxLine  = 1 << 20          // bytes of a line
	maxTrace = 366 * 24 * 3_600 // seconds of a trace
)

// ReadTrace reads a whole trace. Members it does not know are left out; lines must be
// in the order of time.
func ReadTrace(r io.Reader) ([]load.Due[Request], error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var out []load.Due[Request]
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		d, err := readTraceLine(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if len(out) > 0 && d.At < out[len(out)-1].At {
			return nil, fmt.Errorf("line %d: at is before the line above", n)
		}
		out = append(out, d)
	}
	return out, lines.Err()
}

func readTraceLine(line []byte) (load.Due[Request], error) {
	var text struct {
		At        float64
		UserID    string
		SessionID string
		EventType string
		Data      struct{ ID string }
		Vitrine   struct {
			Native   []string
			Limit    int
			Complete bool
		}
	}
	if err := json.Unmarshal(line, &text); err != nil {
		return load.Due[Request]{}, err
	}
	if text.At < 0 || text.At > maxTrace || text.SessionID == "" || text.EventType == "" {
		return load.Due[Request]{}, fmt.Errorf("want at from 0 to a year of seconds, sessionId and eventType, got %.200s", line)
	}
	return load.Due[Request]{
		At: time.Duration(text.At * float64(time.Second)),
		What: Request{
			Session: text.SessionID, User: text.UserID, Type: text.EventType, ID: text.Data.ID,
			Native: text.Vitrine.Native, Limit: text.Vitrine.Limit, Complete: text.Vitrine.Complete,
		},
	}, nil
}
