/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a pod that nobody answers, as a host without a listener would: ICMP port unreachable, from the address it asked. */
#ifndef ISTHMUS_REFUSE_H
#define ISTHMUS_REFUSE_H

#define ICMP_DESTINATION_UNREACHABLE 3
#define ICMP_PORT_UNREACHABLE 3

/* The message quotes the packet it is about: its IP header and the transport header (RFC 792 asks for 8 bytes of that; a
 * TCP header stays whole, since the kernel refuses to cut one whose checksum is left to the device). */
#define QUOTED_UDP (sizeof(struct iphdr) + 8)
#define QUOTED_TCP (sizeof(struct iphdr) + 20)

struct icmp_message {
  __u8 type;
  __u8 code;
  __u16 checksum;
  __u32 unused;
  __u8 quoted[QUOTED_TCP];
};
#define ICMP_HEADER offsetof(struct icmp_message, quoted)

static __always_inline __u16 folded(__s64 sum) {
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

/* Counts the packet as dropped and answers it. TC_ACT_REDIRECT, or TC_ACT_SHOT where no answer could be made (an IP
 * header with options). For programs at the ingress of the sender's own device. */
static __always_inline int refuse(struct __sk_buff *skb, const struct packet *p, enum drop_reason reason) {
  int dropped = drop(skb, reason);
  __u32 quoted = p->protocol == IPPROTO_TCP ? QUOTED_TCP : QUOTED_UDP;
  struct icmp_message message = {};
  struct iphdr ip = {};
  __u8 macs[12], swapped[12];
  if (p->l4 != ETH_HEADER + sizeof(ip)) return dropped;
  if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs))) return dropped;
  if (bpf_skb_load_bytes(skb, ETH_HEADER, message.quoted, quoted)) return dropped;
  message.type = ICMP_DESTINATION_UNREACHABLE;
  message.code = ICMP_PORT_UNREACHABLE;
  message.checksum = folded(bpf_csum_diff(NULL, 0, (__be32 *)&message, ICMP_HEADER + quoted, 0));
  ip.version = 4;
  ip.ihl = sizeof(ip) / 4;
  ip.tot_len = bpf_htons(sizeof(ip) + ICMP_HEADER + quoted);
  ip.ttl = 64;
  ip.protocol = IPPROTO_ICMP;
  ip.saddr = p->destination;
  ip.daddr = p->source;
  ip.check = folded(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
  __builtin_memcpy(swapped, macs + 6, 6);
  __builtin_memcpy(swapped + 6, macs, 6);
  if (bpf_skb_change_tail(skb, ETH_HEADER + quoted, 0)) return dropped;
  if (bpf_skb_adjust_room(skb, sizeof(ip) + ICMP_HEADER, BPF_ADJ_ROOM_MAC, 0)) return dropped;
  if (bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0)) return dropped;
  if (bpf_skb_store_bytes(skb, ETH_HEADER, &ip, sizeof(ip), 0)) return dropped;
  if (bpf_skb_store_bytes(skb, ETH_HEADER + sizeof(ip), &message, ICMP_HEADER, 0)) return dropped;
  note(skb, skb->ifindex, 0, 0);
  return bpf_redirect(skb->ifindex, 0);
}

#endif
