package redis

import (
	"context"
	"strings"
)

// Info returns what the server says of itself under INFO, such as redis_version and
// maxmemory_policy; of a Cluster, what one of its servers says.
func (c *Client) Info(ctx context.Context) (map[string]string, error) {
	var text string
	err := c.background("info", func() error {
		var err error
		text, err = c.slow.Info(ctx).Result()
		return err
	})
	facts := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			facts[name] = value
		}
	}
	return facts, err
}
