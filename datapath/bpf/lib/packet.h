/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ISTHMUS_PACKET_H
#define ISTHMUS_PACKET_H

#define ETH_HEADER 14
#define OFFSET_SOURCE (ETH_HEADER + offsetof(struct iphdr, saddr))
#define OFFSET_DESTINATION (ETH_HEADER + offsetof(struct iphdr, daddr))
#define OFFSET_IP_CHECKSUM (ETH_HEADER + offsetof(struct iphdr, check))
#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff

/* An IPv4 packet as far as the programs look at it. */
struct packet {
  __be32 source;
  __be32 destination;
  __be16 source_port; /* 0 without ports */
  __be16 destination_port;
  __u16 l4; /* offset of the transport header */
  __u8 protocol;
  __u8 tcp_flags; /* 0 unless TCP */
  __u8 has_ports; /* TCP or UDP, and not a fragment */
  __u8 first_fragment; /* ports are told, and further fragments without any will follow */
};

/* Is there a whole IPv4 header behind the Ethernet header? Pulls it into the linear part where it is not. */
static __always_inline struct iphdr *ipv4_header(struct __sk_buff *skb) {
  void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  if (data + ETH_HEADER + sizeof(struct iphdr) > end) {
    if (bpf_skb_pull_data(skb, ETH_HEADER + sizeof(struct iphdr))) return NULL;
    data = (void *)(long)skb->data;
    end = (void *)(long)skb->data_end;
    if (data + ETH_HEADER + sizeof(struct iphdr) > end) return NULL;
  }
  return data + ETH_HEADER;
}

/* DROP_NONE, or why the packet cannot be read. */
static __always_inline enum drop_reason parse_ipv4(struct __sk_buff *skb, struct packet *p) {
  struct iphdr *ip = ipv4_header(skb);
  __be16 ports[2];
  int transport, fragment, offset;
  if (!ip || ip->version != 4 || ip->ihl < 5) return DROP_MALFORMED;
  p->source = ip->saddr;
  p->destination = ip->daddr;
  p->protocol = ip->protocol;
  p->l4 = ETH_HEADER + ip->ihl * 4;
  fragment = (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET)) != 0;
  offset = (ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET)) != 0;
  transport = p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP;
  p->source_port = 0;
  p->destination_port = 0;
  p->tcp_flags = 0;
  p->has_ports = transport && !fragment;
  p->first_fragment = transport && fragment && !offset;
  if (!p->has_ports && !p->first_fragment) return DROP_NONE;
  if (bpf_skb_load_bytes(skb, p->l4, ports, sizeof(ports))) return DROP_MALFORMED;
  p->source_port = ports[0];
  p->destination_port = ports[1];
  if (p->has_ports && p->protocol == IPPROTO_TCP && bpf_skb_load_bytes(skb, p->l4 + 13, &p->tcp_flags, 1)) return DROP_MALFORMED;
  return DROP_NONE;
}

/* Writes a new address (at `ip_offset`) and port (at `port_offset` of the transport header) and mends both checksums.
 * Pointers into the packet are void afterwards. 0, or negative. */
static __always_inline int rewrite(struct __sk_buff *skb, const struct packet *p, __u32 ip_offset, __be32 old_address,
                                   __be32 address, __u32 port_offset, __be16 old_port, __be16 port) {
  __u32 checksum = p->l4 + (p->protocol == IPPROTO_TCP ? 16 : 6);
  /* UDP without checksum keeps none, and a checksum that comes out as 0 is written as 0xffff. */
  __u64 flags = p->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
  if (address != old_address) {
    if (bpf_l4_csum_replace(skb, checksum, old_address, address, flags | BPF_F_PSEUDO_HDR | 4)) return -1;
    if (bpf_l3_csum_replace(skb, OFFSET_IP_CHECKSUM, old_address, address, 4)) return -1;
    if (bpf_skb_store_bytes(skb, ip_offset, &address, 4, 0)) return -1;
  }
  if (port != old_port) {
    if (bpf_l4_csum_replace(skb, checksum, old_port, port, flags | 2)) return -1;
    if (bpf_skb_store_bytes(skb, p->l4 + port_offset, &port, 2, 0)) return -1;
  }
  return 0;
}

static __always_inline int rewrite_source(struct __sk_buff *skb, struct packet *p, __be32 address, __be16 port) {
  int rc = rewrite(skb, p, OFFSET_SOURCE, p->source, address, 0, p->source_port, port);
  p->source = address;
  p->source_port = port;
  return rc;
}

static __always_inline int rewrite_destination(struct __sk_buff *skb, struct packet *p, __be32 address, __be16 port) {
  int rc = rewrite(skb, p, OFFSET_DESTINATION, p->destination, address, 2, p->destination_port, port);
  p->destination = address;
  p->destination_port = port;
  return rc;
}

#endif
