package cache

import "vitrine/internal/reco"

// Seal and Open are an envelope's two directions, for the law they obey.

func Seal(key [32]byte, e reco.Event, stamp int64, count uint32, r reco.Ranking) []byte {
	return newKeyring(key).seal(e, envelope{stamp: stamp, count: count, ranking: r})
}

func Open(key [32]byte, e reco.Event, raw []byte) (stamp int64, count uint32, r reco.Ranking, ok bool) {
	v, ok := newKeyring(key).open(e, string(raw))
	return v.stamp, v.count, v.ranking, ok
}

// RemoteNames are a session's key and a question's field in Redis.
func RemoteNames(key [32]byte, e reco.Event) (session, question string) {
	k := newKeyring(key)
	return k.session(e.Session).text(), k.question(e).text()
}

// OrderNames are a session's key and the field of the order an event was answered in.
func OrderNames(key [32]byte, e reco.Event) (session, field string) {
	k := newKeyring(key)
	return k.session(e.Session).text(), k.order(e).text()
}

// SealOrder and OpenOrder are a frozen order's two directions.

func SealOrder(key [32]byte, e reco.Event, stamp int64, o Order) []byte {
	return newKeyring(key).sealOrder(&order{Order: o, event: e, stamp: stamp})
}

func OpenOrder(key [32]byte, e reco.Event, raw []byte) (stamp int64, o Order, ok bool) {
	held, ok := newKeyring(key).openOrder(e, string(raw))
	if !ok {
		return 0, Order{}, false
	}
	return held.stamp, held.Order, true
}

// ReceiveErase is told what another pod has published.
func (c *Cache) ReceiveErase(message string) { c.receiveErase(message) }
