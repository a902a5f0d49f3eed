package fallback

import (
	"slices"
	"sync"
	"time"

	"vitrine/internal/reco"
)

// Course is a list and where it came from.
type Course struct {
	Ranking reco.Ranking
	Source  reco.Source
}

// Job is a list to be dressed, and all that goes into it.
type Job struct {
	Request  *reco.Request
	Head     Course    // the list to start from
	At       time.Time // whose prices count
	MinItems int       // a shorter list is topped up; 0 = an empty one only

	// Native returns the native list that a request with Complete is completed from.
	// It is called only then; nil = there is none.
	Native func() reco.Ranking

	// Next returns the next lower rung, and false when there is none. It is called
	// only while the list is too short; nil = there is none.
	Next func() (Course, bool)

	// Trace, unless it is nil, is told what was removed and where each id came from.
	Trace *Trace
}

// Dressed is a list that may be shown.
type Dressed struct {
	Ranking reco.Ranking
	Source  reco.Source // of its first product; FromNone if it is empty

	// ToppedUp says that products of a lower rung follow those of Source, because
	// there were fewer than MinItems.
	ToppedUp bool

	// OutOfStock says that none of Head's products was left, or none of any list's,
	// and that some of them are sold out.
	OutOfStock bool
}

// Trace remembers what dressing a list did, for those who ask why.
type Trace struct {
	Removed []Removed
	Slots   []reco.Source // of each product of the dressed list
}

// Removed is a product that was taken out of a list.
type Removed struct {
	ID     string
	Source reco.Source // of the list
	Rule   Rule
	Why    string // the facts, such as "2 in stock"; "" if the rule says it all
}

// remove notes a removal, unless t is nil.
func (t *Trace) remove(id string, source reco.Source, rule Rule, why string) {
	if t != nil {
		t.Removed = append(t.Removed, Removed{ID: id, Source: source, Rule: rule, Why: why})
	}
}

// Dresser makes lists fit to be shown. Every list of every source goes through
// it, in the order of the contract: stock and rules, exclusions, duplicates, the
// viewed product, completion, topping up, and the limit last.
type Dresser struct {
	rules *Rules
	spare sync.Pool // of *dressing
}

// NewDresser makes a dresser that asks the rules; nil rules keep everything.
func NewDresser(rules *Rules) *Dresser {
	return &Dresser{rules: rules}
}

// Dress returns the list to show for a job. A list that needs no change is
// returned as it is, at no cost.
func (d *Dresser) Dress(job *Job) Dressed {
	if d.fits(job) {
		job.Trace.slots(job.Head.Source, job.Head.Ranking)
		return Dressed{Ranking: job.Head.Ranking, Source: job.Head.Source}
	}
	g, ok := d.spare.Get().(*dressing)
	if !ok {
		g = new(dressing)
	}
	dressed := g.dress(d.rules, job)
	if g.reset() {
		d.spare.Put(g)
	}
	return dressed
}

// fits reports, without looking at the rules, whether nothing can be wrong with
// the head's list. It takes no longer for a long list than for a short one, unless
// something asks for its length: the API's rankings come without the viewed product,
// since delivery has taken it out before anybody kept them.
func (d *Dresser) fits(job *Job) bool {
	req, list := job.Request, job.Head.Ranking
	switch {
	case d.rules.Active(), len(req.Exclude) > 0, req.Complete, list.Empty():
		return false
	case job.Head.Source == reco.FromNative && req.Type.ViewsProduct():
		return false
	case job.MinItems <= 1 && req.Limit == 0:
		return true
	default:
		n := list.Len()
		return n >= job.MinItems && (req.Limit == 0 || n <= req.Limit)
	}
}

// slots notes that every product of a list came from one source.
func (t *Trace) slots(source reco.Source, ranking reco.Ranking) {
	if t != nil {
		t.Slots = slices.Repeat([]reco.Source{source}, ranking.Len())
	}
}

// dressing is a list at work. It is used again and again.
type dressing struct {
	ids     []string
	slots   []reco.Source   // of each id
	first   reco.Ranking    // the first list that gave any; often they all are its
	gone    map[string]Rule // ids that are not taken, beside those of a short Exclude
	soldOut int             // ids that were left out because they are
}

