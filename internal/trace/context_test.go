package trace_test

import (
	"regexp"
	"testing"

	"vitrine/internal/trace"
)

const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParse(t *testing.T) {
	f := func(header, want string) {
		t.Helper()
		c, ok := trace.Parse(header)
		if got := c.String(); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", header, got, ok, want)
		}
		if again, okAgain := trace.Parse([]byte(header)); again != c || okAgain != ok {
			t.Errorf("%q: got %v as bytes, want %v as of a string", header, again, c)
		}
	}
	f(header, header)
	f("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	// Flags that nobody knows are not passed on; of a later version only the first is known.
	f("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03")
	f("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", header)
	f("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-is-to-come", header)

	f("", "")
	f("00", "")
	f("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", "")
	f("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", "")
	f("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", "")
	f("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more", "")
	f("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
	f("0F-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
	f("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "")
	f("00-00000000000000000000000000000000-b7ad6b7169203331-01", "")
	f("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "")
	f("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
	f("00-0af7651916cd43dd8448eb211c80319cab7ad6b7169203331-01", "")
	f("00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01", "")
	f(" 0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
}

// What is passed on is what came in, or the same trace and span as a valid header of today;
// and nothing but a valid one is passed on.
func FuzzParse(f *testing.F) {
	f.Add(header)
	f.Add("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-is-to-come")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-\n")
	valid := regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?s:-.*)?$`)
	f.Fuzz(func(t *testing.T, header string) {
		c, ok := trace.Parse(header)
		if !ok {
			if c != (trace.Context{}) {
				t.Errorf("%q: got %v of an invalid header, want none", header, c)
			}
			return
		}
		if !valid.MatchString(header) {
			t.Errorf("%q: got %v, want it refused", header, c)
		}
		written := c.String()
		if len(written) != trace.Length || written[3:53] != header[3:53] {
			t.Errorf("got %q written of %q, want the same trace and span", written, header)
		}
		if again, ok := trace.Parse(written); !ok || again != c {
			t.Errorf("%q: got %v, %v read back, want %v", header, again, ok, c)
		}
	})
}
