// Package config is what an operator may set: one struct, filled from defaults, a YAML
// file, the environment and flags, each over the one before.
//
// Everything else is derived from that struct: the name of a key in the file is its path
// in the struct's yaml tags, its flag is that path, its environment variable is the path
// in capitals. The example file, the JSON Schema and the documentation's table are written
// from the same tags, so that none of them can tell another story.
//
// The package holds plain values and knows none of the packages that use them; cmd/vitrine
// turns them into each part's options.
package config

import (
	"time"

	"vitrine/internal/reco"
)

// Config is the sidecar's whole configuration. The zero value is not valid; [Default] is,
// but for the token.
//
// Tags: yaml is the key, doc one line for people, oneof the allowed words, min and max the
// allowed range in the key's own notation, unset what the documentation gives as the
// default where that is no fixed value, each the placeholder under which the documentation
// shows a group whose members are alike.
type Config struct {
	Listen string        `yaml:"listen" doc:"data listener: host:port, or unix:/path/to.sock (mode 0660)"`
	Budget time.Duration `yaml:"budget" min:"1ms" doc:"longest a shopper waits for an answer; waits for Redis and the platform lie inside it"`

	Probe    Probe    `yaml:"probe"`
	Admin    Admin    `yaml:"admin"`
	Upstream Upstream `yaml:"upstream"`
	Redis    Redis    `yaml:"redis"`
	Cache    Cache    `yaml:"cache"`
	Outbox   Outbox   `yaml:"outbox"`
	Events   Events   `yaml:"events" each:"<eventType>"`
	Platform Platform `yaml:"platform"`
	Catalog  Catalog  `yaml:"catalog"`
	Rules    Rules    `yaml:"rules" each:"<list>"`
	Holdout  Holdout  `yaml:"holdout"`
	Profile  Profile  `yaml:"profile"`
	Lists    Lists    `yaml:"lists"`
	Security Security `yaml:"security"`
	Log      Log      `yaml:"log"`
}

// Probe is the listener for the kubelet and Prometheus.
type Probe struct {
	Listen string `yaml:"listen" doc:"probes and metrics, GET only: host:port on the pod's address"`
}

// Admin is the listener for people on call.
type Admin struct {
	Listen string `yaml:"listen" doc:"status page, explain, overrides, erase, pprof: host:port; keep it on loopback"`
}

// Upstream is the recommendation and profile API.
type Upstream struct {
	URL         Address       `yaml:"url" doc:"the API; plain http only to loopback, or with upstream.insecure"`
	Token       Secret        `yaml:"token" doc:"sent as X-FashionAI-APP-Token; this or upstream.token_file is required"`
	TokenFile   string        `yaml:"token_file" doc:"file holding the token; read again when it changes and on a 401"`
	Timeout     time.Duration `yaml:"timeout" min:"1ms" doc:"longest one API call may take, body included"`
	MaxInFlight int           `yaml:"max_in_flight" min:"1" doc:"API calls under way at once, per pod (bulkhead)"`
	Rate        float64       `yaml:"rate" doc:"hard ceiling of events sent per second, per pod; 0 = none"`
	Insecure    bool          `yaml:"insecure" doc:"allow plain http to an address other than loopback: the token travels readable"`
}

// Redis is the tier shared by all pods.
type Redis struct {
	URL         Address       `yaml:"url" doc:"empty = memory tier only, no parking; embedded = in this process, for one machine; redis:// or rediss:// with ? options; several addresses separated by commas = Cluster; option master_name = Sentinel"`
	HashKeyFile string        `yaml:"hash_key_file" unset:"derived from the token by HKDF-SHA256" doc:"file with base64 of 32 bytes, the same in all pods: keys the hashes of sessions and people"`
	Budget      time.Duration `yaml:"budget" min:"100us" doc:"all Redis work one request may wait for, in total"`
}

// Cache says how much is remembered, and for how long.
type Cache struct {
	Memory    Size `yaml:"memory" min:"1MiB" doc:"bound of the in-process tier"`
	Lifetimes `yaml:",inline"`
}

