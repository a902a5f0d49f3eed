package catalog

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options say where the product feed is and how much of it to accept. Without a
// File and a URL there is no feed, only stock that is pushed.
type Options struct {
	// File is the path of the feed, plain or gzip. It is read again when its
	// modification time or size changes.
	File string

	// URL is where the feed is fetched, instead of from a file. It is asked for with
	// the ETag and Last-Modified it came with.
	URL string

	// Headers are sent with every request for the URL, and to no other host. They may
	// hold secrets; a value "file:/path" is read from that file each time.
	Headers map[string]string

	// Format is auto, rss, tsv, csv or ndjson. auto looks at the first bytes.
	Format string

	// Columns says under which name the feed holds what is usually called id,
	// item_group_id, price, sale_price, sale_price_effective_date, availability,
	// quantity, size, sizes, sizes_in_stock or category: {"id": "sku"}. A feed that
	// follows Google's specification needs none.
	Columns map[string]string

	// Refresh is how often to look whether the feed has changed (5 min), ±10 % so that
	// the pods do not ask all at once. A file is looked at every 10 s, if that is sooner.
	Refresh time.Duration

	// Timeout is the longest one reading of the feed may take (5 min).
	Timeout time.Duration

	// MaxBytes bounds the feed, unpacked, in bytes (1 GiB). It is streamed, never held.
	MaxBytes int64

	// MaxRecord bounds one product of the feed, in bytes (1 MiB).
	MaxRecord int

	// MaxProducts bounds the rows of the feed (500 000). A product takes about
	// 120 bytes, twice that while a feed is read.
	MaxProducts int

	// AllowShrink accepts a feed with less than half the products of the one before
	// it. Otherwise such a feed counts as broken, since an export that was cut short
	// looks just like that.
	AllowShrink bool

	// StockLife is how long a pushed stock level counts for more than the feed (24 h).
	StockLife time.Duration

	// MaxPushed bounds the products whose pushed level is remembered (200 000); beyond
	// it the oldest levels are forgotten.
	MaxPushed int
}

// Defaults returns the options of a catalogue without a feed.
func Defaults() Options {
	return Options{
		Format:      "auto",
		Refresh:     5 * time.Minute,
		Timeout:     5 * time.Minute,
		MaxBytes:    1 << 30,
		MaxRecord:   1 << 20,
		MaxProducts: 500_000,
		StockLife:   24 * time.Hour,
		MaxPushed:   200_000,
	}
}

const leastRecord = 1 << 10

// Validate reports everything that is wrong with o.
func (o Options) Validate() error {
	var errs []error
	demand := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	demand(o.File == "" || o.URL == "", "file and url: one of them, not both")
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		demand(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "url: must be an http or https address")
	}
	demand(slices.Contains([]string{"auto", "rss", "tsv", "csv", "ndjson"}, o.Format), "format: must be auto, rss, tsv, csv or ndjson")
	for name, theirs := range o.Columns {
		_, ok := columnNamed(name)
		demand(ok, "columns: no column is called %q; there are %s", name, strings.Join(columnNames[:], ", "))
		demand(theirs != "", "columns: %s needs a name", name)
	}
	demand(o.Refresh >= time.Second, "refresh: must be at least 1s")
	demand(o.Timeout >= time.Second, "timeout: must be at least 1s")
	demand(o.MaxBytes >= leastRecord, "max_bytes: must be at least %d", leastRecord)
	demand(o.MaxRecord >= leastRecord && o.MaxRecord <= 1<<26, "max_record: must be from %d to %d", leastRecord, 1<<26)
	demand(o.MaxProducts >= 1 && o.MaxProducts <= 10_000_000, "max_products: must be from 1 to 10000000")
	demand(o.StockLife >= time.Minute, "stock_life: must be at least 1m")
	demand(o.MaxPushed >= 8, "max_pushed: must be at least 8")
	return errors.Join(errs...)
}
