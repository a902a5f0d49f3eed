package traffic

import (
	"iter"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/shopdata"
)

// The event types.
const (
	productView  = "productView"
	categoryView = "categoryView"
	shopTheLook  = "shopTheLook"
	customShelf  = "customShelf"
)

// Request is one question of a storefront.
type Request struct {
	Session, User, Type, ID string

	Native   []string // the storefront's own ordering
	Limit    int      // 0 is none
	Complete bool
	Bot      bool // by a bot, which the storefront does not know
}

// Crowd is the shoppers of a run. It is not for concurrent use.
type Crowd struct {
	model     Model
	catalogue *shopdata.Catalogue
	rng       *rand.Rand
	cumulated []float64 // of the products' popularity
	queue     sessions
	begun     int
	bots      int
	flash     string
}

// NewCrowd returns the shoppers there are at a rate of pages a second. Those it
// starts with are in the middle of their sessions, as in any shop that is open.
func NewCrowd(m Model, catalogue *shopdata.Catalogue, pages float64) *Crowd {
	c := &Crowd{
		model: m, catalogue: catalogue,
		rng:   rand.New(rand.NewPCG(m.Seed, 0x63726f7764)),
		flash: catalogue.IDs()[len(catalogue.IDs())/2],
	}
	sum := 0.0
	for _, p := range catalogue.Products {
		sum += p.Popularity
		c.cumulated = append(c.cumulated, sum)
	}
	size := m.crowd(pages)
	for range size {
		c.queue = append(c.queue, c.begin(0))
	}
	for i := size / 2; i >= 0; i-- {
		c.queue.sink(i)
	}
	for range burnIn * size { // pages nobody asks for: until long sessions have their share of the crowd
		c.step()
	}
	return c
}

// burnIn is how many pages each shopper of a new crowd is past on average. The
// average session has 7.
const burnIn = 20

// Page is what one page asks, all at once.
type Page struct {
	Requests []Request
	Double   bool // they are all sent again a moment later
}

// Page returns the next page, due at an instant of the run.
func (c *Crowd) Page(at time.Duration) Page {
	var requests []Request
	if c.rng.Float64() < c.model.Bots {
		requests = c.botPage()
	} else {
		s, product := c.step()
		requests = c.shopperPage(s, c.flashed(product, at))
	}
	return Page{requests, c.rng.Float64() < c.model.DoubleFire}
}

// session is one shopper's visit.
type session struct {
	id, user string
	next     float64 // when its next page is due in the crowd's own time, in seconds
	left     int     // pages
	seen     []string
}

func (c *Crowd) begin(now float64) *session {
	c.begun++
	s := &session{
		id:   "s" + strconv.FormatUint(c.model.Seed, 36) + "-" + strconv.Itoa(c.begun),
		next: now + c.model.Gap.Draw(c.rng),
		left: int(c.model.Length.Draw(c.rng) + 0.5),
	}
	if c.rng.Float64() < c.model.LoggedIn {
		s.user = "u" + strconv.Itoa(1+c.rng.IntN(100_000))
	}
	return s
}

// step moves the session whose page is due next, and returns it with the product of
// its page, "" when the page is of another kind.
func (c *Crowd) step() (session, string) {
	s := c.queue[0]
	product := ""
	if c.rng.Float64() < c.model.ProductPages {
		product = c.choose(s)
	}
	was := *s
	if s.left--; s.left <= 0 {
		c.queue[0] = c.begin(s.next)
	} else {
		s.next += c.model.Gap.Draw(c.rng)
	}
	c.queue.sink(0)
	return was, product
}

// maxSeen bounds what a session goes back to.
const maxSeen = 50

// choose returns a product for a session and remembers it.
func (c *Crowd) choose(s *session) string {
	if n := len(s.seen); n > 0 && c.rng.Float64() < c.model.Repeat {
		back := 0
		for back < n-1 && c.rng.IntN(2) == 0 { // the last one most likely, each before half as likely
			back++
		}
		return s.seen[n-1-back]
	}
	product := c.popular()
	if len(s.seen) == maxSeen {
		s.seen = append(s.seen[:0], s.seen[1:]...)
	}
	s.seen = append(s.seen, product)
	return product
}

