/* SPDX-License-Identifier: Apache-2.0 */
/* The lab's router: proves that no pod address travels outside a tunnel, and cuts links. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct router_prefix_key {
  __u32 prefix_length;
  __be32 address;
};

struct router_cut_key {
  __be32 source;
  __be32 destination;
};

struct router_counter {
  __u64 packets;
  __u64 bytes;
};

enum router_count {
  ROUTER_SEEN = 0,
  ROUTER_POD_ADDRESS = 1,
  ROUTER_CUT = 2,
  ROUTER_COUNTS = 4,
};

/* Pod CIDRs. Written by datapath/router. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct router_prefix_key);
  __type(value, __u32);
  __uint(max_entries, 1024);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} router_cidrs SEC(".maps");

/* Pairs of underlay addresses, one direction each, whose packets are dropped. Written by datapath/router. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct router_cut_key);
  __type(value, __u32);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} router_cut SEC(".maps");

/* enum router_count → packets and bytes. Written by the program. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct router_counter);
  __uint(max_entries, ROUTER_COUNTS);
} router_counts SEC(".maps");

static __always_inline void count(__u32 index, __u32 bytes) {
  struct router_counter *c = bpf_map_lookup_elem(&router_counts, &index);
  if (!c) return;
  c->packets++;
  c->bytes += bytes;
}

static __always_inline int is_pod(__be32 address) {
  struct router_prefix_key key = {.prefix_length = 32, .address = address};
  return bpf_map_lookup_elem(&router_cidrs, &key) != NULL;
}

/* tc ingress of each port. */
SEC("tc")
int router(struct __sk_buff *skb) {
  struct router_cut_key pair;
  if (skb->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_OK;
  if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, saddr), &pair, sizeof(pair))) return TC_ACT_OK;
  count(ROUTER_SEEN, skb->len);
  if (is_pod(pair.source) || is_pod(pair.destination)) count(ROUTER_POD_ADDRESS, skb->len);
  if (bpf_map_lookup_elem(&router_cut, &pair)) {
    count(ROUTER_CUT, skb->len);
    return TC_ACT_SHOT;
  }
  return TC_ACT_OK;
}

char _license[] SEC("license") = "Apache-2.0";
