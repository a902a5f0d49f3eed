package delivery_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/delivery"
)

// Whatever somebody wrote into a stream, it is accounted for, it is gone from there in
// the end, and the event behind it is delivered.
func FuzzAnythingParked(f *testing.F) {
	const id = "01890000-0000-7000-8000-00000000000a"
	body := string(view("s", "a").AppendJSON(nil))
	f.Add(id, "946684800000000000", body) // when a bubble's clock starts
	f.Add(id, "946684800000000000", `{"sessionId":1}`)
	f.Add("", "", "")
	f.Add("01890000-0000-7000-8000-00000000000", "-1", body)
	f.Add("0189000-00000-7000-8000-00000000000a", "9223372036854775807", body)
	f.Add("00000000000000000-00000-000000000000", "0", body) // more digits than an id has
	f.Add("00000000-0000-0000-0000-000000000000", "0", "{")
	f.Fuzz(func(t *testing.T, id, accepted, body string) {
		synctest.Test(t, func(t *testing.T) {
			shared, common := newShelf(), &api{}
			for _, values := range []map[string]string{
				{"id": id, "accepted": accepted, "body": body},
				{
					"id": "01890000-0000-7000-8000-fedcba987654", "accepted": fmt.Sprint(time.Now().UnixNano()),
					"body": string(view("honest", "honest").AppendJSON(nil)),
				},
			} {
				if _, err := (&link{shelf: shared}).XAdd(t.Context(), "v1:parked:{3}", values); err != nil {
					t.Fatal(err)
				}
			}
			p := startPod(t, shared, common)
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if s := p.Stats(); s.Accepted != 2 || s.Delivered+s.Expired+s.Dropped[delivery.DeadLetter] != 2 {
				t.Errorf("got %+v, want both entries accounted for", s)
			}
			if !slices.Contains(common.items(), "honest") {
				t.Error("the event behind it was not delivered")
			}
			shared.empty(t)
		})
	})
}
