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

	// Own, if it is not nil, is the list in place of Ranking, as the request brought it:
	// with whatever it repeats.
	Own []string
}

func (c *Course) appendIDs(dst []string) []string {
	if c.Own != nil {
		return append(dst, c.Own...)
	}
	return c.Ranking.AppendIDs(dst)
}

// Job is a list to be dressed, and all that goes into it.
type Job struct {
	Request  *reco.Request
	Head     Course    // the list to start from
	At       time.Time // whose prices count
	MinItems int       // a shorter list is topped up; 0 = an empty one only

	// Native returns the native list that a request with Complete is completed from.
	// It is called only then; nil = there is none.
	Native func() Course

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

// remove notes a removal, unless t is nil. One id may be repeated in a request's own list.
func (t *Trace) remove(id string, source reco.Source, rule Rule, why string) {
	r := Removed{ID: id, Source: source, Rule: rule, Why: why}
	if t != nil && !slices.Contains(t.Removed, r) {
		t.Removed = append(t.Removed, r)
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
	shown    reco.List
	slots    []reco.Source       // of each id that is shown
	first    reco.Ranking        // the first list that gave any; often they all are its
	excluded map[string]struct{} // a long Exclude
	soldOut  int                 // ids that were left out because they are
	course   []string            // the ids of the list that is being added
}

const (
	fewExcluded = 8    // are compared one by one
	mostKept    = 1024 // ids of a dressing that is worth keeping for the next list
)

func (g *dressing) dress(rules *Rules, job *Job) Dressed {
	req := job.Request
	if len(req.Exclude) > fewExcluded {
		g.excluded = make(map[string]struct{}, len(req.Exclude))
		for _, id := range req.Exclude {
			g.excluded[id] = struct{}{}
		}
	}
	g.add(rules, job, job.Head)
	dressed := Dressed{OutOfStock: g.soldOut > 0 && g.shown.Len() == 0}
	if req.Complete && job.Native != nil {
		g.add(rules, job, job.Native())
	}
	own := g.shown.Len()
	g.topUp(rules, job)
	g.cut(req.Limit, job.Trace)
	dressed.ToppedUp = own > 0 && g.shown.Len() > own
	if g.shown.Len() > 0 {
		dressed.Source = g.slots[0]
	} else {
		dressed.OutOfStock = g.soldOut > 0
	}
	if dressed.Ranking = g.first; !g.shows(dressed.Ranking) {
		dressed.Ranking = g.shown.Ranking()
	}
	if job.Trace != nil {
		job.Trace.Slots = slices.Clone(g.slots)
	}
	return dressed
}

// add appends what may be shown of a list.
func (g *dressing) add(rules *Rules, job *Job, c Course) {
	first := g.shown.Len() == 0
	if first {
		g.first = c.Ranking
	}
	distinct := first && c.Own == nil // none is looked for among the others
	g.course = c.appendIDs(g.course[:0])
	list, soldOut := rules.Keep(job.Request.Type, c.Source, job.At, g.course, job.Trace)
	g.soldOut += soldOut
	for _, id := range list {
		switch rule := g.barred(job.Request, id); {
		case rule != kept:
			job.Trace.remove(id, c.Source, rule, "")
			continue
		case distinct:
			g.shown.Append(id)
		case !g.shown.Add(id): // it is shown, further up: nothing is taken from anybody
			continue
		}
		g.slots = append(g.slots, c.Source)
	}
}

// topUp adds lower rungs until there are enough products, or no more rungs.
func (g *dressing) topUp(rules *Rules, job *Job) {
	want := max(1, job.MinItems)
	if limit := job.Request.Limit; limit > 0 {
		want = min(want, limit)
	}
	for g.shown.Len() < want && job.Next != nil {
		course, ok := job.Next()
		if !ok {
			return
		}
		g.add(rules, job, course)
	}
}

// cut holds the list to the limit, if there is one.
func (g *dressing) cut(limit int, trace *Trace) {
	if limit == 0 || g.shown.Len() <= limit {
		return
	}
	for i, id := range g.shown.IDs()[limit:] {
		trace.remove(id, g.slots[limit+i], RuleLimit, "")
	}
	g.shown.Cut(limit)
	g.slots = g.slots[:limit]
}

// barred returns why an id may not be added, kept if it may.
func (g *dressing) barred(req *reco.Request, id string) Rule {
	if req.Type.ViewsProduct() && id == req.Item {
		return RuleViewed
	}
	var excluded bool
	if g.excluded != nil {
		_, excluded = g.excluded[id]
	} else {
		excluded = slices.Contains(req.Exclude, id)
	}
	if excluded {
		return RuleExcluded
	}
	return kept
}

// shows reports whether what is shown is a ranking, unchanged.
func (g *dressing) shows(r reco.Ranking) bool {
	ids, n := g.shown.IDs(), 0
	for id := range r.All {
		if n >= len(ids) || ids[n] != id {
			return false
		}
		n++
	}
	return n == len(ids)
}

// reset lets go of the list's memory, and reports whether g is small enough to be
// kept.
func (g *dressing) reset() bool {
	if g.shown.Len() > mostKept || len(g.course) > mostKept {
		return false
	}
	g.shown.Reset()
	clear(g.course[:cap(g.course)])
	g.course, g.slots, g.first, g.excluded, g.soldOut = g.course[:0], g.slots[:0], reco.Ranking{}, nil, 0
	return true
}
