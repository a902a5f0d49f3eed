package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"vitrine/bench/shopdata"
	"vitrine/internal/reco"
)

const (
	recommendationPath = "/api/v1/products/protected/recommendation"
	crowdSize          = 24 // shoppers at a time
)

// crowd is shoppers who look at one page after the other, and a storefront that asks the
// sidecar for the lists on them.
type crowd struct {
	url       string
	catalogue *shopdata.Catalogue
	seen      *tally
	client    *http.Client
}

func newCrowd(url string, catalogue *shopdata.Catalogue, seen *tally) *crowd {
	return &crowd{
		url: url, catalogue: catalogue, seen: seen,
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: crowdSize},
			Timeout:   500 * time.Millisecond, // the budget and 200 ms
		},
	}
}

// run has shoppers come and go until ctx ends. When it returns, all have their answers
// and no connection is left open.
func (c *crowd) run(ctx context.Context) {
	var all sync.WaitGroup
	for range crowdSize {
		all.Go(func() {
			for ctx.Err() == nil {
				c.visit(ctx)
			}
		})
	}
	all.Wait()
	c.client.CloseIdleConnections()
}

// visit is one session: the home page, then some pages of products and categories. Every
// fourth product is one looked at before; every fifth shopper is logged in.
func (c *crowd) visit(ctx context.Context) {
	session, user := crand.Text(), ""
	if rand.IntN(5) == 0 {
		user = "shopper-" + session[:4]
	}
	view := func(t reco.EventType, item string) { c.ask(session, user, t, item) }
	category := c.catalogue.Categories[rand.IntN(len(c.catalogue.Categories))]
	var before []string

	view(reco.CustomShelf, "")
	for range 3 + rand.IntN(10) {
		if !pause(ctx, 250*time.Millisecond+rand.N(time.Second)) {
			return
		}
		switch dice := rand.IntN(8); {
		case dice < 3:
			view(reco.CategoryView, category.ID)
		case dice == 3 && len(before) > 0:
			view(reco.ProductView, before[rand.IntN(len(before))])
		default:
			product := category.Products[rand.IntN(len(category.Products))]
			view(reco.ProductView, product)
			view(reco.ShopTheLook, product)
			before = append(before, product)
		}
	}
}

// pause reports whether it lasted as long as it should, and was not ended by ctx.
func pause(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// event is a view as the storefront sends it.
type event struct {
	User    string `json:"userId,omitempty"`
	Session string `json:"sessionId"`
	Type    string `json:"eventType"`
	Data    struct {
		ID string `json:"id"`
	} `json:"data"`
}

// ask asks for one list, and counts what came. It is not ended by the demo's end: a page
// that has begun to load is loaded.
func (c *crowd) ask(session, user string, t reco.EventType, item string) {
	e := event{User: user, Session: session, Type: t.String()}
	e.Data.ID = item
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings can be encoded
	}
	began := time.Now()
	source := c.post(body)
	c.seen.add(source, time.Since(began))
}

// post returns where the answer's products came from, "" if there was none.
func (c *crowd) post(body []byte) string {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return ""
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return resp.Header.Get("Vitrine-Source")
}
