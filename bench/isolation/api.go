package isolation

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// api stands in for the vendor's: every id it answers with says whose list it is of. Its
// answers come in any order, one in fifty not at all and one in thirty empty, so that older
// lists are served too.
type api struct {
	erased *register
	length int // of a list
}

// ServeHTTP answers a recommendation or a profile.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the caller is gone
	}
	const profiles = "/api/v1/crm/protected/profile/"
	if who, ok := strings.CutPrefix(r.URL.Path, profiles); ok {
		linger()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"who": who}) // the caller may be gone
		return
	}
	var event struct {
		User    string `json:"userId"`
		Session string `json:"sessionId"`
		Type    string `json:"eventType"`
		Data    struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	generation := a.erased.generation(event.Session)
	linger()
	list := struct {
		Products []string `json:"products"`
	}{[]string{}}
	switch dice := rand.Float64(); {
	case dice < 0.02:
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	case dice < 0.05:
	default:
		for place := range a.length {
			list.Products = append(list.Products, fmt.Sprintf("%s#%d.%d", owner(event.Session, event.User, event.Type, event.Data.ID), generation, place))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // the caller may be gone
}

// linger waits as long as the API takes: 8 ms, sometimes a hundred, so that answers
// cross each other and later questions.
func linger() {
	time.Sleep(time.Duration(min(200, 8*math.Exp(rand.NormFloat64())) * float64(time.Millisecond)))
}
