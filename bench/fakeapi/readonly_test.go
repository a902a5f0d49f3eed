package fakeapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
)

func TestProfile(t *testing.T) {
	api := start(t, fakeapi.Options{People: 3})
	c := client(t, api)
	person := fakeapi.PersonN(2)
	ask := func(path string) answer {
		t.Helper()
		a, err := send(c, request(t, http.MethodGet, api.URL()+"/api/v1/crm/protected/profile/"+path, ""))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var last []byte
	for _, path := range []string{
		"user-profile-id/" + person.ProfileID, "email/" + url.PathEscape(person.Email), "phone/" + person.Phone, "document/" + person.Document,
	} {
		a := ask(path)
		var got struct {
			UserProfileID string
			Profile       map[string]json.RawMessage
		}
		if err := json.Unmarshal(a.body, &got); err != nil || a.status != 200 || got.UserProfileID != person.ProfileID || len(got.Profile) != 5 {
			t.Errorf("%s: got %d %s %v, want the profile of %s", path, a.status, a.body, err, person.ProfileID)
		}
		if !strings.Contains(string(a.body), `"persona_na_ocasião"`) {
			t.Errorf("%s: got no key with an ã in %s", path, a.body)
		}
		if string(a.body) == string(last) {
			t.Errorf("%s: got the same text as the call before, want it written anew", path)
		}
		last = a.body
	}
	a := ask("email/nobody@example.com")
	if a.status != 404 || string(a.body) != `{"error":"Not Found","message":"Profile not found","statusCode":404}` {
		t.Errorf("got %d %s, want the documented 404", a.status, a.body)
	}
	if a := ask("name/somebody"); a.status != 404 {
		t.Errorf("got %d for an unknown kind, want 404", a.status)
	}
	if got := api.Stats().Events; got != 0 {
		t.Errorf("got %d events from profiles, want none", got)
	}
}

// Worked out by hand: 123.456.789 has the check digits 09, so person 456 789 has them.
func TestDocumentsHaveCheckDigits(t *testing.T) {
	if got, want := fakeapi.PersonN(456_789).Document, "12345678909"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReadOnlyLists(t *testing.T) {
	api := start(t, fakeapi.Options{ColdEvents: 1})
	catalogue := api.Rankings().Catalogue
	c := client(t, api)
	ask := func(method, path, body string, into any) int {
		t.Helper()
		a, err := send(c, request(t, method, api.URL()+"/api/v1/"+path, body))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(a.body, into); err != nil {
			t.Errorf("%s: got %s", path, a.body)
		}
		return a.status
	}
	var list struct {
		CategoryID *string
		Products   []string
		Message    any
	}
	const similar = `{"userId":"","sessionId":"123","data":{"id":"p1"}}`
	if status := ask(http.MethodPost, "products/protected/similar?limit=7", similar, &list); status != 200 || len(list.Products) != 7 {
		t.Errorf("similar: got %d %+v, want 7 products", status, list)
	}
	for body, want := range map[string]int{`{"data":{"id":"nothing"}}`: 404, `{"data":{}}`: 400, `{}`: 400} {
		if status := ask(http.MethodPost, "products/protected/similar", body, &list); status != want {
			t.Errorf("similar to %s: got %d, want %d", body, status, want)
		}
	}
	if status := ask(http.MethodGet, "products/protected/sales-ranking", "", &list); status != 200 || list.CategoryID != nil ||
		!slices.Equal(list.Products, catalogue.BestSellers()[:100]) {
		t.Errorf("sales ranking: got %d %+v, want the 100 best sellers", status, list)
	}
	if status := ask(http.MethodGet, "products/protected/sales-ranking?categoryId=c2", "", &list); status != 200 || list.CategoryID == nil ||
		!slices.Equal(list.Products, catalogue.CategoryBestSellers("c2")) {
		t.Errorf("sales ranking of c2: got %d %+v, want its best sellers", status, list)
	}

	var collection struct {
		Products []struct {
			ProductID string
			Position  int
			Active    bool
		}
		EndsAt time.Time
	}
	if status := ask(http.MethodGet, "merchandising-collections/protected/c1", "", &collection); status != 200 ||
		len(collection.Products) != 12 || collection.Products[4].Active || !collection.Products[0].Active || time.Until(collection.EndsAt) <= 0 {
		t.Errorf("collection: got %d %+v, want 12 products, the fifth inactive, and an end to come", status, collection)
	}
	if status := ask(http.MethodGet, "merchandising-collections/protected/none", "", &collection); status != 404 {
		t.Errorf("no collection: got %d, want 404", status)
	}

	var found struct {
		TotalItems int
		Items      []struct{ ID, Title string }
	}
	title := strings.ToLower(catalogue.Products[0].Title)
	if status := ask(http.MethodPost, "products/protected/search?limit=1&query="+url.QueryEscape(title), "", &found); status != 200 ||
		found.TotalItems < 1 || len(found.Items) != 1 || found.Items[0].ID != "p1" {
		t.Errorf("search: got %d %+v, want p1", status, found)
	}
	if got := api.Stats(); got.Events != 0 || got.Calls[fakeapi.Lists] != 9 {
		t.Errorf("got %+v, want 9 lists and no event", got)
	}
}