// Lifetimes say how long a ranking may be served. They can be set for each event type.
type Lifetimes struct {
	Fresh       time.Duration `yaml:"fresh" doc:"how long a ranking is served without waiting for the API"`
	FreshEvents int           `yaml:"fresh_events" doc:"a ranking also stops being fresh after this many events for other items in its session; 0 = off"`
	Stale       time.Duration `yaml:"stale" doc:"how long after fresh it may still be served when the API cannot answer"`
	Empty       time.Duration `yaml:"empty" doc:"how long an empty answer keeps shoppers from waiting for another"`
}

// Outbox keeps the events that the API has not had yet.
type Outbox struct {
	Dir          string        `yaml:"dir" unset:"$XDG_STATE_HOME/vitrine or ./.vitrine" doc:"folder of the event journal; memory keeps none on disk"`
	Fsync        string        `yaml:"fsync" oneof:"group always" doc:"group syncs every 10 ms; always makes each answer wait for the disk"`
	MaxAge       time.Duration `yaml:"max_age" min:"1s" doc:"an event older than this is expired, not delivered"`
	MaxBytes     Size          `yaml:"max_bytes" min:"1MiB" doc:"bound of the journal on disk"`
	MaxMemory    Size          `yaml:"max_memory" min:"64KiB" doc:"bound of the bodies held outside the journal when there is no disk; beyond it the oldest is dropped"`
	ParkAfter    time.Duration `yaml:"park_after" doc:"in an outage, park in Redis what has waited this long; 0 = only at SIGTERM"`
	ParkMaxBytes Size          `yaml:"park_max_bytes" doc:"bound over all parked streams"`
}

// Events holds what may differ between event types.
type Events struct {
	ProductView  Event `yaml:"productView"`
	CategoryView Event `yaml:"categoryView"`
	ShopTheLook  Event `yaml:"shopTheLook"`
	CustomShelf  Event `yaml:"customShelf"`
}

// Of returns the settings of one event type, complete: what was not set for it is as
// the general keys say.
func (e *Events) Of(t reco.EventType) Event {
	switch t {
	case reco.ProductView:
		return e.ProductView
	case reco.CategoryView:
		return e.CategoryView
	case reco.ShopTheLook:
		return e.ShopTheLook
	default:
		return e.CustomShelf
	}
}

// all lists the settings of every event type, to be changed in place.
func (e *Events) all() []*Event {
	return []*Event{&e.ProductView, &e.CategoryView, &e.ShopTheLook, &e.CustomShelf}
}

// Event holds the settings of one event type.
type Event struct {
	Mode            string        `yaml:"mode" oneof:"on native shadow" doc:"native answers from the platform's ordering, shadow too but measures what the API would have shown; events are delivered in every mode"`
	Budget          time.Duration `yaml:"budget" min:"1ms" doc:"longest a shopper waits for this event type"`
	MinItems        int           `yaml:"min_items" doc:"a ranking left shorter is topped up from the next rung; 0 = off"`
	DuplicateWindow time.Duration `yaml:"duplicate_window" doc:"the same event again within this time is answered but not sent, for pages that fire twice; 0 = off"`
	Cache           Lifetimes     `yaml:"cache"`
}

// Platform is the shop, asked for its own orderings.
type Platform struct {
	Kind         string `yaml:"kind" oneof:"none http magento medusa nuvemshop shopify tray vendure vtex vtex-is wake woocommerce" doc:"the shop's platform: a preset, or http for any that answers JSON"`
	Source       `yaml:",inline"`
	Similar      Source  `yaml:"similar"`
	Shelf        Source  `yaml:"shelf"`
	File         string  `yaml:"file" doc:"JSON file of lists by category:27, similar:p1 and shelf, for what the platform has not given"`
	Headers      Headers `yaml:"headers" doc:"sent with every call; a value file:/path is read from that file"`
	Vars         Vars    `yaml:"vars" doc:"the preset's variables, such as account or base; a value file:/path is read from that file"`
	SalesRanking bool    `yaml:"sales_ranking" doc:"fall back to the vendor's sales ranking where neither the platform nor the file has a list; needs no platform"`

	Refresh time.Duration `yaml:"refresh" min:"1s" doc:"age at which a list's snapshot is fetched again in the background"`
	Timeout time.Duration `yaml:"timeout" min:"1ms" doc:"longest one platform call may take"`
	Pages   int           `yaml:"pages" doc:"how many pages of a list are read at most; 0 = as the preset says"`
	Rate    float64       `yaml:"rate" doc:"platform calls per second, per pod; 0 = the preset's quota, none for http"`
	Daily   int           `yaml:"daily" doc:"platform calls per day, per pod; 0 = the preset's quota, none for http"`

	Insecure bool `yaml:"insecure" doc:"allow headers and variables over plain http to an address other than loopback"`
}

