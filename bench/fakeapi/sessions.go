package fakeapi

import "sync"

// sessionsPerGeneration bounds the sessions remembered: between so many and twice as many.
const sessionsPerGeneration = 200_000

// sessions counts the events of each session, for cold starts. It remembers in two
// generations: when the young one is full, the old one is forgotten, and with it
// the sessions that did nothing meanwhile. Those start cold again.
type sessions struct {
	mu         sync.Mutex
	young, old map[string]int
}

// count counts one more event and returns how many there have been.
func (s *sessions) count(session string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.young[session]
	if !ok {
		n = s.old[session]
	}
	if s.young == nil || (!ok && len(s.young) >= sessionsPerGeneration) {
		s.old, s.young = s.young, make(map[string]int)
	}
	s.young[session] = n + 1
	return n + 1
}

func (s *sessions) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.young, s.old = nil, nil
}
