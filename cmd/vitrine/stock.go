package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitrine/fallback/catalog"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
)

// pushStock takes in what the shop says of its stock. It holds here in any case; what
// Redis did not get, the catalogue hands over again.
func (s *sidecar) pushStock(ctx context.Context, stock []reco.Stock) {
	if err := s.catalog.Push(ctx, stock); err != nil {
		s.log.WarnContext(ctx, "pushed stock is not shared yet", "error", err)
	}
}

// stockStore is where pods share pushed stock, nil without Redis. Pods with one hash
// key are of one shop, and several shops may use one Redis.
func (s *sidecar) stockStore() catalog.StockStore {
	if s.redis == nil {
		return nil
	}
	return stockStore{s.redis, "v1:stock:" + s.hashOf("stock")}
}

// stockStore keeps levels in Redis: in a few hashes by product, so that no command is
// busy with all of them and a Cluster has its share of each. A field is a product's id,
// its value the Unix milliseconds of the push and the quantity.
type stockStore struct {
	redis *redis.Client
	name  string // begins the keys, and is the channel
}

const (
	stockShards   = 16
	stockBatch    = 500     // levels of one command and one message
	mostStock     = 1 << 14 // fields of a hash; when there are more, the oldest go
	keptStock     = mostStock - mostStock/8
	longStock     = 1 << 20         // bytes of a message; a batch has less
	mostStockSkew = 5 * time.Second // how far ahead another pod's clock may be
)

// saveStock puts levels into a hash that are newer than those it has, and returns which
// they are. Of two pushed in the same millisecond the smaller counts. What is not ours
// gives way.
//
//	ARGV: latest time to believe, life in ms, most fields, kept fields, then id and level in turn
//	returns: the numbers, from 0, of the levels that are new
//
//nolint:gochecknoglobals // a constant, but for its type
var saveStock = redis.NewScript(`
local key, latest = KEYS[1], tonumber(ARGV[1])
if type(redis.pcall('HLEN', key)) == 'table' then redis.call('DEL', key) end
local function read(text)
	local at, quantity = string.match(text or '', '^(%d+) (%d+)$')
	at, quantity = tonumber(at), tonumber(quantity)
	if at and at <= latest then return at, quantity end
	return -1, 0
end
local new = {}
for i = 5, #ARGV, 2 do
	local at, quantity = read(ARGV[i + 1])
	local heldAt, heldQuantity = read(redis.call('HGET', key, ARGV[i]))
	if at > heldAt or at == heldAt and quantity < heldQuantity then
		redis.call('HSET', key, ARGV[i], ARGV[i + 1])
		new[#new + 1] = (i - 5) / 2
	end
end
redis.call('PEXPIRE', key, ARGV[2])
if redis.call('HLEN', key) > tonumber(ARGV[3]) then
	local all, fields = redis.call('HGETALL', key), {}
	for i = 1, #all, 2 do fields[#fields + 1] = {all[i], (read(all[i + 1]))} end
	table.sort(fields, function(a, b) return a[2] < b[2] end)
	for i = 1, #fields - tonumber(ARGV[4]) do redis.call('HDEL', key, fields[i][1]) end
end
return new`)

// loadStock returns a hash, unless it is larger than saveStock lets one become.
//
//	ARGV: most fields
//
//nolint:gochecknoglobals // a constant, but for its type
var loadStock = redis.NewScript(`
local size = redis.pcall('HLEN', KEYS[1])
if type(size) == 'table' or size > tonumber(ARGV[1]) then return {} end
return redis.call('HGETALL', KEYS[1])`)

// Save keeps levels for life, and tells the other pods of those that are new.
func (s stockStore) Save(ctx context.Context, levels []catalog.Level, life time.Duration) error {
	var shards [stockShards][]catalog.Level
	for _, l := range levels {
		i := stockShard(l.ID)
		shards[i] = append(shards[i], l)
	}
	for i, shard := range shards {
		for batch := range slices.Chunk(shard, stockBatch) {
			fresh, err := s.keep(ctx, s.key(i), batch, life)
			if err != nil {
				return err
			}
			if err := s.tell(ctx, fresh); err != nil {
				return err
			}
		}
	}
	return nil
}

