package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

const (
	// A batch that the collector cannot take now is tried again after a pause that doubles, with
	// jitter, or as long as the collector asks for; then it is dropped. The queue fills meanwhile.
	maxTries   = 5
	pauseLeast = time.Second
	pauseMost  = 30 * time.Second

	// flushGrace is for what is left when the process ends, all posts together.
	flushGrace = 500 * time.Millisecond

	// maxAnswer bounds what is read of an answer, in bytes, so that its connection can be used again.
	maxAnswer = 64 << 10
)

// Run sends spans until ctx ends, then what is left, for half a second at most, and returns nil.
func (t *Tracer) Run(ctx context.Context) error {
	defer t.client.CloseIdleConnections()
	tick := time.NewTicker(batchEvery)
	defer tick.Stop()
	batch := make([]*Span, 0, maxBatch)
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) < maxBatch {
				continue
			}
		case <-tick.C:
		case <-ctx.Done():
			t.flush(batch)
			return nil
		}
		if !t.export(ctx, batch) {
			t.flush(batch)
			return nil
		}
		clear(batch) // it keeps no span from being collected
		batch = batch[:0]
	}
}

// flush sends, or drops, what there is.
func (t *Tracer) flush(batch []*Span) {
	ctx, cancel := context.WithTimeout(context.Background(), flushGrace)
	defer cancel()
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) < maxBatch {
				continue
			}
		default:
		}
		if len(batch) == 0 {
			return
		}
		if _, err := t.post(ctx, batch); err != nil {
			t.drop(batch, err)
		}
		batch = batch[:0]
	}
}

// export sends a batch, or gives it up after several tries. It reports false if ctx ended first.
func (t *Tracer) export(ctx context.Context, batch []*Span) (done bool) {
	if len(batch) == 0 {
		return true
	}
	for try := range maxTries {
		pause, err := t.post(ctx, batch)
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case pause < 0 || try == maxTries-1:
			t.drop(batch, err)
			return true
		}
		t.opt.Log.Warn("the collector does not take traces now; they are tried again", "error", err)
		longest := min(pauseLeast<<try, pauseMost)
		timer := time.NewTimer(max(pause, longest/2+rand.N(longest/2)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
	return true
}

func (t *Tracer) drop(batch []*Span, err error) {
	t.dropped.Add(uint64(len(batch)))
	t.opt.Log.Warn("traces are dropped: the collector does not take them", "spans", len(batch), "error", err)
}

// never says that what was refused is not to be sent again.
const never = time.Duration(-1)

// post sends a batch once. With an error it says after what pause, at least, the same may be tried
// again, or never.
func (t *Tracer) post(ctx context.Context, batch []*Span) (pause time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.opt.URL, bytes.NewReader(t.encode(batch)))
	if err != nil {
		return never, errors.New("the collector's address makes no request") // err would quote it
	}
	for name, value := range t.opt.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", scope+"/"+t.opt.Version)
	answer, err := t.client.Do(r)
	if e, ok := errors.AsType[*url.Error](err); ok {
		return 0, fmt.Errorf("posting traces: %w", e.Err) // without the address, which may carry a password
	}
	if err != nil {
		return 0, fmt.Errorf("posting traces: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)) // for the connection's sake
	_ = answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		t.exported.Add(uint64(len(batch)))
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		pause, _ := time.ParseDuration(answer.Header.Get("Retry-After") + "s") // a date is as good as none
		return min(max(pause, 0), pauseMost), fmt.Errorf("posting traces: status %d", answer.StatusCode)
	default:
		return never, fmt.Errorf("posting traces: status %d", answer.StatusCode)
	}
}
