package delivery

import "time"

const (
	// Replay keeps all sends together below the larger of these, so that an API
	// just back from an outage is not thrown down again by the backlog.
	replayOverLive = 1.5 // times the last minute's rate of live events
	replayLeast    = 20  // events per second

	meterSeconds = 60
)

// pacer bounds how fast events are sent: all of them by the configured ceiling,
// replayed ones by what live traffic leaves. Its two buckets hold no more than a
// tenth of a second's sends, so that a pause is not made up for by a burst.
type pacer struct {
	ceiling float64 // events per second; 0 = none
	spare   float64 // sends the ceiling allows now
	credit  float64 // sends replay may make now; negative while live traffic takes all
	at      time.Duration

	accepted [meterSeconds]uint32 // live events, by second
	total    uint32               // of accepted
	second   int64                // the newest in accepted
}

// accept counts a live event.
func (p *pacer) accept(now time.Duration) {
	p.turn(now)
	p.accepted[p.second%meterSeconds]++
	p.total++
}

// turn clears the seconds that have gone by.
func (p *pacer) turn(now time.Duration) {
	second := int64(now / time.Second)
	for gone := 0; p.second < second && gone < meterSeconds; gone++ {
		p.second++
		p.total -= p.accepted[p.second%meterSeconds]
		p.accepted[p.second%meterSeconds] = 0
	}
	p.second = max(p.second, second) // who waited for the lock may be late
}

// liveRate is the rate of live events, per second, over the last minute or since the start.
func (p *pacer) liveRate(now time.Duration) float64 {
	p.turn(now)
	return float64(p.total) / min(max(now.Seconds(), 1), meterSeconds)
}

// refill adds what has accrued until now.
func (p *pacer) refill(now time.Duration) (replayRate float64) {
	replayRate = max(replayOverLive*p.liveRate(now), replayLeast)
	elapsed := (now - p.at).Seconds()
	p.at = now
	p.credit = min(p.credit+elapsed*replayRate, max(replayRate/10, 1))
	p.spare = min(p.spare+elapsed*p.ceiling, max(p.ceiling/10, 1))
	return replayRate
}

// sent counts a send of any kind.
func (p *pacer) sent(now time.Duration) {
	rate := p.refill(now)
	p.credit = max(p.credit-1, -rate)
	p.spare--
}

// may says whether an event, and whether a replayed one, may be sent now, and if
// not, how long until that may change.
func (p *pacer) may(now time.Duration) (send, replaying bool, wait time.Duration) {
	rate := p.refill(now)
	if p.ceiling > 0 && p.spare < 1 {
		return false, false, until(1-p.spare, p.ceiling)
	}
	if p.credit < 1 {
		return true, false, until(1-p.credit, rate)
	}
	return true, true, 0
}

func until(missing, rate float64) time.Duration {
	return time.Duration(missing/rate*float64(time.Second)) + time.Microsecond
}
