package redis

import (
	"context"
	"time"

	driver "github.com/redis/go-redis/v9"
)

// lookAgainEvery bounds how often a Cluster is asked where its slots are because one of its
// servers does not answer.
const lookAgainEvery = time.Second

// lookAgain lets the clients of a Cluster ask anew where its slots are. The driver does so
// once a minute, and when a server says that a slot has moved. One that died says nothing:
// until that minute is over its slots would be lost to us, long after a replica has taken
// them.
func (c *Client) lookAgain() {
	now := int64(time.Since(c.made))
	last := c.looked.Load()
	if now-last < int64(lookAgainEvery) || !c.looked.CompareAndSwap(last, now) {
		return
	}
	for _, client := range []driver.UniversalClient{c.fast, c.slow} {
		if cluster, ok := client.(*driver.ClusterClient); ok {
			cluster.ReloadState(context.Background()) // it does not wait
		}
	}
}
