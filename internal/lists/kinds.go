package lists

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"vitrine/internal/reco"
)

// Kind is one of the vendor's read-only lists.
type Kind uint8

// The lists there are.
const (
	Similar      Kind = iota // products like one, for a session
	SalesRanking             // what sells best, in the shop or in a category
	Collections              // what a merchant has put together by hand
	Search                   // products that match a query
	numKinds
)

// String returns the name the configuration has for the list.
func (k Kind) String() string {
	switch k {
	case Similar:
		return "similar"
	case SalesRanking:
		return "sales_ranking"
	case Collections:
		return "collections"
	case Search:
		return "search"
	default:
		return "Kind(" + strconv.Itoa(int(k)) + ")"
	}
}

// row is all that sets one list apart from the others.
type row struct {
	method string
	path   string // the vendor's and ours; behind one that ends in a slash stands an id
	params []param

	// ask reads a request's body into what the API is asked; nil = it says nothing.
	ask func(q *question, body []byte) (problem string)
	// check reads the body of a 200.
	check func(body []byte) (checked, error)
	// personal answers are a session's: they stay out of Redis.
	personal bool
}

// byID reports whether an id is part of the list's path.
func (r *row) byID() bool { return strings.HasSuffix(r.path, "/") }

// param is a parameter of the query. read returns a value as the API is asked for it, or
// what is wrong with it.
type param struct {
	name string
	read func(value string) (canonical, problem string)
}

// The vendor documents no bounds. These are far above what a page shows, and keep what is
// made up from filling the memory.
const (
	mostLimit = 100
	mostPage  = 10_000
	mostQuery = 256 // bytes
)

// table is all of them.
func table() [numKinds]row {
	return [numKinds]row{
		Similar: {
			method: http.MethodPost, path: "/api/v1/products/protected/similar",
			params: []param{{"limit", number(mostLimit)}}, ask: askSimilar, check: checkProducts, personal: true,
		},
		SalesRanking: {
			method: http.MethodGet, path: "/api/v1/products/protected/sales-ranking",
			params: []param{{"categoryId", text(reco.MaxIDLength)}}, check: checkProducts,
		},
		Collections: {
			method: http.MethodGet, path: "/api/v1/merchandising-collections/protected/",
			check: checkCollection,
		},
		Search: {
			method: http.MethodPost, path: "/api/v1/products/protected/search",
			params: []param{{"page", number(mostPage)}, {"limit", number(mostLimit)}, {"query", text(mostQuery)}},
			ask:    askNothing, check: checkSearch,
		},
	}
}

func number(most int) func(string) (string, string) {
	return func(value string) (string, string) {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > most {
			return "", "must be a whole number from 1 to " + strconv.Itoa(most)
		}
		return strconv.Itoa(n), ""
	}
}

func text(most int) func(string) (string, string) {
	return func(value string) (string, string) {
		if len(value) > most || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return "", "must be at most " + strconv.Itoa(most) + " bytes of UTF-8 without control characters"
		}
		return value, ""
	}
}

// question is a request that has been understood: the same for all that ask the same.
type question struct {
	kind    Kind
	path    string // of the API, with the query
	body    []byte // nil if there is none
	session string // of a list that is one session's
	key     key
}

// understand reads what stands behind a list's path, in its query and in its body. The
// problem, if there is one, names the member and quotes nothing.
func (r *row) understand(k Kind, given Request) (q question, problem string) {
	q = question{kind: k, path: r.path}
	if r.byID() {
		id, problem := readID(strings.TrimPrefix(given.Path, r.path))
		if problem != "" {
			return q, "id: " + problem
		}
		q.path += url.PathEscape(id)
	}
	query, problem := r.readQuery(given.Query)
	if problem != "" {
		return q, problem
	}
	q.path += query
	if r.ask != nil {
		problem = r.ask(&q, given.Body)
	}
	return q, problem
}

func askSimilar(q *question, body []byte) (problem string) {
	s, err := reco.ParseSimilar(body)
	if err != nil {
		return err.Error()
	}
	q.session, q.body = s.Session, s.AppendJSON(nil)
	return ""
}

// askNothing takes a body that says nothing; {} does, as clients send it that always send
// JSON.
func askNothing(_ *question, body []byte) (problem string) {
	if text := strings.Join(strings.Fields(string(body)), ""); text != "" && text != "{}" {
		return "the body must be empty: what is asked for is in the query"
	}
	return ""
}

// readQuery returns the parameters in the order of the table, so that those who ask for
// the same in another order share an answer. What the list does not take is refused: left
// out in silence it might have been a filter.
func (r *row) readQuery(raw string) (canonical, problem string) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", "the query is malformed"
	}
	var asked []string
	for _, p := range r.params {
		given := values[p.name]
		if len(given) == 0 {
			continue
		}
		if len(given) > 1 {
			return "", p.name + ": must be given once"
		}
		value, problem := p.read(given[0])
		if problem != "" {
			return "", p.name + ": " + problem
		}
		asked = append(asked, p.name+"="+url.QueryEscape(value))
	}
	switch {
	case len(asked) < len(values):
		return "", "the query: has a parameter that this list does not take"
	case len(asked) == 0:
		return "", ""
	default:
		return "?" + strings.Join(asked, "&"), ""
	}
}

// readID decodes the rest of a path, which must be one part of it.
func readID(escaped string) (id, problem string) {
	id, err := url.PathUnescape(escaped)
	switch {
	case err != nil, id == "", id == ".", id == "..", strings.ContainsAny(id, `/\`):
		return "", "must be one part of the path"
	}
	return text(reco.MaxIDLength)(id)
}
