package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// concurrencyRecipes uses etcd's own lock, election and STM, which lean on create revisions, prefixes and watches.
func concurrencyRecipes(ctx context.Context, c *clientv3.Client) error {
	first, err := concurrency.NewSession(c, concurrency.WithTTL(10))
	if err != nil {
		return err
	}
	second, err := concurrency.NewSession(c, concurrency.WithTTL(10))
	if err != nil {
		return err
	}
	one, two := concurrency.NewMutex(first, "/lock"), concurrency.NewMutex(second, "/lock")
	if err := one.Lock(ctx); err != nil {
		return err
	}
	say("first holds the lock at r%d", one.Header().Revision)
	say("second tries: %v", two.TryLock(ctx))
	taken := make(chan error, 1)
	go func() { taken <- two.Lock(ctx) }()
	select {
	case <-taken:
		say("second did not wait")
	case <-time.After(200 * time.Millisecond):
		say("second waits")
	}
	if err := one.Unlock(ctx); err != nil {
		return err
	}
	say("second got it: %v", <-taken)
	say("owner fences: %v", must(c.Txn(ctx).If(two.IsOwner()).Commit()).Succeeded)
	say("loser is fenced: %v", must(c.Txn(ctx).If(one.IsOwner()).Commit()).Succeeded)

	leader, follower := concurrency.NewElection(first, "/election"), concurrency.NewElection(second, "/election")
	if err := leader.Campaign(ctx, "first"); err != nil {
		return err
	}
	seen := follower.Observe(ctx)
	say("leader: %s", (<-seen).Kvs[0].Value)
	won := make(chan error, 1)
	go func() { won <- follower.Campaign(ctx, "second") }()
	if err := leader.Proclaim(ctx, "first again"); err != nil {
		return err
	}
	say("leader: %s", (<-seen).Kvs[0].Value)
	if err := leader.Resign(ctx); err != nil {
		return err
	}
	say("second won: %v", <-won)
	say("leader: %s", (<-seen).Kvs[0].Value)
	// A holder that dies (its lease goes) passes the lock on.
	third := concurrency.NewMutex(first, "/lock")
	go func() { taken <- third.Lock(ctx) }()
	if err := second.Close(); err != nil {
		return err
	}
	say("lock after the holder's lease went: %v", <-taken)

	if _, err := c.Put(ctx, "from", "100"); err != nil {
		return err
	}
	if _, err := c.Put(ctx, "to", "0"); err != nil {
		return err
	}
	done := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := concurrency.NewSTM(c, func(stm concurrency.STM) error {
				var from, to int
				if _, err := fmt.Sscan(stm.Get("from")+" "+stm.Get("to"), &from, &to); err != nil {
					return err
				}
				stm.Put("from", fmt.Sprint(from-5))
				stm.Put("to", fmt.Sprint(to+5))
				return nil
			})
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			return err
		}
	}
	say("moved: %s and %s", must(c.Get(ctx, "from")).Kvs[0].Value, must(c.Get(ctx, "to")).Kvs[0].Value)
	return first.Close()
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
