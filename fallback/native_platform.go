package fallback

import "time"

// shop is the platform that lists are fetched from. It is replaced as a whole.
type shop struct {
	platform  Platform // nil if there is none
	namespace string   // see NativeOptions.Namespace
}

// SetPlatform makes p the platform that is asked from now on, in place of
// NativeOptions.Platform, and namespace what tells its snapshots apart. What the one
// before has brought is shown until p has brought its own, which whoever asks for a
// list starts at once, back-off or not.
func (n *Natives) SetPlatform(p Platform, namespace string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shop.Store(&shop{p, namespace})
	for _, e := range n.entries {
		if e.place.source == fromPlatform {
			e.due, e.failures, e.polls = time.Time{}, 0, 0
		}
	}
	n.loads.signal()
	n.platform.signal()
}

// young reports whether s need not be fetched again yet. The platform's lists are old
// as soon as another one is asked.
func (n *Natives) young(s *snapshot, now time.Time) bool {
	return s != nil && s.from == n.shop.Load() && s.age(now) < n.opt.Refresh
}
