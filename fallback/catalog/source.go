package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"vitrine/internal/secret"
)

// source is where the feed comes from.
type source interface {
	// open returns the feed if it has changed since the edition that was had before,
	// else errUnchanged. The zero edition is none.
	open(ctx context.Context, had edition) (io.ReadCloser, edition, error)
}

// edition tells one state of the feed from another.
type edition struct {
	time time.Time // the feed's own; zero if it does not say
	file bool
	size int64  // of a file
	etag string // of a URL
	last string // its Last-Modified, as it was sent
}

var errUnchanged = errors.New("the feed has not changed")

func newSource(o Options) source {
	switch {
	case o.File != "":
		return fileSource(o.File)
	case o.URL != "":
		return newURLSource(o)
	default:
		return nil
	}
}

type fileSource string

func (path fileSource) open(_ context.Context, had edition) (io.ReadCloser, edition, error) {
	f, err := os.Open(string(path))
	if err != nil {
		return nil, edition{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", string(path))
	}
	if err != nil {
		_ = f.Close()
		return nil, edition{}, err
	}
	now := edition{file: true, time: info.ModTime(), size: info.Size()}
	if now == had {
		_ = f.Close()
		return nil, edition{}, errUnchanged
	}
	return f, now, nil
}

type urlSource struct {
	url     string
	headers map[string]string
	client  *http.Client
}

func newURLSource(o Options) *urlSource {
	return &urlSource{url: o.URL, headers: o.Headers, client: &http.Client{
		// One request every few minutes is not worth a connection that stays open.
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DisableKeepAlives:     true,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: time.Minute,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			switch {
			case len(via) >= 5:
				return errors.New("more than 5 redirects")
			case len(o.Headers) > 0 && (next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme):
				return errors.New("redirected to another host, which must not see the headers")
			}
			return nil
		},
	}}
}

func (u *urlSource) open(ctx context.Context, had edition) (io.ReadCloser, edition, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, http.NoBody)
	if err != nil {
		return nil, edition{}, err
	}
	for name, configured := range u.headers {
		value, err := secret.Resolve(configured)
		if err != nil {
			return nil, edition{}, fmt.Errorf("header %s: %w", name, err)
		}
		req.Header.Set(name, value)
	}
	if had.etag != "" {
		req.Header.Set("If-None-Match", had.etag)
	}
	if had.last != "" {
		req.Header.Set("If-Modified-Since", had.last)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, edition{}, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusNotModified && had != (edition{}) {
			return nil, edition{}, errUnchanged
		}
		return nil, edition{}, fmt.Errorf("the feed's server answered %s", resp.Status)
	}
	now := edition{etag: resp.Header.Get("ETag"), last: resp.Header.Get("Last-Modified")}
	if at, err := http.ParseTime(now.last); err == nil {
		now.time = at
	}
	return resp.Body, now, nil
}
