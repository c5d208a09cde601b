package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var scenarios = map[string]func(context.Context, *clientv3.Client) error{
	"kv":          kv,
	"watch":       watch,
	"lease":       lease,
	"concurrency": concurrencyRecipes,
	"maintenance": maintenance,
	"large":       large,
}

func runScenario(endpoint, name string) error {
	run, ok := scenarios[name]
	if !ok {
		names := make([]string, 0, len(scenarios))
		for known := range scenarios {
			names = append(names, known)
		}
		sort.Strings(names)
		return fmt.Errorf("unknown scenario %q; there are %s", name, strings.Join(names, ", "))
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second)
	defer cancel()
	return run(ctx, client)
}

// say prints one line; an error becomes its code and text.
func say(format string, args ...any) {
	for i, arg := range args {
		if err, ok := arg.(error); ok {
			args[i] = errorText(err)
		}
	}
	fmt.Printf(format+"\n", args...)
}

func errorText(err error) string {
	if err == nil {
		return "ok"
	}
	if known, ok := err.(rpctypes.EtcdError); ok {
		return fmt.Sprintf("%d %s", known.Code(), known.Error())
	}
	if known, ok := status.FromError(err); ok && known.Code() != codes.Unknown {
		return fmt.Sprintf("%d %s", known.Code(), known.Message())
	}
	return err.Error()
}

func kvText(kv *mvccpb.KeyValue) string {
	if kv == nil {
		return "-"
	}
	leased := ""
	if kv.Lease != 0 {
		leased = " leased"
	}
	value := string(kv.Value)
	if len(value) > 40 {
		value = fmt.Sprintf("%d bytes", len(value))
	}
	return fmt.Sprintf("%s=%s c%d m%d v%d%s", kv.Key, value, kv.CreateRevision, kv.ModRevision, kv.Version, leased)
}

func kvTexts(kvs []*mvccpb.KeyValue) string {
	texts := make([]string, len(kvs))
	for i, one := range kvs {
		texts[i] = kvText(one)
	}
	return "[" + strings.Join(texts, "; ") + "]"
}

func kv(ctx context.Context, c *clientv3.Client) error {
	put := func(key, value string, opts ...clientv3.OpOption) {
		resp, err := c.Put(ctx, key, value, opts...)
		if err != nil {
			say("put %s: %v", key, err)
			return
		}
		say("put %s: r%d prev %s", key, resp.Header.Revision, kvText(resp.PrevKv))
	}
	get := func(key string, opts ...clientv3.OpOption) {
		resp, err := c.Get(ctx, key, opts...)
		if err != nil {
			say("get %s: %v", key, err)
			return
		}
		say("get %s: r%d count %d more %v %s", key, resp.Header.Revision, resp.Count, resp.More, kvTexts(resp.Kvs))
	}
	for i := range 10 {
		put(fmt.Sprintf("k%d", i), strings.Repeat("v", 10-i))
	}
	put("k3", "again", clientv3.WithPrevKV())
	put("k3", "", clientv3.WithIgnoreValue())
	put("none", "", clientv3.WithIgnoreValue())
	put("k3", "x", clientv3.WithIgnoreValue())
	put("k4", "x", clientv3.WithIgnoreLease())
	put("", "x")
	put("k5", "x", clientv3.WithLease(12345))
	get("k3")
	get("k", clientv3.WithPrefix())
	get("k", clientv3.WithPrefix(), clientv3.WithLimit(3))
	get("k", clientv3.WithPrefix(), clientv3.WithCountOnly())
	get("k", clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(2))
	get("k", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByValue, clientv3.SortAscend), clientv3.WithLimit(4))
	get("k", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	get("k", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithLimit(2))
	get("k", clientv3.WithPrefix(), clientv3.WithMinModRev(8), clientv3.WithMaxCreateRev(9))
	get("k5", clientv3.WithFromKey())
	get("k2", clientv3.WithRange("k4"))
	get("k4", clientv3.WithRange("k2"))
	get("k3", clientv3.WithRev(5))
	get("k3", clientv3.WithRev(11))
	get("k", clientv3.WithPrefix(), clientv3.WithRev(6))
	get("k3", clientv3.WithRev(1000))
	del, err := c.Delete(ctx, "k9", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	say("delete: r%d %d %s", del.Header.Revision, del.Deleted, kvTexts(del.PrevKvs))
	del, err = c.Delete(ctx, "k9")
	if err != nil {
		return err
	}
	say("delete again: r%d %d", del.Header.Revision, del.Deleted)

	txn := func(name string, t clientv3.Txn) {
		resp, err := t.Commit()
		if err != nil {
			say("txn %s: %v", name, err)
			return
		}
		say("txn %s: r%d %v %d answers", name, resp.Header.Revision, resp.Succeeded, len(resp.Responses))
		for _, one := range resp.Responses {
			switch {
			case one.GetResponseRange() != nil:
				r := one.GetResponseRange()
				say("  range r%d %s", r.Header.Revision, kvTexts(r.Kvs))
			case one.GetResponsePut() != nil:
				say("  put r%d prev %s", one.GetResponsePut().Header.Revision, kvText(one.GetResponsePut().PrevKv))
			case one.GetResponseDeleteRange() != nil:
				r := one.GetResponseDeleteRange()
				say("  delete r%d %d %s", r.Header.Revision, r.Deleted, kvTexts(r.PrevKvs))
			case one.GetResponseTxn() != nil:
				r := one.GetResponseTxn()
				say("  txn r%d %v %d answers", r.Header.Revision, r.Succeeded, len(r.Responses))
			}
		}
	}
	txn("create", c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision("new"), "=", 0)).
		Then(clientv3.OpPut("new", "1"), clientv3.OpGet("new"), clientv3.OpPut("k1", "t", clientv3.WithPrevKV())).
		Else(clientv3.OpGet("new")))
	txn("create again", c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision("new"), "=", 0)).
		Then(clientv3.OpPut("new", "1")).Else(clientv3.OpGet("new"), clientv3.OpDelete("k0", clientv3.WithPrevKV())))
	txn("compares", c.Txn(ctx).If(
		clientv3.Compare(clientv3.Value("new"), "=", "1"), clientv3.Compare(clientv3.Version("new"), "<", 2),
		clientv3.Compare(clientv3.ModRevision("new"), ">", 1), clientv3.Compare(clientv3.LeaseValue("new"), "=", 0),
		clientv3.Compare(clientv3.Value("new"), "!=", "2")).Then(clientv3.OpGet("new")))
	txn("range compare", c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision("k"), ">", 1).WithPrefix()).
		Then(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("inner", "1"), clientv3.OpGet("inner")}, nil)))
	txn("empty", c.Txn(ctx))
	txn("key twice", c.Txn(ctx).Then(clientv3.OpPut("x", "1"), clientv3.OpPut("x", "2")))
	txn("put and delete", c.Txn(ctx).Then(clientv3.OpPut("x", "1"), clientv3.OpDelete("w", clientv3.WithRange("y"))))
	txn("no key", c.Txn(ctx).Then(clientv3.OpPut("", "1")))
	many := make([]clientv3.Op, 129)
	for i := range many {
		many[i] = clientv3.OpPut(fmt.Sprintf("m%d", i), "")
	}
	txn("129 operations", c.Txn(ctx).Then(many...))
	txn("128 operations", c.Txn(ctx).Then(many[:128]...))
	txn("lease that is not there", c.Txn(ctx).Then(clientv3.OpPut("a1", "1"), clientv3.OpPut("a2", "2", clientv3.WithLease(9))))
	get("a", clientv3.WithPrefix())

	compact := func(revision int64) {
		resp, err := c.Compact(ctx, revision)
		if err != nil {
			say("compact %d: %v", revision, err)
			return
		}
		say("compact %d: r%d", revision, resp.Header.Revision)
	}
	compact(8)
	compact(8)
	compact(5)
	compact(10_000)
	get("k3", clientv3.WithRev(7))
	get("k3", clientv3.WithRev(8))
	get("k3", clientv3.WithRev(9))
	return nil
}

