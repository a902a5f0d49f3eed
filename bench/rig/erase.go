package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrNotEverywhere says that an erase has to be asked for again: Redis did not hear of it.
var ErrNotEverywhere = errors.New("perhaps not erased everywhere")

// Erase removes what is known of a session, as an operator does on the admin listener.
func (s *Sidecar) Erase(ctx context.Context, session string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, "http://"+s.admin+"/sessions/"+url.PathEscape(session), http.NoBody)
	if err != nil {
		return err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return fmt.Errorf("erasing a session: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	switch {
	case response.StatusCode == http.StatusServiceUnavailable:
		return ErrNotEverywhere
	case err != nil || response.StatusCode/100 != 2:
		return fmt.Errorf("erasing a session: %s: %s", response.Status, text)
	}
	return nil
}
