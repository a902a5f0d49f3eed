package platform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vitrine/internal/secret"
)

// Client asks one platform. It is safe for concurrent use.
type Client struct {
	opt    Options
	preset Preset // with the options on top
	vars   map[string]value
	http   *http.Client
	quota  *quota
}

// New returns a client, or what is wrong with the options.
func New(o Options) (*Client, error) {
	preset, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: o.Timeout}).DialContext,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: o.Timeout,
			MaxConnsPerHost:     8,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		}
	}
	return &Client{
		opt:    o,
		preset: preset,
		vars:   o.values(preset),
		http:   &http.Client{Transport: o.Transport, CheckRedirect: stay},
		quota:  newQuota(preset.Rate, preset.Daily),
	}, nil
}

// Replace returns a client with other options that goes on with today's count of requests,
// or what is wrong with the options. c can still be used, for what is under way.
func (c *Client) Replace(o Options) (*Client, error) {
	next, err := New(o)
	if err != nil {
		return nil, err
	}
	next.quota.goOnWith(c.quota)
	return next, nil
}

// stay follows no redirect: it would take our headers to a host nobody configured.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Serves tells whether the platform has lists of this kind.
func (c *Client) Serves(list List) bool {
	_, has := c.preset.Lists[list]
	return has
}

// Quota tells what may be asked for now.
func (c *Client) Quota() Quota { return c.quota.state() }

