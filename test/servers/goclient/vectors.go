package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

type marshaler interface{ Marshal() ([]byte, error) }

// printVectors prints {"name": "hex"} of messages whose content the codec's tests repeat.
func printVectors() {
	pb := func(m marshaler) string {
		b, err := m.Marshal()
		if err != nil {
			panic(err)
		}
		return hex.EncodeToString(b)
	}
	header := &etcdserverpb.ResponseHeader{ClusterId: 0xfedcba9876543210, MemberId: 7, Revision: 1 << 40, RaftTerm: 2}
	kv := &mvccpb.KeyValue{
		Key: []byte("a/b"), CreateRevision: 2, ModRevision: 300, Version: 128, Value: []byte("v\x00\xff"), Lease: 0x7000000000000001,
	}
	long := make([]byte, 300)
	for i := range long {
		long[i] = byte(i)
	}
	vectors := map[string]string{
		"empty range": pb(&etcdserverpb.RangeRequest{}),
		"range": pb(&etcdserverpb.RangeRequest{
			Key: []byte("k"), RangeEnd: []byte{0}, Limit: 10000, Revision: 9, SortOrder: etcdserverpb.RangeRequest_DESCEND,
			SortTarget: etcdserverpb.RangeRequest_VALUE, Serializable: true, KeysOnly: true, CountOnly: true,
			MinModRevision: 1, MaxModRevision: 2, MinCreateRevision: 3, MaxCreateRevision: 4,
		}),
		"range with extreme numbers": pb(&etcdserverpb.RangeRequest{Key: []byte("k"), Limit: -1, Revision: math.MaxInt64, MinModRevision: math.MinInt64}),
		"range answer": pb(&etcdserverpb.RangeResponse{
			Header: header, Kvs: []*mvccpb.KeyValue{kv, {Key: []byte("l"), Value: long, Lease: -2}}, More: true, Count: 70000,
		}),
		"put": pb(&etcdserverpb.PutRequest{Key: []byte("k"), Value: long, Lease: -1, PrevKv: true, IgnoreValue: true, IgnoreLease: true}),
		"txn": pb(&etcdserverpb.TxnRequest{
			Compare: []*etcdserverpb.Compare{
				{Key: []byte("k"), Target: etcdserverpb.Compare_CREATE, TargetUnion: &etcdserverpb.Compare_CreateRevision{CreateRevision: 0}},
				{
					Key: []byte("k"), RangeEnd: []byte("l"), Target: etcdserverpb.Compare_LEASE, Result: etcdserverpb.Compare_NOT_EQUAL,
					TargetUnion: &etcdserverpb.Compare_Lease{Lease: 5},
				},
			},
			Success: []*etcdserverpb.RequestOp{
				{Request: &etcdserverpb.RequestOp_RequestPut{RequestPut: &etcdserverpb.PutRequest{Key: []byte("k"), Value: []byte("v")}}},
				{Request: &etcdserverpb.RequestOp_RequestTxn{RequestTxn: &etcdserverpb.TxnRequest{
					Failure: []*etcdserverpb.RequestOp{
						{Request: &etcdserverpb.RequestOp_RequestRange{RequestRange: &etcdserverpb.RangeRequest{Key: []byte("k")}}},
					},
				}}},
			},
			Failure: []*etcdserverpb.RequestOp{
				{Request: &etcdserverpb.RequestOp_RequestDeleteRange{RequestDeleteRange: &etcdserverpb.DeleteRangeRequest{Key: []byte("k"), PrevKv: true}}},
			},
		}),
		"watch create": pb(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{
			CreateRequest: &etcdserverpb.WatchCreateRequest{
				Key: []byte("a"), RangeEnd: []byte("b"), StartRevision: 5, ProgressNotify: true,
				Filters: []etcdserverpb.WatchCreateRequest_FilterType{etcdserverpb.WatchCreateRequest_NOPUT, etcdserverpb.WatchCreateRequest_NODELETE},
				PrevKv:  true, WatchId: math.MinInt64, Fragment: true,
			},
		}}),
		"watch progress": pb(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_ProgressRequest{
			ProgressRequest: &etcdserverpb.WatchProgressRequest{},
		}}),
		"watch events": pb(&etcdserverpb.WatchResponse{
			Header: header, WatchId: -1, Events: []*mvccpb.Event{
				{Type: mvccpb.PUT, Kv: kv, PrevKv: &mvccpb.KeyValue{Key: []byte("a/b")}},
				{Type: mvccpb.DELETE, Kv: &mvccpb.KeyValue{Key: []byte("x"), ModRevision: 301}},
			},
		}),
		"watch canceled": pb(&etcdserverpb.WatchResponse{
			Header: header, WatchId: 3, Created: true, Canceled: true, CompactRevision: 12, CancelReason: "grund: ü", Fragment: true,
		}),
		"lease keys": pb(&etcdserverpb.LeaseTimeToLiveResponse{
			Header: header, ID: 1, TTL: -1, GrantedTTL: 60, Keys: [][]byte{[]byte("a"), {}, []byte("b")},
		}),
		"members": pb(&etcdserverpb.MemberListResponse{Header: header, Members: []*etcdserverpb.Member{
			{ID: math.MaxUint64, Name: "n", PeerURLs: []string{"http://p"}, ClientURLs: []string{"http://a", "http://b"}, IsLearner: true},
		}}),
		"status": pb(&etcdserverpb.StatusResponse{
			Header: header, Version: "3.6.16", DbSize: 1 << 33, Leader: 7, RaftIndex: 8, RaftTerm: 9, RaftAppliedIndex: 10,
			Errors: []string{"e"}, DbSizeInUse: 11, IsLearner: true, StorageVersion: "3.6.0", DbSizeQuota: 12,
		}),
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(vectors); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