// Source is one list of the platform.
type Source struct {
	URL Address `yaml:"url" doc:"template of the list's address, {id} = the escaped data.id; empty = the preset's own, with http none"`
	IDs string  `yaml:"ids" doc:"gjson path of the product ids in the answer; empty = the preset's own"`
}

// Catalog is the product feed the shop publishes.
type Catalog struct {
	URL     Address       `yaml:"url" doc:"address of the product feed; this or catalog.file, empty = no catalogue"`
	File    string        `yaml:"file" doc:"path of the product feed"`
	Headers Headers       `yaml:"headers" doc:"sent when the feed is fetched, to no other host; a value file:/path is read from that file"`
	Format  string        `yaml:"format" oneof:"auto rss tsv csv ndjson" doc:"form of the feed; auto looks at its first bytes"`
	Refresh time.Duration `yaml:"refresh" min:"1s" doc:"how often the feed is looked at for a change"`
	Columns Columns       `yaml:"columns" doc:"names of the feed's columns where they are not Google's: {id: sku, price: preco}"`

	MaxProducts int           `yaml:"max_products" min:"1" doc:"bound of the products held, about 120 bytes each"`
	AllowShrink bool          `yaml:"allow_shrink" doc:"accept a feed with less than half the products of the one before; otherwise it counts as cut short"`
	StockLife   time.Duration `yaml:"stock_life" min:"1m" doc:"how long a pushed stock level counts for more than the feed"`
}

// Rules repeat the vendor's recommendation settings, one set for each kind of list.
type Rules struct {
	Product  Rule `yaml:"product"`
	Category Rule `yaml:"category"`
	Look     Rule `yaml:"look"`
	Shelf    Rule `yaml:"shelf"`
}

// Rule filters and orders native lists by what the catalogue knows of their products.
type Rule struct {
	Discount    string  `yaml:"discount" oneof:"all with without" doc:"keep all products, only those with or only those without a discount"`
	PriceMin    float64 `yaml:"price_min" doc:"leave out cheaper products, in the feed's currency; 0 = no bound"`
	PriceMax    float64 `yaml:"price_max" doc:"leave out dearer products; 0 = no bound"`
	PriceAbove  float64 `yaml:"price_above" doc:"keep only what costs more than this, instead of a range; 0 = no bound"`
	LowStock    int     `yaml:"low_stock" doc:"leave out products with this many units or fewer; 0 = off"`
	FullSizeRun bool    `yaml:"full_size_run" doc:"products with a complete size grid first, the order otherwise kept"`
}

// Holdout keeps a share of the sessions on the native ordering, to measure the AI's lift.
type Holdout struct {
	Percent float64 `yaml:"percent" max:"100" doc:"share of sessions answered natively, their events delivered all the same"`
	Salt    string  `yaml:"salt" doc:"another salt draws other sessions"`
}

// Profile is the cache of customer profiles.
type Profile struct {
	Enabled     bool          `yaml:"enabled" doc:"false: the path answers 404"`
	Fresh       time.Duration `yaml:"fresh" doc:"how long a profile is served without asking the API"`
	Stale       time.Duration `yaml:"stale" doc:"how long after fresh it may still be served when the API cannot answer"`
	NotFound    time.Duration `yaml:"not_found" doc:"how long a 404 is remembered"`
	KeyFile     string        `yaml:"key_file" unset:"none: memory only" doc:"lines keyid:base64 of 32 bytes; the first seals, all open; without it no profile is kept in Redis"`
	Budget      time.Duration `yaml:"budget" min:"1ms" doc:"longest a profile request waits for the API"`
	Timeout     time.Duration `yaml:"timeout" min:"1ms" doc:"longest one profile call may take; it goes on when nobody waits any more, and what it brings is there for the next request"`
	MaxInFlight int           `yaml:"max_in_flight" min:"1" doc:"profile calls under way at once, per pod (bulkhead)"`
}