const (
	fewExcluded = 8    // are compared one by one
	mostKept    = 1024 // ids of a dressing that is worth keeping for the next list
)

func (g *dressing) dress(rules *Rules, job *Job) Dressed {
	req := job.Request
	if len(req.Exclude) > fewExcluded {
		g.bar(req.Exclude, RuleExcluded)
	}
	g.add(rules, job, job.Head)
	dressed := Dressed{OutOfStock: g.soldOut > 0 && len(g.ids) == 0}
	if req.Complete && job.Native != nil {
		g.add(rules, job, Course{Ranking: job.Native(), Source: reco.FromNative})
	}
	own := len(g.ids)
	g.topUp(rules, job)
	g.cut(req.Limit, job.Trace)
	dressed.ToppedUp = own > 0 && len(g.ids) > own
	if len(g.ids) > 0 {
		dressed.Source = g.slots[0]
	} else {
		dressed.OutOfStock = g.soldOut > 0
	}
	if dressed.Ranking = g.first; !g.is(dressed.Ranking) {
		dressed.Ranking = reco.NewRanking(g.ids)
	}
	if job.Trace != nil {
		job.Trace.Slots = slices.Clone(g.slots)
	}
	return dressed
}

// add appends what may be shown of a list.
func (g *dressing) add(rules *Rules, job *Job, c Course) {
	g.bar(g.ids, ruleRepeated)
	req, start := job.Request, len(g.ids)
	if start == 0 {
		g.first = c.Ranking
	}
	g.ids = c.Ranking.AppendIDs(g.ids)
	list, soldOut := rules.Keep(req.Type, c.Source, job.At, g.ids[start:], job.Trace)
	g.soldOut += soldOut
	g.ids = g.ids[:start]
	for _, id := range list {
		switch rule := g.barred(req, id); rule {
		case kept:
			g.ids = append(g.ids, id)
			g.slots = append(g.slots, c.Source)
		case ruleRepeated: // it is shown, further up: nothing was taken from anybody
		default:
			job.Trace.remove(id, c.Source, rule, "")
		}
	}
}

// topUp adds lower rungs until there are enough products, or no more rungs.
func (g *dressing) topUp(rules *Rules, job *Job) {
	want := max(1, job.MinItems)
	if limit := job.Request.Limit; limit > 0 {
		want = min(want, limit)
	}
	for len(g.ids) < want && job.Next != nil {
		course, ok := job.Next()
		if !ok {
			return
		}
		g.add(rules, job, course)
	}
}

// cut holds the list to the limit, if there is one.
func (g *dressing) cut(limit int, trace *Trace) {
	if limit == 0 || len(g.ids) <= limit {
		return
	}
	for i, id := range g.ids[limit:] {
		trace.remove(id, g.slots[limit+i], RuleLimit, "")
	}
	clear(g.ids[limit:])
	g.ids, g.slots = g.ids[:limit], g.slots[:limit]
}

// bar keeps ids from being added.
func (g *dressing) bar(ids []string, why Rule) {
	if g.gone == nil && len(ids) > 0 {
		g.gone = make(map[string]Rule, 2*len(ids))
	}
	for _, id := range ids {
		g.gone[id] = why
	}
}

// barred returns why an id may not be added, kept if it may.
func (g *dressing) barred(req *reco.Request, id string) Rule {
	switch {
	case req.Type.ViewsProduct() && id == req.Item:
		return RuleViewed
	case len(req.Exclude) <= fewExcluded && slices.Contains(req.Exclude, id):
		return RuleExcluded
	default:
		return g.gone[id]
	}
}

// is reports whether the list is a ranking, unchanged.
func (g *dressing) is(r reco.Ranking) bool {
	n := 0
	for id := range r.All {
		if n >= len(g.ids) || g.ids[n] != id {
			return false
		}
		n++
	}
	return n == len(g.ids)
}

// reset lets go of the list's memory, and reports whether g is small enough to be
// kept.
func (g *dressing) reset() bool {
	if cap(g.ids) > mostKept || len(g.gone) > mostKept {
		return false
	}
	clear(g.ids[:cap(g.ids)])
	clear(g.gone)
	g.ids, g.slots, g.first, g.soldOut = g.ids[:0], g.slots[:0], reco.Ranking{}, 0
	return true
}