// Fingerprint tells apart what different configurations would fetch: two clients
// with the same one ask the same platform the same questions. A secret read from a
// file is in it by the file's name only.
func (c *Client) Fingerprint() string {
	text, err := json.Marshal([]any{c.opt.Kind, c.opt.Headers, c.opt.Vars, c.preset.Lists, c.opt.Pages})
	if err != nil {
		panic(err) // strings, numbers and maps of them
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Fetch asks for a list, page after page. It waits for the quota before each
// request, so ctx should have an end. The error is an [*Error].
func (c *Client) Fetch(ctx context.Context, q Query) (Result, error) {
	recipe, err := c.recipeFor(q)
	if err != nil {
		return Result{}, err
	}
	s := scope{id: q.ID, size: recipe.Paging.Size}
	if s.vars, err = c.secretVars(); err != nil {
		return Result{}, &Error{Kind: Refused, Err: err}
	}
	pages := c.pages(recipe.Paging)
	var all Result
	seen := make(map[string]struct{})
	for s.page = 1; ; s.page++ {
		got, validators, err := c.page(ctx, recipe, s, q.Seen)
		switch {
		case errors.Is(err, errNotModified):
			return Result{Validators: q.Seen, NotModified: true}, nil
		case KindOf(err) == NotFound && s.page > 1:
			return all, nil // beyond the end
		case err != nil:
			return Result{}, err
		}
		for _, id := range got.ids {
			if _, twice := seen[id]; !twice && len(all.IDs) < maxIDs {
				seen[id] = struct{}{}
				all.IDs = append(all.IDs, id)
			}
		}
		// Validators of one page say nothing about the others.
		all.Validators = Validators{}
		if s.page == 1 && (got.last || pages == 1) {
			all.Validators = validators
		}
		if got.last || s.page >= pages {
			return all, nil
		}
		s.cursor, q.Seen = got.cursor, Validators{}
	}
}

// recipeFor also refuses what the platform cannot know, without asking it.
func (c *Client) recipeFor(q Query) (Recipe, error) {
	recipe, has := c.preset.Lists[q.List]
	_, notNumber := strconv.ParseUint(q.ID, 10, 64)
	switch {
	case !has:
		return Recipe{}, &Error{Kind: NotFound, Err: errors.New("the platform has no such list")}
	case recipe.Numeric && q.List != Shelf && notNumber != nil:
		return Recipe{}, &Error{Kind: NotFound, Err: errors.New("the platform's ids are integers")}
	case q.ID == "." || q.ID == "..":
		// Unreserved characters, and yet they would change the path they stand in.
		return Recipe{}, &Error{Kind: NotFound, Err: errors.New("an id made of dots")}
	}
	return recipe, nil
}

func (c *Client) pages(p Paging) int {
	pages := max(p.Depth, 1)
	if c.opt.Pages > 0 && p.Size > 0 {
		pages = c.opt.Pages
	}
	if p.Most > 0 {
		pages = min(pages, p.Most)
	}
	return pages
}

func (c *Client) secretVars() (map[string]value, error) {
	vars := make(map[string]value, len(c.vars))
	for name, v := range c.vars {
		if !v.address {
			text, err := secret.Resolve(v.text)
			if err != nil {
				return nil, err
			}
			v.text = text
		}
		vars[name] = v
	}
	return vars, nil
}

// errNotModified says that the answer is the one the caller holds.
var errNotModified = errors.New("not modified")

// page makes one request.
func (c *Client) page(ctx context.Context, r Recipe, s scope, seen Validators) (page, Validators, error) {
	if err := c.quota.take(ctx); err != nil {
		return page{}, Validators{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	request, err := c.request(ctx, r, s, seen)
	if err != nil {
		return page{}, Validators{}, &Error{Kind: Refused, Err: err}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return page{}, Validators{}, transportError(ctx, err)
	}
	defer response.Body.Close()
	if err := c.status(response, seen); err != nil {
		return page{}, Validators{}, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(c.opt.MaxBody)+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return page{}, Validators{}, transportError(ctx, err)
	case err != nil:
		return page{}, Validators{}, &Error{Kind: BadAnswer, Status: response.StatusCode, Err: err}
	case len(body) > c.opt.MaxBody:
		return page{}, Validators{}, &Error{Kind: BadAnswer, Status: response.StatusCode, Err: fmt.Errorf("larger than %d bytes", c.opt.MaxBody)}
	}
	got, err := r.read(body, s.page)
	if e, ok := errors.AsType[*Error](err); ok {
		e.Status = response.StatusCode
		c.quota.hold(e.Pause)
	}
	return got, Validators{response.Header.Get("ETag"), response.Header.Get("Last-Modified")}, err
}

func (c *Client) request(ctx context.Context, r Recipe, s scope, seen Validators) (*http.Request, error) {
	address, err := s.address(r.URL)
	if err != nil {
		return nil, err
	}
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if r.Query != "" {
		text, err := s.body(r)
		if err != nil {
			return nil, err
		}
		method, body = http.MethodPost, bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, errors.New("the address cannot be filled in") // without err, which repeats the address
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "vitrine")
	if r.Query != "" {
		request.Header.Set("Content-Type", "application/json")
	} else {
		setUnlessEmpty(request.Header, "If-None-Match", seen.ETag)
		setUnlessEmpty(request.Header, "If-Modified-Since", seen.LastModified)
	}
	for _, headers := range []map[string]string{c.preset.Headers, c.opt.Headers} {
		for name, configured := range headers {
			text, err := secret.Resolve(configured)
			if err != nil {
				return nil, err
			}
			request.Header.Set(name, text)
		}
	}
	return request, nil
}

func setUnlessEmpty(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// status returns the error that an answer's status stands for.
func (c *Client) status(response *http.Response, seen Validators) error {
	e := &Error{Status: response.StatusCode, Kind: Status}
	switch code := response.StatusCode; {
	case code >= 200 && code <= 299: // VTEX answers a page with 206
		return nil
	case code == http.StatusNotModified && seen != Validators{}:
		return errNotModified
	case code >= 300 && code <= 399:
		e.Err = errors.New("a redirect, which is not followed")
	case code == http.StatusNotFound || code == http.StatusGone:
		e.Kind = NotFound
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Kind = Refused
	case code == http.StatusTooManyRequests:
		e.Kind, e.Pause = Throttled, retryAfter(response.Header.Get("Retry-After"), time.Now())
		c.quota.hold(e.Pause)
	}
	return e
}

// transportError classifies a request that brought no answer. The text of a
// *url.Error holds the address, and with it perhaps a token: only its cause is kept.
func transportError(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	kind := Unreachable
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || ctx.Err() != nil {
		kind = Timeout
	}
	return &Error{Kind: kind, Err: err}
}

// How long the platform is left alone when it asks for a pause: as long as it says,
// within bounds; by default, when it does not say.
const (
	pauseMin     = 100 * time.Millisecond
	pauseDefault = 2 * time.Second
	pauseMax     = 10 * time.Minute
)

// retryAfter reads both forms of Retry-After (RFC 9110, section 10.2.3).
func retryAfter(header string, now time.Time) time.Duration {
	pause := pauseDefault
	if seconds, err := strconv.Atoi(header); err == nil {
		pause = time.Duration(min(max(seconds, 0), int(pauseMax/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, pauseMin), pauseMax)
}
