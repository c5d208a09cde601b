package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// What agents do with addresses, in Go: the rival of our own client.
//
//	etcdload ENDPOINT ips-fill PREFIX COUNT [CLUSTERS]  COUNT addresses with values as an agent writes them, 128 a
//	                                                    transaction; with CLUSTERS spread over PREFIX0/ PREFIX1/ …
//	etcdload ENDPOINT ips-list PREFIX LIMIT TIMES   lists them, LIMIT a page (0: one call), TIMES times; medians count
//	etcdload ENDPOINT ips-put PREFIX RATE COUNT     puts COUNT addresses, RATE a second, each with the time of its writing
//	etcdload ENDPOINT ips-follow PREFIX COUNT       follows until COUNT of those were decoded and kept; p50 and p99 in ms
//	etcdload ENDPOINT ips-flood COUNT               watches until COUNT events came, from the first one on

type pair struct {
	IP, HostIP                                  string
	Mask                                        *string
	ID                                          uint32
	Key                                         uint8
	Metadata                                    string
	K8sNamespace, K8sPodName, K8sServiceAccount string
}

type measured struct {
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"`
	// Of this process, user and system.
	CPU float64 `json:"cpu"`
	P50 float64 `json:"p50,omitempty"`
	P99 float64 `json:"p99,omitempty"`
}

func ips(args []string) (any, error) {
	if len(args) < 3 {
		return nil, fmt.Errorf("usage: etcdload ENDPOINT ips-fill|ips-list|ips-put|ips-follow|ips-flood …")
	}
	endpoint, command, rest := args[0], args[1], args[2:]
	prefix := ""
	if command != "ips-flood" {
		prefix, rest = rest[0], rest[1:]
	}
	numbers := []int{0, 0}
	for i, text := range rest {
		n, err := strconv.Atoi(text)
		if err != nil || i > 1 {
			return nil, fmt.Errorf("not a number: %q", text)
		}
		numbers[i] = n
	}
	client, err := connect(endpoint)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	switch command {
	case "ips-fill":
		return ipsFill(ctx, client, prefix, numbers[0], numbers[1])
	case "ips-list":
		return ipsList(ctx, client, prefix, numbers[0], numbers[1])
	case "ips-put":
		return ipsPut(ctx, client, prefix, numbers[0], numbers[1])
	case "ips-follow":
		return ipsFollow(ctx, client, prefix, numbers[0])
	case "ips-flood":
		return ipsFlood(ctx, client, numbers[0])
	}
	return nil, fmt.Errorf("unknown load %q", command)
}

func address(i int) string {
	return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
}

const letters = "bcdfghjklmnpqrstvwxz2456789"

// ipValue is what an agent in kvstore mode would write: 250 pods a node, twenty a workload, spread over the nodes.
func ipValue(i, count int) string {
	node := i / 250
	workload := i * 7919 % max(1, count/20)
	suffix := make([]byte, 5)
	for j, n := 0, i*2654435761; j < 5; j, n = j+1, n/27 {
		suffix[j] = letters[n%27]
	}
	return fmt.Sprintf(`{"IP":"%s","Mask":null,"HostIP":"172.18.%d.%d","ID":%d,"Key":0,"Metadata":"cilium-global:default:worker-%d:%d","K8sNamespace":"team-%d","K8sPodName":"service-%d-7d9f8b%04x-%s","K8sServiceAccount":"service-%d"}`,
		address(i), node>>8, node&255, 131072+workload%65536, node, 1+i%250, workload%50, workload, workload&0xffff, suffix, workload%200)
}

func ipsFill(ctx context.Context, client *clientv3.Client, prefix string, count, clusters int) (any, error) {
	key := func(i int) string {
		if clusters == 0 {
			return prefix + address(i)
		}
		return fmt.Sprintf("%s%d/%s", prefix, i*clusters/count, address(i))
	}
	start := time.Now()
	var wait sync.WaitGroup
	failed := make(chan error, 4)
	for part := range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := part * 128; i < count; i += 4 * 128 {
				var ops []clientv3.Op
				for j := i; j < min(i+128, count); j++ {
					ops = append(ops, clientv3.OpPut(key(j), ipValue(j, count)))
				}
				if _, err := client.Txn(ctx).Then(ops...).Commit(); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	wait.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return measured{Count: count, Seconds: time.Since(start).Seconds(), CPU: cpu()}, nil
	}
}

