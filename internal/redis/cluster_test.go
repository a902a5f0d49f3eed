package redis_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// A Cluster of one shows that every command names its key where a Cluster looks for it.
func TestCluster(t *testing.T) {
	server := redistest.Start(t, "--cluster-enabled", "yes")
	server.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	eventually(t, "the cluster to form", func() bool {
		return strings.Contains(server.Do("CLUSTER", "INFO"), "cluster_state:ok")
	})
	c, _ := connect(t, "redis://"+server.Addr+","+server.Addr, patient)
	ctx := t.Context()
	script := redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			key := "key" + strconv.Itoa(i)
			replies, err := pipe(c, key, command("set", key, i), redis.Command{Script: script, Args: []any{1}})
			if err != nil || replies[0] != "OK" || replies[1] != int64(i+1) {
				t.Errorf("%s: got %v, %v", key, replies, err)
			}
		})
	}
	callers.Wait()
	if got, err := c.Acquire(ctx, "lease", "me", 1e9); !got || err != nil {
		t.Errorf("lease: got %t, %v", got, err)
	}
	if err := c.Del(ctx, "key1", "key2", "key3"); err != nil {
		t.Error(err)
	}
	if _, err := c.XAdd(ctx, "stream", map[string]string{"a": "b"}); err != nil {
		t.Error(err)
	}
	if entries, err := c.XReadGroup(ctx, "stream", "g", "me", 10, false); err != nil || len(entries) != 1 {
		t.Errorf("stream: got %v, %v", entries, err)
	}
	// Slots without a server are Redis's answer, and a reason for a miss, not for the breaker.
	server.Do("CLUSTER", "DELSLOTSRANGE", "0", "16383")
	eventually(t, "the cluster to be down", func() bool {
		replies, err := pipe(c, "k", command("get", "k"))
		if err != nil {
			return errors.Is(err, redis.ErrUnavailable)
		}
		refused, ok := replies[0].(error)
		return ok && strings.HasPrefix(refused.Error(), "CLUSTERDOWN")
	})
}

// A server that is killed cannot say where its slots are now. They are found all the same,
// long before the driver looks for them by itself, once a minute.
func TestClusterPrimaryKilled(t *testing.T) {
	primary := redistest.Start(t, "--cluster-enabled", "yes")
	replica := redistest.Start(t, "--cluster-enabled", "yes")
	primary.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	host, port, _ := strings.Cut(primary.Addr, ":")
	replica.Do("CLUSTER", "MEET", host, port)
	eventually(t, "the servers to meet", func() bool {
		return strings.Contains(replica.Do("CLUSTER", "INFO"), "cluster_size:1") && strings.Contains(primary.Do("CLUSTER", "INFO"), "cluster_known_nodes:2")
	})
	replica.Do("CLUSTER", "REPLICATE", primary.Do("CLUSTER", "MYID"))
	eventually(t, "the replica to follow", func() bool {
		return strings.Contains(replica.Do("INFO", "replication"), "master_link_status:up")
	})
	c, _ := connect(t, "redis://"+primary.Addr+","+replica.Addr, patient)
	eventually(t, "the cluster to be written to", func() bool {
		replies, err := pipe(c, "k", command("set", "k", 1))
		return err == nil && replies[0] == "OK"
	})
	primary.Kill()
	replica.Do("CLUSTER", "FAILOVER", "TAKEOVER")
	eventually(t, "the replica to be written to", func() bool {
		replies, err := pipe(c, "k", command("set", "k", 2))
		return err == nil && replies[0] == "OK"
	})
}