func (c *Crowd) popular() string {
	at := c.rng.Float64() * c.cumulated[len(c.cumulated)-1]
	return c.catalogue.IDs()[sort.SearchFloat64s(c.cumulated, at)]
}

func (c *Crowd) flashed(product string, at time.Duration) string {
	m := c.model
	if product != "" && at >= m.FlashFrom && at < m.FlashTo && c.rng.Float64() < m.Flash {
		return c.flash
	}
	return product
}

func (c *Crowd) botPage() []Request {
	c.bots++
	s := session{id: "b" + strconv.FormatUint(c.model.Seed, 36) + "-" + strconv.Itoa(c.bots)}
	product := ""
	if c.rng.Float64() < c.model.ProductPages {
		product = c.catalogue.IDs()[c.rng.IntN(len(c.catalogue.IDs()))]
	}
	requests := c.shopperPage(s, product)
	for i := range requests {
		requests[i].Bot = true
	}
	return requests
}

// shopperPage returns the requests of a page.
func (c *Crowd) shopperPage(s session, product string) []Request {
	m := c.model
	shelf := Request{Session: s.id, User: s.user, Type: customShelf, Limit: m.Limit, Native: c.native(c.catalogue.BestSellers())}
	if product != "" {
		p, _ := c.catalogue.Product(product)
		category, _ := c.catalogue.Category(p.Category)
		return []Request{
			{Session: s.id, User: s.user, Type: productView, ID: product, Limit: m.Limit, Native: c.native(category.Products)},
			{Session: s.id, User: s.user, Type: shopTheLook, ID: product, Limit: m.Limit},
			shelf,
		}
	}
	if c.rng.Float64() < m.Home {
		return []Request{shelf}
	}
	p, _ := c.catalogue.Product(c.popular())
	category, _ := c.catalogue.Category(p.Category)
	return []Request{{Session: s.id, User: s.user, Type: categoryView, ID: p.Category, Native: c.native(category.Products)}}
}

func (c *Crowd) native(order []string) []string { return order[:min(len(order), c.model.Native)] }

// sessions is a binary heap, the earliest next page first. It never grows: a session
// that ends makes room for the next.
type sessions []*session

// sink moves a session down to where it belongs.
func (q sessions) sink(i int) {
	for {
		first := 2*i + 1
		if first >= len(q) {
			return
		}
		if second := first + 1; second < len(q) && q[second].next < q[first].next {
			first = second
		}
		if q[i].next <= q[first].next {
			return
		}
		q[i], q[first] = q[first], q[i]
		i = first
	}
}

// Requests yields what a crowd asks when its pages come at the given instants, in the
// order of time.
func (c *Crowd) Requests(pages iter.Seq[time.Duration]) iter.Seq[load.Due[Request]] {
	return func(yield func(load.Due[Request]) bool) {
		var waiting []load.Due[Request] // in order; later than the page at hand only if fired twice
		for at := range pages {
			for len(waiting) > 0 && waiting[0].At <= at {
				if !yield(waiting[0]) {
					return
				}
				waiting = waiting[1:]
			}
			waiting = c.schedule(waiting, c.Page(at), at)
		}
		for _, d := range waiting {
			if !yield(d) {
				return
			}
		}
	}
}

// schedule inserts a page's requests, and their second shots, where they are due.
func (c *Crowd) schedule(waiting []load.Due[Request], page Page, at time.Duration) []load.Due[Request] {
	insert := func(due time.Duration, r Request) {
		i := sort.Search(len(waiting), func(i int) bool { return waiting[i].At > due })
		waiting = slices.Insert(waiting, i, load.Due[Request]{At: due, What: r})
	}
	for _, r := range page.Requests {
		insert(at, r)
		if page.Double {
			insert(at+time.Duration(c.rng.Float64()*float64(c.model.DoubleWithin)), r)
		}
	}
	return waiting
}
