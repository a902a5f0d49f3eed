package reco

import (
	"strconv"
	"time"
)

// Request is an event and how its caller wants it answered.
type Request struct {
	Event
	Options
}

// Options is the request's member vitrine, which is never sent on. The zero
// value asks for nothing in particular.
type Options struct {
	Native   []string      // the platform's own ordering for this place; may hold duplicates
	Exclude  []string      // ids to leave out
	Limit    int           // at most so many ids; 0 = all
	Budget   time.Duration // longest wait; 0 = the configured one
	Page     Page          //
	Complete bool          // append the native ids that the ranking lacks
	Bot      bool          // no person is asking: answer natively, send no event
}

// Page is a part of a long ranking: Number counts from 1, and a Size of 0 means
// the whole.
type Page struct {
	Size, Number int
}

// Pageful is the body of POST /v1/page: all the events one page fires.
type Pageful struct {
	Requests []Request
	Budget   time.Duration // for the page as a whole; 0 = the configured one
}

// Stock is how many units of a product there are now.
type Stock struct {
	ID       string
	Quantity int
}

const (
	maxPageful = 8       // events of one page
	maxInt     = 1 << 40 // integers beyond it are cut to it: far above any honest one, far below an overflow
)

// ParseRequest reads the body of the recommendation path. What it returns shares
// one copy of body. The error is a [*SyntaxError].
func ParseRequest(body []byte) (Request, error) {
	r := reader{s: string(body)}
	req := r.request()
	r.end()
	if r.err != nil {
		return Request{}, r.err
	}
	return req, nil
}

// ParseEvent reads an event from the body [Event.AppendJSON] made of it.
func ParseEvent(body []byte) (Event, error) {
	req, err := ParseRequest(body)
	return req.Event, err
}

// ParsePageful reads the body of POST /v1/page. One bad event refuses them all;
// the error, a [*SyntaxError], names it.
func ParsePageful(body []byte) (Pageful, error) {
	r := reader{s: string(body)}
	var p Pageful
	found := false
	for m := r.object(); m.next(); {
		switch m.name {
		case "events":
			found = true
			for e := r.array(); e.next(); {
				if e.n > maxPageful {
					r.fail("more than " + strconv.Itoa(maxPageful) + " events")
				}
				p.Requests = append(p.Requests, r.request())
			}
		case "budgetMs":
			p.Budget = r.milliseconds()
		default:
			r.skip()
		}
	}
	r.end()
	switch {
	case r.err != nil:
		return Pageful{}, r.err
	case !found:
		return Pageful{}, &SyntaxError{Member: "events", Detail: "is required"}
	case len(p.Requests) == 0:
		return Pageful{}, &SyntaxError{Member: "events", Detail: "must hold at least one event"}
	}
	return p, nil
}

// ParseStock reads the body of POST /v1/stock. The error is a [*SyntaxError].
func ParseStock(body []byte) ([]Stock, error) {
	r := reader{s: string(body)}
	var all []Stock
	for e := r.array(); e.next(); {
		all = append(all, r.stock())
	}
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return all, nil
}

func (r *reader) stock() (s Stock) {
	quantity := false
	for m := r.object(); m.next(); {
		switch m.name {
		case "id":
			s.ID = r.bounded(r.id())
		case "quantity":
			quantity = true
			s.Quantity = r.integer(0)
		default:
			r.skip()
		}
	}
	switch {
	case s.ID == "":
		r.failAt("id", "is required and must not be empty")
	case !quantity:
		r.failAt("quantity", "is required")
	}
	return s
}

// request reads one event with its options, and holds it against the contract.
func (r *reader) request() (req Request) {
	hasType, hasItem := false, false
	for m := r.object(); m.next(); {
		switch m.name {
		case "userId":
			req.User = r.userID()
		case "sessionId":
			req.Session = r.bounded(r.str())
		case "eventType":
			hasType = true
			req.Type = r.eventType()
		case "data":
			req.Item, hasItem = r.data()
		case "vitrine":
			req.Options = r.options()
		default:
			r.skip()
		}
	}
	switch {
	case r.err != nil:
	case req.Session == "":
		r.failAt("sessionId", "is required and must be a non-empty string")
	case !hasType:
		r.failAt("eventType", "is required")
	case !hasItem:
		r.failAt("data.id", "is required")
	case req.Item == "" && req.Type != CustomShelf:
		r.failAt("data.id", "must not be empty for "+req.Type.String())
	case req.Item != "" && req.Type == CustomShelf:
		r.failAt("data.id", "must be empty for customShelf")
	}
	return req
}

