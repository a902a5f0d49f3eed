package fakeapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitrine/bench/shopdata"
)

// The bounds of the read-only lists. The vendor documents none but the limits asked for.
const (
	salesRankingLimit = 100
	collectionLength  = 12
	collectionLife    = time.Hour
	pageLimit         = 100
)

// similar answers the read-only question for similar products, which is no event.
func (a *API) similar(c call) reply {
	if len(c.problems) > 0 {
		return badRequest(c.problems)
	}
	if _, ok := a.opts.Rankings.Catalogue.Product(c.event.id); !ok {
		return notFound("Product not found")
	}
	list := a.Ranking(c.event.session, c.event.user, similarCalls, c.event.id)
	return products(list[:min(len(list), number(c.URL.Query(), "limit", 10))])
}

// salesRanking answers with the best sellers of the shop or of one category; an
// unknown category has none.
func (a *API) salesRanking(c call) reply {
	catalogue := a.opts.Rankings.Catalogue
	if !c.URL.Query().Has("categoryId") {
		return salesRanking(nil, catalogue.BestSellers())
	}
	category := c.URL.Query().Get("categoryId")
	return salesRanking(category, catalogue.CategoryBestSellers(category))
}

func salesRanking(category any, best []string) reply {
	best = append([]string{}, best[:min(len(best), salesRankingLimit)]...)
	rep := encode(map[string]any{"categoryId": category, "products": best})
	rep.list = best
	return rep
}

// collection answers with a merchandising collection. Every category has one of its
// own id, with every fifth product inactive and an end on the next full hour.
func (a *API) collection(c call) reply {
	type slot struct {
		ProductID string `json:"productId"`
		Position  int    `json:"position"`
		Active    bool   `json:"active"`
	}
	category, ok := a.opts.Rankings.Catalogue.Category(c.PathValue("id"))
	if !ok {
		return notFound("No active collection")
	}
	var slots []slot
	for i, id := range category.Products[:min(len(category.Products), collectionLength)] {
		slots = append(slots, slot{ProductID: id, Position: i + 1, Active: i%5 != 4})
	}
	return encode(map[string]any{
		"id":       category.ID,
		"name":     category.Name,
		"products": slots,
		"endsAt":   time.Now().UTC().Truncate(collectionLife).Add(collectionLife).Format(time.RFC3339),
	})
}

// search answers with the products whose title has the words of the query.
func (a *API) search(c call) reply {
	type item struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	values := c.URL.Query()
	words := strings.Fields(strings.ToLower(values.Get("query")))
	page, limit := number(values, "page", 1), min(number(values, "limit", 20), pageLimit)
	items, total := []item{}, 0
	for _, p := range a.opts.Rankings.Catalogue.Products {
		if !matches(p, words) {
			continue
		}
		if total/limit == page-1 {
			items = append(items, item{p.ID, p.Title})
		}
		total++
	}
	return encode(map[string]any{"totalItems": total, "page": page, "limit": limit, "items": items})
}

func matches(p shopdata.Product, words []string) bool {
	title := strings.ToLower(p.Title)
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(title, word) })
}

// number returns a positive number of the query, or the standard one.
func number(values url.Values, name string, standard int) int {
	n, err := strconv.Atoi(values.Get(name))
	if err != nil || n < 1 {
		return standard
	}
	return n
}