// Lists are the vendor's read-only lists, each served at the vendor's own path.
type Lists struct {
	Similar      List `yaml:"similar"`
	SalesRanking List `yaml:"sales_ranking"`
	Collections  List `yaml:"collections"`
	Search       List `yaml:"search"`
}

// List is one of the read-only lists.
type List struct {
	Enabled bool          `yaml:"enabled" doc:"false: the path answers 404"`
	Fresh   time.Duration `yaml:"fresh" doc:"how long a list is served without asking the API; a collection never past its endsAt"`
	Stale   time.Duration `yaml:"stale" doc:"how long after fresh it may still be served when the API cannot answer"`
}

// Security widens or narrows who may call the data listener.
type Security struct {
	AllowedOrigins []string `yaml:"allowed_origins" doc:"values of Origin to accept, such as https://shop.example"`
	AllowedHosts   []string `yaml:"allowed_hosts" doc:"values of Host to accept beside loopback ones"`
	AllowForwarded bool     `yaml:"allow_forwarded" doc:"accept X-Forwarded-For and Forwarded, for apps and meshes that add them"`
	AppTokenFile   string   `yaml:"app_token_file" doc:"file with a secret that every request must carry as Vitrine-Token"`
}

// Log says what is written to standard error.
type Log struct {
	Level  string `yaml:"level" oneof:"debug info warn error" doc:"least severe level written"`
	Format string `yaml:"format" oneof:"auto text json" doc:"auto is text on a terminal, else json"`
}

// Default returns the configuration before any layer: valid, but for the token.
func Default() Config {
	c := Config{
		Listen: "127.0.0.1:8377",
		Budget: 300 * time.Millisecond,
		Probe:  Probe{Listen: ":8378"},
		Admin:  Admin{Listen: "127.0.0.1:8379"},
		Upstream: Upstream{
			URL:         "https://catalog.api.fashionai.dev",
			Timeout:     2 * time.Second,
			MaxInFlight: 64,
		},
		Redis: Redis{Budget: 5 * time.Millisecond},
		Cache: Cache{
			Memory: 64 << 20,
			Lifetimes: Lifetimes{
				Fresh:       time.Minute,
				FreshEvents: 3,
				Stale:       30 * time.Minute,
				Empty:       5 * time.Second,
			},
		},
		Outbox: Outbox{
			Dir:          ".vitrine",
			Fsync:        "group",
			MaxAge:       30 * time.Minute,
			MaxBytes:     256 << 20,
			MaxMemory:    16 << 20,
			ParkMaxBytes: 64 << 20,
		},
		Platform: Platform{
			Kind:    "none",
			Refresh: 5 * time.Minute,
			Timeout: 2 * time.Second,
		},
		Catalog: Catalog{
			Format:      "auto",
			Refresh:     5 * time.Minute,
			MaxProducts: 500_000,
			StockLife:   24 * time.Hour,
		},
		Profile: Profile{
			Enabled:     true,
			Fresh:       6 * time.Hour,
			Stale:       168 * time.Hour,
			NotFound:    5 * time.Minute,
			Budget:      2 * time.Second,
			Timeout:     10 * time.Second,
			MaxInFlight: 16,
		},
		Lists: Lists{
			Similar:      List{Fresh: time.Minute, Stale: 30 * time.Minute},
			SalesRanking: List{Fresh: 10 * time.Minute, Stale: 24 * time.Hour},
			Collections:  List{Fresh: 5 * time.Minute, Stale: 24 * time.Hour},
			Search:       List{Fresh: 30 * time.Second, Stale: 5 * time.Minute},
		},
		Log: Log{Level: "info", Format: "auto"},
	}
	for _, e := range c.Events.all() {
		e.Mode = "on"
	}
	for _, r := range []*Rule{&c.Rules.Product, &c.Rules.Category, &c.Rules.Look, &c.Rules.Shelf} {
		r.Discount = "all"
	}
	inherit(&c)
	return c
}

// inherit gives every event type what the general keys say. What was set for the type
// itself has to be set again afterwards.
func inherit(c *Config) {
	for _, e := range c.Events.all() {
		e.Budget = c.Budget
		e.Cache = c.Cache.Lifetimes
	}
}
