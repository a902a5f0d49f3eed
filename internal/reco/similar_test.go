package reco_test

import (
	"errors"
	"testing"

	"vitrine/internal/reco"
)

func TestParseSimilar(t *testing.T) {
	for body, want := range map[string]string{
		`{"userId":"","sessionId":"123","data":{"id":"979935"}}`:        `{"sessionId":"123","data":{"id":"979935"}}`,
		`{"userId":90,"sessionId":"123","data":{"id":979935},"x":[{}]}`: `{"userId":"90","sessionId":"123","data":{"id":"979935"}}`,
		`{"data":{"id":"a\"b"},"sessionId":null,"userId":"ana\u0000"}`:  `{"userId":"ana\u0000","data":{"id":"a\"b"}}`,
		`{"data" : {"id" : "p1", "more" : 1}, "userId":null}`:           `{"data":{"id":"p1"}}`,
	} {
		s, err := reco.ParseSimilar([]byte(body))
		if got := string(s.AppendJSON(nil)); err != nil || got != want {
			t.Errorf("%s: got %s %v, want %s", body, got, err, want)
		}
		if again, err := reco.ParseSimilar(s.AppendJSON(nil)); err != nil || again != s {
			t.Errorf("%s: got %+v %v when read again, want %+v", body, again, err, s)
		}
	}
	for body, member := range map[string]string{
		``: "", `[]`: "", `{"data":{"id":"p"}}x`: "", `{}`: "data.id", `{"data":{"id":""}}`: "data.id",
		`{"data":{"id":1.5}}`: "data.id", `{"data":7}`: "data", `{"sessionId":7,"data":{"id":"p"}}`: "sessionId",
		`{"userId":true,"data":{"id":"p"}}`: "userId", `{"data":{"id":"p"},"data":{"id":"q"}}`: "",
	} {
		s, err := reco.ParseSimilar([]byte(body))
		if syntax := (*reco.SyntaxError)(nil); !errors.As(err, &syntax) || syntax.Member != member || s != (reco.Similar{}) {
			t.Errorf("%s: got %+v %v, want an error at %q", body, s, err, member)
		}
	}
}
