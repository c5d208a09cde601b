// etcdload puts load on an etcd v3 endpoint with etcd's own Go client and prints one JSON line with what it took. The
// same program measures every server, so that ratios compare servers and not clients.
//
//	etcdload ENDPOINT put INFLIGHT COUNT       COUNT puts of 280 bytes, INFLIGHT at a time
//	etcdload ENDPOINT fill COUNT               COUNT keys under range/, 128 a transaction
//	etcdload ENDPOINT range COUNT TIMES        lists range/ in one call, TIMES times; the median counts
//	etcdload ENDPOINT txn COUNT                COUNT puts, 128 a transaction, one transaction after the other
//	etcdload ENDPOINT random COUNT OF          COUNT puts, 64 at a time, of keys under range/ drawn from OF
//	etcdload ENDPOINT pages COUNT LIMIT        lists the COUNT keys under range/ at one revision, LIMIT a call
//	etcdload ENDPOINT fanout WATCHERS COUNT    COUNT puts, 64 at a time, until every watcher has seen all of them
//	etcdload ENDPOINT latency RATE COUNT       COUNT puts, RATE a second; the median from put to event is `p50`, in ms
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
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
		return fmt.Errorf("usage: etcdload ENDPOINT put|fill|txn|random|range|pages|fanout|latency NUMBER [NUMBER]")
	}
	if strings.HasPrefix(args[1], "ips-") {
		result, err := ips(args)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
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
	var took, p50 time.Duration
	count := b
	switch args[1] {
	case "put":
		took, err = put(ctx, client, "put/", a, b)
	case "fill":
		count = a
		took, err = fill(ctx, client, a)
	case "txn":
		count = a
		took, err = transact(ctx, client, fmt.Sprintf("txn/%d/", time.Now().UnixNano()), a)
	case "random":
		count = a
		took, err = random(ctx, client, a, b)
	case "pages":
		count = a
		took, err = pages(ctx, client, a, b)
	case "latency":
		took, p50, err = latency(ctx, client, endpoint, a, b)
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
	result := map[string]any{"seconds": took.Seconds(), "count": count}
	if p50 > 0 {
		result["p50"] = float64(p50.Microseconds()) / 1000
	}
	return json.NewEncoder(os.Stdout).Encode(result)
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
	return transact(ctx, client, "range/", count)
}

func transact(ctx context.Context, client *clientv3.Client, prefix string, count int) (time.Duration, error) {
	start := time.Now()
	for i := 0; i < count; i += 128 {
		var ops []clientv3.Op
		for j := i; j < min(i+128, count); j++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s%08d", prefix, j), value))
		}
		if _, err := client.Txn(ctx).Then(ops...).Commit(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// random spreads its puts over the keys that fill made.
func random(ctx context.Context, client *clientv3.Client, count, of int) (time.Duration, error) {
	var wait sync.WaitGroup
	var next atomic.Int64
	var first atomic.Pointer[error]
	start := time.Now()
	for range 64 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for next.Add(1) <= int64(count) && first.Load() == nil {
				if _, err := client.Put(ctx, fmt.Sprintf("range/%08d", rand.IntN(of)), value); err != nil {
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

// pages lists as a mirror does: every page at the first one's revision, from behind its last key.
func pages(ctx context.Context, client *clientv3.Client, count, limit int) (time.Duration, error) {
	start := time.Now()
	seen := 0
	key := "range/"
	end := clientv3.GetPrefixRangeEnd(key)
	var revision int64
	for more := true; more; {
		page, err := client.Get(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(int64(limit)), clientv3.WithRev(revision))
		if err != nil {
			return 0, err
		}
		seen += len(page.Kvs)
		revision = page.Header.Revision
		more = page.More
		key = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
	if seen != count {
		return 0, fmt.Errorf("listed %d keys, not %d", seen, count)
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

// latency takes the time from the call of a put to its event on another connection.
func latency(ctx context.Context, client *clientv3.Client, endpoint string, rate, count int) (time.Duration, time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prefix := fmt.Sprintf("lat/%d/", time.Now().UnixNano())
	follower, err := connect(endpoint)
	if err != nil {
		return 0, 0, err
	}
	defer follower.Close()
	events := follower.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if created, ok := <-events; !ok || !created.Created {
		return 0, 0, fmt.Errorf("a watch was not created: %v", created.Err())
	}
	sent := make([]atomic.Int64, count)
	failed := make(chan error, count)
	start := time.Now()
	go func() {
		for i := range count {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			go func() {
				sent[i].Store(int64(time.Since(start)))
				if _, err := client.Put(ctx, fmt.Sprintf("%s%08d", prefix, i), value); err != nil {
					failed <- err
				}
			}()
		}
	}()
	var all []time.Duration
	for len(all) < count {
		select {
		case err := <-failed:
			return 0, 0, err
		case response, ok := <-events:
			if !ok || response.Err() != nil {
				return 0, 0, fmt.Errorf("the watch ended: %v", response.Err())
			}
			now := time.Since(start)
			for _, event := range response.Events {
				i, err := strconv.Atoi(string(event.Kv.Key[len(prefix):]))
				if err != nil {
					return 0, 0, err
				}
				all = append(all, now-time.Duration(sent[i].Load()))
			}
		}
	}
	took := time.Since(start)
	slices.Sort(all)
	return took, all[len(all)/2], nil
}