func maintenance(ctx context.Context, c *clientv3.Client) error {
	members, err := c.MemberList(ctx)
	if err != nil {
		return err
	}
	say("members: %d, the header's among them: %v, reachable: %v", len(members.Members),
		members.Members[0].ID == members.Header.MemberId, len(members.Members[0].ClientURLs) > 0)
	state, err := c.Status(ctx, c.Endpoints()[0])
	if err != nil {
		return err
	}
	say("status: version %s leader %v db %v errors %d learner %v", state.Version, state.Leader == state.Header.MemberId,
		state.DbSize > 0, len(state.Errors), state.IsLearner)
	alarms, err := c.AlarmList(ctx)
	if err != nil {
		return err
	}
	say("alarms: %d", len(alarms.Alarms))
	auth, err := c.AuthStatus(ctx)
	if err != nil {
		return err
	}
	say("auth: %v", auth.Enabled)
	_, err = c.Authenticate(ctx, "nobody", "nothing")
	say("authenticate: %v", err)
	first, err := c.Get(ctx, "a")
	if err != nil {
		return err
	}
	second, err := c.Put(ctx, "a", "b")
	if err != nil {
		return err
	}
	h := second.Header
	say("header: cluster %v same %v member %v term %v", h.ClusterId != 0, h.ClusterId == first.Header.ClusterId, h.MemberId != 0, h.RaftTerm > 0)
	return nil
}

func large(ctx context.Context, c *clientv3.Client) error {
	for _, size := range []int{1 << 20, 1_572_000, 1_600_000, 2_500_000} {
		_, err := c.Put(ctx, "k", strings.Repeat("x", size))
		say("put of %d bytes: %v", size, err)
	}
	for i := range 8 {
		if _, err := c.Put(ctx, fmt.Sprintf("big%d", i), strings.Repeat("y", 1<<20)); err != nil {
			return err
		}
	}
	resp, err := c.Get(ctx, "big", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	say("get of 8 MiB: %s", kvTexts(resp.Kvs))
	// Without fragments a watch would need a message of 8 MiB; with them each stays below 2 MiB.
	events, messages := 0, 0
	watching, stop := context.WithCancel(ctx)
	defer stop()
	for answer := range c.Watch(watching, "big", clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithFragment()) {
		messages++
		for _, event := range answer.Events {
			events++
			say("  %s %s", event.Type, kvText(event.Kv))
		}
		if events == 8 {
			stop()
		}
	}
	say("watched %d events", events)
	return nil
}
