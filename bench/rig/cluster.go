package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Cluster is three primaries, each with a replica.
type Cluster struct{ primaries, replicas []*Redis }

// clusterSlots is how many there are, each a primary's.
const clusterSlots = 16384

// StartCluster starts them and waits until every one of them knows the others.
func StartCluster(ctx context.Context) (*Cluster, error) {
	c := new(Cluster)
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	bus := make(map[*Redis]string) // ports of what they tell each other
	for i := range 6 {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		node, err := StartRedis(ctx, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", strconv.Itoa(port))
		if err != nil {
			return err
		}
		bus[node] = strconv.Itoa(port)
		if i < 3 {
			c.primaries = append(c.primaries, node)
		} else {
			c.replicas = append(c.replicas, node)
		}
	}
	first := c.primaries[0].Addr()
	for i, node := range c.primaries {
		if _, err := tell(ctx, node.Addr(), "CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/3, (i+1)*clusterSlots/3-1); err != nil {
			return err
		}
	}
	for _, node := range append(c.primaries[1:3:3], c.replicas...) {
		_, port, err := net.SplitHostPort(node.Addr())
		if err != nil {
			return err
		}
		if _, err := tell(ctx, first, "CLUSTER", "MEET", "127.0.0.1", port, bus[node]); err != nil {
			return err
		}
	}
	return c.replicate(ctx)
}

// replicate gives every primary its replica, as soon as the replica has heard of it.
func (c *Cluster) replicate(ctx context.Context) error {
	for i, replica := range c.replicas {
		id, err := tell(ctx, c.primaries[i].Addr(), "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		if err := poll(ctx, func() bool {
			_, err := tell(ctx, replica.Addr(), "CLUSTER", "REPLICATE", id)
			return err == nil
		}); err != nil {
			return err
		}
	}
	return poll(ctx, func() bool { return c.agreed(ctx) })
}

// agreed reports whether all find the cluster well, and every replica is up to date.
func (c *Cluster) agreed(ctx context.Context) bool {
	for _, n := range append(c.primaries[:3:3], c.replicas...) {
		said, err := tell(ctx, n.Addr(), "CLUSTER", "INFO")
		if text, _ := said.(string); err != nil || !strings.Contains(text, "cluster_state:ok") || !strings.Contains(text, "cluster_known_nodes:6") {
			return false
		}
		nodes, err := tell(ctx, n.Addr(), "CLUSTER", "NODES")
		if text, _ := nodes.(string); err != nil || strings.Count(text, "slave") != 3 {
			return false
		}
	}
	for _, r := range c.replicas {
		said, err := tell(ctx, r.Addr(), "INFO", "replication")
		if text, _ := said.(string); err != nil || !strings.Contains(text, "master_link_status:up") {
			return false
		}
	}
	return true
}

// URL is what the sidecar is to know as redis.url.
func (c *Cluster) URL() string { return "redis://" + addresses(c.primaries) }

// Pair is the nth primary of the start, and its replica of then.
func (c *Cluster) Pair(n int) (primary, replica *Redis) { return c.primaries[n], c.replicas[n] }

// Promote makes a replica the primary of its slots; the former one answers MOVED.
func (c *Cluster) Promote(ctx context.Context, replica *Redis) error {
	_, err := tell(ctx, replica.Addr(), "CLUSTER", "FAILOVER")
	return err
}

// AwaitPrimary waits until a replica has become a primary, by itself or told to.
func (c *Cluster) AwaitPrimary(ctx context.Context, replica *Redis) error {
	return poll(ctx, func() bool { return isPrimary(ctx, replica) })
}

// Revive starts again what was killed.
func (c *Cluster) Revive(ctx context.Context) error {
	return errors.Join(revive(ctx, c.primaries), revive(ctx, c.replicas))
}

// Close ends all of them.
func (c *Cluster) Close() error { return errors.Join(closeAll(c.replicas), closeAll(c.primaries)) }