func stockShard(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	return int(h.Sum32() % stockShards)
}

func (s stockStore) key(shard int) string { return s.name + ":" + strconv.Itoa(shard) }

// keep saves a batch in one hash and returns what was new to it.
func (s stockStore) keep(ctx context.Context, key string, batch []catalog.Level, life time.Duration) ([]catalog.Level, error) {
	args := make([]any, 0, 4+2*len(batch))
	args = append(args, time.Now().Add(mostStockSkew).UnixMilli(), life.Milliseconds(), mostStock, keptStock)
	for _, l := range batch {
		args = append(args, l.ID, fmt.Sprintf("%d %d", l.At.UnixMilli(), l.Quantity))
	}
	reply, err := s.redis.Eval(ctx, saveStock, key, args...)
	if err != nil {
		return nil, fmt.Errorf("saving pushed stock: %w", err)
	}
	numbers, _ := reply.([]any)
	fresh := make([]catalog.Level, 0, len(numbers))
	for _, number := range numbers {
		if i, ok := number.(int64); ok && i >= 0 && i < int64(len(batch)) {
			fresh = append(fresh, batch[i])
		}
	}
	return fresh, nil
}

// told is a level as a message has it.
type told struct {
	ID       string `json:"id"`
	Quantity int    `json:"quantity"`
	At       int64  `json:"at"` // Unix milliseconds
}

// tell publishes levels. If nobody hears, they are read again soon.
func (s stockStore) tell(ctx context.Context, levels []catalog.Level) error {
	if len(levels) == 0 {
		return nil
	}
	message := make([]told, len(levels))
	for i, l := range levels {
		message[i] = told{l.ID, l.Quantity, l.At.UnixMilli()}
	}
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encoding pushed stock: %w", err)
	}
	return s.redis.Publish(ctx, s.name, string(text)) //nolint:wrapcheck // it names the command
}

// Load returns every level that is kept and can be read.
func (s stockStore) Load(ctx context.Context) ([]catalog.Level, error) {
	var levels []catalog.Level
	for i := range stockShards {
		reply, err := s.redis.Eval(ctx, loadStock, s.key(i), mostStock)
		if err != nil {
			return nil, fmt.Errorf("loading pushed stock: %w", err)
		}
		fields, _ := reply.([]any)
		for pair := range slices.Chunk(fields, 2) {
			if l, ok := readLevel(pair); ok {
				levels = append(levels, l)
			}
		}
	}
	return levels, nil
}

// readLevel reads a field and its value.
func readLevel(pair []any) (catalog.Level, bool) {
	if len(pair) != 2 {
		return catalog.Level{}, false
	}
	id, _ := pair[0].(string)
	value, _ := pair[1].(string)
	at, quantity, _ := strings.Cut(value, " ")
	milli, err := strconv.ParseUint(at, 10, 63) // no sign, as in saveStock
	if err != nil {
		return catalog.Level{}, false
	}
	n, err := strconv.ParseUint(quantity, 10, 31)
	return catalog.Level{ID: id, Quantity: int(n), At: time.UnixMilli(int64(milli))}, err == nil
}

// Subscribe calls apply with what other pods push, until ctx ends.
func (s stockStore) Subscribe(ctx context.Context, apply func([]catalog.Level)) error {
	return s.redis.Subscribe(ctx, s.name, func(message string) { //nolint:wrapcheck // nil when told to stop
		var heard []told
		if len(message) > longStock || json.Unmarshal([]byte(message), &heard) != nil {
			return // not of a pod of ours
		}
		levels := make([]catalog.Level, len(heard))
		for i, l := range heard {
			levels[i] = catalog.Level{ID: l.ID, Quantity: l.Quantity, At: time.UnixMilli(l.At)}
		}
		apply(levels)
	})
}
