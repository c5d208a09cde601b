// etcdload puts load on an etcd v3 endpoint with etcd's own Go client and prints one JSON line with what it took. The
// same program measures every server, so that ratios compare servers and not clients.
//
//	etcdload ENDPOINT put INFLIGHT COUNT       COUNT puts of 280 bytes, INFLIGHT at a time
//	etcdload ENDPOINT fill COUNT               COUNT keys under range/, 128 a transaction
//	etcdload ENDPOINT range COUNT TIMES        lists range/ in one call, TIMES times; the median counts
//	etcdload ENDPOINT fanout WATCHERS COUNT    COUNT puts, 64 at a time, until every watcher has seen all of them
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

var value = string(make([]byte, 280))

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("usage: etcdload ENDPOINT put|fill|range|fanout NUMBER [NUMBER]")
	}
	numbers := []int{0, 0}
	for i, text := range args[2:] {
		n, err := strconv.Atoi(text)
		if err != nil || i > 1 {
			return fmt.Errorf("not a number: %q", text)
		}
		numbers[i] = n
	}
	endpoint, a, b := args[0], numbers[0], numbers[1]
	client, err := connect(endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var took time.Duration
	count := b
	switch args[1] {
	case "put":
		took, err = put(ctx, client, "put/", a, b)
	case "fill":
		count = a
		took, err = fill(ctx, client, a)
	case "range":
		count = a
		took, err = list(ctx, client, a, b)
	case "fanout":
		count = a * b
		took, err = fanout(ctx, client, endpoint, a, b)
	default:
		err = fmt.Errorf("unknown load %q", args[1])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"seconds": took.Seconds(), "count": count})
}

func connect(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
}

// put writes distinct keys, inFlight at a time.
func put(ctx context.Context, client *clientv3.Client, prefix string, inFlight, count int) (time.Duration, error) {
	if _, err := client.Put(ctx, prefix+"warm", value); err != nil {
		return 0, err
	}
	var next atomic.Int64
	var first atomic.Pointer[error]
	var wait sync.WaitGroup
	start := time.Now()
	for range inFlight {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := next.Add(1); i <= int64(count) && first.Load() == nil; i = next.Add(1) {
				if _, err := client.Put(ctx, fmt.Sprintf("%s%08d", prefix, i), value); err != nil {
					first.Store(&err)
				}
			}
		}()
	}
	wait.Wait()
	if err := first.Load(); err != nil {
		return 0, *err
	}
	return time.Since(start), nil
}

func fill(ctx context.Context, client *clientv3.Client, count int) (time.Duration, error) {
	start := time.Now()
	for i := 0; i < count; i += 128 {
		var ops []clientv3.Op
		for j := i; j < min(i+128, count); j++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("range/%08d", j), value))
		}
		if _, err := client.Txn(ctx).Then(ops...).Commit(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func list(ctx context.Context, client *clientv3.Client, count, times int) (time.Duration, error) {
	var all []time.Duration
	for range times {
		start := time.Now()
		found, err := client.Get(ctx, "range/", clientv3.WithPrefix())
		if err != nil {
			return 0, err
		}
		if len(found.Kvs) != count {
			return 0, fmt.Errorf("listed %d keys, not %d", len(found.Kvs), count)
		}
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// fanout gives each watcher a connection of its own, as agents have.
func fanout(ctx context.Context, client *clientv3.Client, endpoint string, watchers, count int) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prefix := fmt.Sprintf("fan/%d/", time.Now().UnixNano())
	done := make(chan error, watchers)
	for range watchers {
		follower, err := connect(endpoint)
		if err != nil {
			return 0, err
		}
		defer follower.Close()
		events := follower.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		if created, ok := <-events; !ok || !created.Created {
			return 0, fmt.Errorf("a watch was not created: %v", created.Err())
		}
		go func() { done <- follow(events, count+1) }()
	}
	start := time.Now()
	if _, err := put(ctx, client, prefix, 64, count); err != nil {
		return 0, err
	}
	for range watchers {
		if err := <-done; err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func follow(events clientv3.WatchChan, count int) error {
	for seen := 0; seen < count; {
		response, ok := <-events
		if !ok || response.Err() != nil {
			return fmt.Errorf("a watch ended after %d of %d events: %v", seen, count, response.Err())
		}
		seen += len(response.Events)
	}
	return nil
}
