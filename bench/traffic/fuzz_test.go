package traffic_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"vitrine/bench/traffic"
)

// A trace somebody has written is refused, or is in the order of time and, written anew
// by us, read again to the same requests; each line of that is JSON.
func FuzzReadTrace(f *testing.F) {
	f.Add([]byte(`{"at":0,"sessionId":"s","eventType":"productView","data":{"id":"p1"}}` + "\n\n" +
		`{"at":1.5,"userId":"90","sessionId":"\u2028\"","eventType":"customShelf","data":{"id":""},"vitrine":{"native":["a","é"],"limit":24,"complete":true}}`))
	f.Add([]byte(`{"at":1e9,"sessionId":"s","eventType":"x"}`))
	f.Add([]byte(`{"at":1e300,"sessionId":"s","eventType":"x"}`))
	f.Add([]byte(`{"at":2,"sessionId":"s","eventType":"x"}` + "\n" + `{"at":1,"sessionId":"s","eventType":"x"}`))
	f.Add([]byte(`{"at":0,"sessionId":"s","eventType":"x","vitrine":{"limit":-1,"native":[""]}}` + "\r\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trace, err := traffic.ReadTrace(bytes.NewReader(text))
		if err != nil {
			return
		}
		var written []byte
		for i, d := range trace {
			if d.At < 0 || i > 0 && d.At < trace[i-1].At {
				t.Fatalf("got %v as the time of line %d", d.At, i+1)
			}
			written = traffic.AppendTrace(written, d)
			trace[i].What.Limit = max(0, d.What.Limit) // less than 1 is none
			if len(d.What.Native) == 0 {
				trace[i].What.Native = nil
			}
		}
		for line := range bytes.Lines(written) {
			if !json.Valid(line) {
				t.Fatalf("wrote %q", line)
			}
		}
		again, err := traffic.ReadTrace(bytes.NewReader(written))
		if err != nil || len(again) != len(trace) {
			t.Fatalf("got %d lines, %v, of the %d written:\n%s", len(again), err, len(trace), written)
		}
		for i := range again {
			if off := (again[i].At - trace[i].At).Seconds(); math.Abs(off) > 1e-6+1e-12*trace[i].At.Seconds() {
				t.Errorf("line %d: got it %v s off", i+1, off)
			}
			again[i].At = trace[i].At
			if !reflect.DeepEqual(again[i], trace[i]) {
				t.Errorf("line %d: got %+v, want %+v", i+1, again[i], trace[i])
			}
		}
	})
}