func (r *reader) eventType() EventType {
	name := r.str()
	if r.err != nil {
		return 0
	}
	t, ok := ParseEventType(name)
	if !ok {
		r.fail("must be one of productView, categoryView, shopTheLook, customShelf")
	}
	return t
}

// userID reads a string, a number as it is written, or null.
func (r *reader) userID() string {
	if r.err != nil {
		return ""
	}
	switch c := r.peek(); {
	case c == 'n':
		r.null()
		return ""
	case c == '"':
		return r.str()
	case c == '-' || c-'0' <= 9:
		literal, _ := r.number()
		return literal
	default:
		r.fail("must be a string, a number or null")
		return ""
	}
}

// data reads the event's data, of which only the id is kept.
func (r *reader) data() (id string, found bool) {
	for m := r.object(); m.next(); {
		if m.name != "id" {
			r.skip()
			continue
		}
		found = true
		id = r.bounded(r.id())
	}
	return id, found
}

func (r *reader) bounded(id string) string {
	if len(id) > MaxIDLength {
		r.fail("is longer than " + strconv.Itoa(MaxIDLength) + " bytes")
	}
	return id
}

// id reads a string, or an integer as it is written.
func (r *reader) id() string {
	if r.err != nil {
		return ""
	}
	switch c := r.peek(); {
	case c == '"':
		return r.str()
	case c == '-' || c-'0' <= 9:
		literal, integer := r.number()
		if !integer {
			r.fail("must be a string or an integer, not a fraction or an exponent")
		}
		return literal
	default:
		r.fail("must be a string or an integer")
		return ""
	}
}

func (r *reader) options() (o Options) {
	if r.null() {
		return o
	}
	for m := r.object(); m.next(); {
		if r.null() {
			continue // a null member is an absent one
		}
		switch m.name {
		case "native":
			o.Native = r.ids()
		case "exclude":
			o.Exclude = r.ids()
		case "limit":
			o.Limit = r.integer(1)
		case "budgetMs":
			o.Budget = r.milliseconds()
		case "complete":
			o.Complete = r.boolean()
		case "bot":
			o.Bot = r.boolean()
		case "page":
			o.Page = r.page()
		default:
			r.skip()
		}
	}
	return o
}

func (r *reader) page() Page {
	var p Page
	for m := r.object(); m.next(); {
		switch m.name {
		case "size":
			p.Size = r.integer(1)
		case "number":
			p.Number = r.integer(1)
		default:
			r.skip()
		}
	}
	switch {
	case p.Size == 0:
		r.failAt("size", "is required")
	case p.Number == 0:
		p.Number = 1
	}
	return p
}

// milliseconds reads a time of at least one millisecond.
func (r *reader) milliseconds() time.Duration {
	return time.Duration(min(r.integer(1), int(time.Hour/time.Millisecond))) * time.Millisecond
}

// integer reads an integer literal of at least least, cut to maxInt.
func (r *reader) integer(least int) int {
	if r.err != nil {
		return 0
	}
	if c := r.peek(); c != '-' && c-'0' > 9 {
		r.fail("must be an integer")
		return 0
	}
	literal, integer := r.number()
	if !integer {
		r.fail("must be an integer")
		return 0
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil {
		n = maxInt
		if literal[0] == '-' {
			n = -maxInt
		}
	}
	if n < int64(least) {
		r.fail("must be at least " + strconv.Itoa(least))
		return 0
	}
	return int(min(n, maxInt))
}

const (
	usualID = 24   // bytes that an id takes in a list, with its quotes and comma
	manyIDs = 1024 // room for more is made when they are there
)

// ids reads a caller's list of strings and integers, which may hold gaps: nulls and empty
// ids are skipped.
func (r *reader) ids() []string {
	var ids []string
	for e := r.array(); e.next(); {
		if r.null() {
			continue
		}
		if id := r.id(); id != "" {
			if ids == nil {
				ids = make([]string, 0, min(1+(len(r.s)-r.i)/usualID, manyIDs))
			}
			ids = append(ids, id)
		}
	}
	return ids
}
