package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxPage is the most that is read of a page of the admin listener.
const maxPage = 64 << 20

// Collect makes the sidecar collect its garbage now: the heap profile of its admin
// listener does so when it is asked with gc=1.
func (s *Sidecar) Collect(ctx context.Context) error {
	_, err := s.Admin(ctx, "/debug/pprof/heap?gc=1")
	return err
}

// Profile is what the sidecar's processor time goes to, for so long from now.
func (s *Sidecar) Profile(ctx context.Context, length time.Duration) ([]byte, error) {
	return s.Admin(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(length.Seconds())))
}

// Admin fetches a page of the admin listener.
func (s *Sidecar) Admin(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request) // bounded by ctx: a profile takes its time
	if err != nil {
		return nil, fmt.Errorf("asking the admin listener: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", path, response.Status, body)
	}
	return body, err
}
