package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// follow prints events until `count` of them have come, or the watch ends.
func follow(name string, watching clientv3.WatchChan, count int) {
	for seen := 0; seen < count; {
		select {
		case answer, ok := <-watching:
			if !ok {
				say("%s: closed", name)
				return
			}
			if answer.Canceled {
				say("%s: canceled, compacted %d, %v", name, answer.CompactRevision, answer.Err())
				return
			}
			for _, event := range answer.Events {
				seen++
				say("%s: %s %s prev %s", name, event.Type, kvText(event.Kv), kvText(event.PrevKv))
			}
		case <-time.After(10 * time.Second):
			say("%s: nothing more after %d", name, seen)
			return
		}
	}
}

func watch(ctx context.Context, c *clientv3.Client) error {
	put := func(key, value string) {
		if _, err := c.Put(ctx, key, value); err != nil {
			say("put %s: %v", key, err)
		}
	}
	for i := range 5 {
		put("a", fmt.Sprint(i))
	}
	if _, err := c.Delete(ctx, "a"); err != nil {
		return err
	}
	if _, err := c.Txn(ctx).Then(clientv3.OpPut("a", "x"), clientv3.OpPut("b", "y"), clientv3.OpPut("c", "z")).Commit(); err != nil {
		return err
	}
	watching := func(key string, opts ...clientv3.OpOption) (clientv3.WatchChan, context.CancelFunc) {
		one, cancel := context.WithCancel(ctx)
		return c.Watch(one, key, opts...), cancel
	}
	history, stop := watching("a", clientv3.WithRev(1), clientv3.WithPrevKV())
	follow("from the beginning", history, 7)
	stop()
	filtered, stop := watching("a", clientv3.WithRev(2), clientv3.WithFilterPut())
	follow("no puts", filtered, 1)
	stop()
	filtered, stop = watching("a", clientv3.WithRev(6), clientv3.WithFilterDelete())
	follow("no deletes", filtered, 2)
	stop()
	fromKey, stop := watching("b", clientv3.WithFromKey(), clientv3.WithRev(1))
	follow("from key", fromKey, 2)
	stop()
	prefix, stopPrefix := watching("", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	created := <-prefix
	say("created: %v r%d", created.Created, created.Header.Revision)
	future, stopFuture := watching("a", clientv3.WithRev(12))
	put("a", "10?")
	put("b", "11?")
	put("a", "12?")
	put("a", "13?")
	follow("all", prefix, 4)
	follow("future", future, 1)
	stopFuture()

	if err := c.RequestProgress(ctx); err != nil {
		return err
	}
	select {
	case answer := <-prefix:
		say("progress: %v r%d", answer.IsProgressNotify(), answer.Header.Revision)
	case <-time.After(10 * time.Second):
		say("progress: none")
	}
	stopPrefix()
	_, open := <-prefix
	say("open after cancel: %v", open)

	if _, err := c.Compact(ctx, 9); err != nil {
		return err
	}
	old, stop := watching("a", clientv3.WithRev(3))
	follow("compacted", old, 1)
	stop()
	edge, stop := watching("a", clientv3.WithRev(9))
	follow("at the compacted revision", edge, 3)
	stop()
	empty, stop := watching("b", clientv3.WithRange("a"))
	follow("empty range", empty, 1)
	stop()

	// Many watches on one stream, each with its own events.
	chans := make([]clientv3.WatchChan, 50)
	for i := range chans {
		one, cancel := watching(fmt.Sprintf("many/%02d", i), clientv3.WithCreatedNotify())
		defer cancel()
		chans[i] = one
		<-one
	}
	for i := range chans {
		put(fmt.Sprintf("many/%02d", i), "1")
	}
	for i := range chans {
		follow(fmt.Sprint(i), chans[i], 1)
	}
	return nil
}

func lease(ctx context.Context, c *clientv3.Client) error {
	granted, err := c.Grant(ctx, 60)
	if err != nil {
		return err
	}
	say("granted: %d", granted.TTL)
	for _, key := range []string{"l2", "l1"} {
		if _, err := c.Put(ctx, key, "x", clientv3.WithLease(granted.ID)); err != nil {
			return err
		}
	}
	left, err := c.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	for _, key := range left.Keys {
		keys[string(key)] = true
	}
	say("left: %v of %d, keys %v", left.TTL > 50, left.GrantedTTL, keys)
	all, err := c.Leases(ctx)
	if err != nil {
		return err
	}
	say("leases: %d, ours %v", len(all.Leases), all.Leases[0].ID == granted.ID)
	once, err := c.KeepAliveOnce(ctx, granted.ID)
	if err != nil {
		return err
	}
	say("kept alive once: %d", once.TTL)
	_, err = c.KeepAliveOnce(ctx, 4242)
	say("kept alive unknown: %v", err)
	alive, err := c.KeepAlive(ctx, granted.ID)
	if err != nil {
		return err
	}
	say("kept alive: %d", (<-alive).TTL)
	watching := c.Watch(ctx, "l", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	<-watching
	if _, err := c.Put(ctx, "l1", "free"); err != nil {
		return err
	}
	revoked, err := c.Revoke(ctx, granted.ID)
	if err != nil {
		return err
	}
	say("revoked: r%d", revoked.Header.Revision)
	follow("revocation", watching, 2)
	_, err = c.Revoke(ctx, granted.ID)
	say("revoked again: %v", err)
	left, err = c.TimeToLive(ctx, granted.ID)
	if err != nil {
		return err
	}
	say("left afterwards: %d", left.TTL)
	_, err = c.Put(ctx, "l3", "x", clientv3.WithLease(granted.ID))
	say("put with a lost lease: %v", err)
	_, err = c.Grant(ctx, 10_000_000_000)
	say("too long: %v", err)

	short, err := c.Grant(ctx, 1)
	if err != nil {
		return err
	}
	if _, err := c.Put(ctx, "l9", "short", clientv3.WithLease(short.ID)); err != nil {
		return err
	}
	follow("expiry", watching, 2)
	return nil
}
