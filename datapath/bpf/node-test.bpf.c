/* SPDX-License-Identifier: Apache-2.0 */
/* The node's programs for BPF_PROG_TEST_RUN: they note in cb where a packet went (link, remote, VNI, drop reason). */
#define ISTHMUS_TEST
#include "node.bpf.c"

/* As from_overlay, behind an outer header: cb[0] is the outer source (host order), cb[1] the VNI; both 0: no header. */
SEC("tc")
int test_from_overlay(struct __sk_buff *skb) {
  /* What is set here as the local address reads back as the remote one. */
  struct bpf_tunnel_key key = {.local_ipv4 = skb->cb[0], .tunnel_id = skb->cb[1], .tunnel_ttl = TUNNEL_TTL};
  if (skb->cb[0] && bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0)) return TC_ACT_SHOT;
  skb->cb[0] = 0;
  skb->cb[1] = 0;
  return handle_from_overlay(skb);
}
