package fallback

import (
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
)

// descent is the way down from an answer, one rung a step.
type descent struct {
	*asking

	held  cache.Found // an older ranking of the API, if there is one
	taken int
}

func (s *descent) next() (Course, bool) {
	s.taken++
	switch {
	case s.taken == 1 && s.held.Status == cache.Stale:
		s.path.found(rungStale, s.held)
		return Course{Ranking: s.held.Ranking, Source: reco.FromStale}, true
	case s.taken <= 2:
		s.taken = 2
		return s.ordering(), true
	default:
		return Course{}, false
	}
}

func (s *descent) ordering() Course {
	course := s.native.course(s.deadline)
	s.path.native(s.native)
	return course
}

// native is the platform's own ordering for a request: the list the request brought,
// which is always right, else what the platform is known to show.
type native struct {
	own   []string
	asked Asked
	asks  bool
}

func (l *Ladder) askNative(req *reco.Request) native {
	n := native{own: req.Native}
	if len(req.Native) == 0 && l.opt.Natives != nil {
		n.asked, n.asks = l.opt.Natives.Ask(req.Event), true
	}
	return n
}

func (n native) course(deadline time.Time) Course {
	if !n.asks {
		return Course{Own: n.own, Source: reco.FromNative}
	}
	ranking, _, _ := n.asked.Wait(deadline)
	return Course{Ranking: ranking, Source: reco.FromNative}
}
