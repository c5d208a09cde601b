/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ISTHMUS_FORWARD_H
#define ISTHMUS_FORWARD_H

/* BPF_PROG_TEST_RUN tells that a packet was redirected, not where to: the test object notes it in cb. */
static __always_inline void note(struct __sk_buff *skb, __u32 link, __u32 remote, __u32 vni) {
#ifdef ISTHMUS_TEST
  skb->cb[0] = link;
  skb->cb[1] = remote;
  skb->cb[2] = vni;
#endif
}

/* Encapsulates to `remote` with the sender's identity. TC_ACT_REDIRECT or TC_ACT_SHOT. */
static __always_inline int to_overlay(struct __sk_buff *skb, __be32 remote, __u32 identity) {
  struct bpf_tunnel_key key = {
    .tunnel_id = identity_to_vni(identity),
    .remote_ipv4 = bpf_ntohl(remote),
    .tunnel_ttl = TUNNEL_TTL,
  };
  if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX)) return drop(skb, DROP_ENCAPSULATION);
  /* Tells host_to_overlay, which runs next on that device, that the packet has its key. */
  skb->mark = MARK_OVERLAY | identity << 16;
  count_forward(FORWARD_TO_OVERLAY, skb->len);
  note(skb, config.overlay_link, key.remote_ipv4, key.tunnel_id);
  return bpf_redirect(config.overlay_link, 0);
}

/* Hands the packet to an endpoint of this node, past the host's stack. TC_ACT_REDIRECT or TC_ACT_SHOT. */
static __always_inline int to_endpoint(struct __sk_buff *skb, const struct endpoint_value *endpoint) {
  __u8 macs[12];
  __builtin_memcpy(macs, endpoint->mac, 6);
  __builtin_memcpy(macs + 6, endpoint->node_mac, 6);
  if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0)) return drop(skb, DROP_REWRITE);
  /* Where the inner address was another's, the packet would count as "other host" and be thrown away. */
  bpf_skb_change_type(skb, 0 /* PACKET_HOST */);
  count_forward(FORWARD_TO_ENDPOINT, skb->len);
  note(skb, endpoint->link, 0, 0);
  return bpf_redirect_peer(endpoint->link, 0);
}

/* TC_ACT_OK. */
static __always_inline int to_stack(struct __sk_buff *skb, __u32 identity) {
  skb->mark = MARK_IDENTITY | identity << 16;
  /* The inner address of a tunnelled packet is nobody's. */
  bpf_skb_change_type(skb, 0 /* PACKET_HOST */);
  count_forward(FORWARD_TO_STACK, skb->len);
  return TC_ACT_OK;
}

#endif