func ipsList(ctx context.Context, client *clientv3.Client, prefix string, limit, times int) (any, error) {
	var seconds, spent []float64
	count := 0
	for range times {
		start, before := time.Now(), cpu()
		seen := 0
		key, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
		var revision int64
		for more := true; more; {
			page, err := client.Get(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(int64(limit)), clientv3.WithRev(revision), clientv3.WithSerializable())
			if err != nil {
				return nil, err
			}
			seen += len(page.Kvs)
			revision = page.Header.Revision
			more = page.More
			if more {
				key = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
			}
		}
		count = seen
		seconds = append(seconds, time.Since(start).Seconds())
		spent = append(spent, cpu()-before)
	}
	slices.Sort(seconds)
	slices.Sort(spent)
	return measured{Count: count, Seconds: seconds[len(seconds)/2], CPU: spent[len(spent)/2]}, nil
}

func ipsPut(ctx context.Context, client *clientv3.Client, prefix string, rate, count int) (any, error) {
	failed := make(chan error, count)
	var wait sync.WaitGroup
	start := time.Now()
	for i := range count {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		wait.Add(1)
		go func() {
			defer wait.Done()
			value := fmt.Sprintf(`{"IP":"%s","Mask":null,"HostIP":"172.18.0.1","ID":131073,"Key":0,"Metadata":"","K8sNamespace":"shop","K8sPodName":"%d","K8sServiceAccount":"default"}`, address(i), time.Now().UnixNano())
			if _, err := client.Put(ctx, prefix+address(i), value); err != nil {
				failed <- err
			}
		}()
	}
	wait.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return measured{Count: count, Seconds: time.Since(start).Seconds(), CPU: cpu()}, nil
	}
}

func ipsFollow(ctx context.Context, client *clientv3.Client, prefix string, count int) (any, error) {
	events := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if created, ok := <-events; !ok || !created.Created {
		return nil, fmt.Errorf("a watch was not created: %v", created.Err())
	}
	fmt.Println("following")
	known := map[string]pair{}
	var all []float64
	before := cpu()
	start := time.Now()
	for len(all) < count {
		response, ok := <-events
		if !ok || response.Err() != nil {
			return nil, fmt.Errorf("the watch ended: %v", response.Err())
		}
		for _, event := range response.Events {
			var found pair
			if err := json.Unmarshal(event.Kv.Value, &found); err != nil {
				return nil, err
			}
			known[strings.TrimPrefix(string(event.Kv.Key), prefix)] = found
			sent, err := strconv.ParseInt(found.K8sPodName, 10, 64)
			if err != nil {
				return nil, err
			}
			all = append(all, float64(time.Now().UnixNano()-sent)/1e6)
		}
	}
	result := measured{Count: len(known), Seconds: time.Since(start).Seconds(), CPU: cpu() - before}
	slices.Sort(all)
	result.P50, result.P99 = all[len(all)/2], all[len(all)*99/100]
	return result, nil
}

func ipsFlood(ctx context.Context, client *clientv3.Client, count int) (any, error) {
	events := client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(2))
	var start time.Time
	var before float64
	seen := 0
	for seen < count {
		response, ok := <-events
		if !ok || response.Err() != nil {
			return nil, fmt.Errorf("the watch ended after %d events: %v", seen, response.Err())
		}
		if seen == 0 {
			start, before = time.Now(), cpu()
		}
		seen += len(response.Events)
	}
	return measured{Count: seen, Seconds: time.Since(start).Seconds(), CPU: cpu() - before}, nil
}

// cpu is the processor time of this process so far, in seconds.
func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	of := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return of(usage.Utime) + of(usage.Stime)
}
