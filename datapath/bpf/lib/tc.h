/* SPDX-License-Identifier: Apache-2.0 */
/* The tc programs as functions, so that the test object can call them behind a wrapper. */
#ifndef ISTHMUS_TC_H
#define ISTHMUS_TC_H

/* The last step toward an endpoint of this node, on every way: answers of services, then delivery. */
static __always_inline int deliver(struct __sk_buff *skb, struct packet *p, const struct endpoint_value *endpoint) {
  enum drop_reason reason = reverse_service(skb, p);
  return reason ? drop(skb, reason) : to_endpoint(skb, endpoint);
}

static __always_inline int handle_from_pod(struct __sk_buff *skb) {
  struct packet p;
  struct endpoint_value *source, *local;
  struct ipcache_value *remote;
  enum drop_reason reason;
  __u32 identity;

  if (skb->protocol == bpf_htons(ETH_P_ARP)) return TC_ACT_OK;
  if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, DROP_UNSUPPORTED_PROTOCOL);
  reason = parse_ipv4(skb, &p);
  if (reason) return drop(skb, reason);

  /* A pod speaks with its own address only; its identity comes from the map, never from the packet. */
  source = endpoint_of(p.source);
  if (!source || source->link != skb->ifindex) return drop(skb, DROP_SPOOFED_SOURCE);
  identity = source->identity;

  if (p.destination == HAIRPIN_ADDRESS) {
    /* What a pod that is its own backend answers to itself. */
    reason = reverse_service(skb, &p);
    if (!reason && p.destination == HAIRPIN_ADDRESS) reason = DROP_HAIRPIN;
    return reason ? drop(skb, reason) : to_endpoint(skb, source);
  }
  if (p.has_ports) {
    reason = translate_service(skb, &p);
    if (reason == DROP_NO_BACKEND) return refuse(skb, &p, reason);
    if (reason) return drop(skb, reason);
  } else if (p.first_fragment && service_of(p.destination, p.destination_port, p.protocol)) {
    /* The fragments behind it have no ports and could not follow it to a backend. */
    return drop(skb, DROP_FRAGMENT);
  }

  local = endpoint_of(p.destination);
  if (local) return local->flags & ENDPOINT_HOST ? to_stack(skb, identity) : deliver(skb, &p, local);

  remote = ipcache_of(p.destination);
  if (remote) {
    __be32 node = tunnel_of(remote);
    if (node && node != config.node_address) return to_overlay(skb, node, identity);
    /* An address of this node's pods, by its prefix or as one of the mesh without tunnel, that has no endpoint (yet, or
     * no more): routing it would send it out of the node. */
    if (node || (remote->identity >= IDENTITY_FIRST_ALLOCATABLE && !(remote->identity & IDENTITY_SCOPE_MASK) &&
                 !(remote->flags & IPCACHE_SKIP_TUNNEL)))
      return drop(skb, DROP_UNKNOWN_ENDPOINT);
  }
  return to_stack(skb, identity);
}

static __always_inline int handle_from_overlay(struct __sk_buff *skb) {
  struct bpf_tunnel_key key = {};
  struct packet p;
  struct endpoint_value *local;
  struct ipcache_value *source;
  enum drop_reason reason;
  __u32 identity;
  __be32 outer;

  if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) return drop(skb, DROP_NO_TUNNEL_KEY);
  if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, DROP_UNSUPPORTED_PROTOCOL);
  reason = parse_ipv4(skb, &p);
  if (reason) return drop(skb, reason);

  identity = key.tunnel_id;
  if (identity == IDENTITY_HOST) return drop(skb, DROP_INVALID_IDENTITY);

  /* Nothing else ties the VNI to its sender: whoever reaches the UDP port could claim any identity. */
  outer = bpf_htonl(key.remote_ipv4);
  source = ipcache_of(p.source);
  if (p.source != outer && (!source || tunnel_of(source) != outer)) return drop(skb, DROP_FORGED_TUNNEL_SOURCE);
  if (is_remote_node(identity) && source) identity = source->identity;

  local = endpoint_of(p.destination);
  if (!local) return drop(skb, DROP_UNKNOWN_ENDPOINT);
  count_forward(FORWARD_FROM_OVERLAY, skb->len);
  if (local->flags & ENDPOINT_HOST) return to_stack(skb, identity);
#ifdef ISTHMUS_TEST
  skb->mark = identity;
#endif
  return deliver(skb, &p, local);
}

/* Packets of the node itself toward pods of other nodes: routed to the overlay device, which has no address to send
 * them to until it is told here. */
static __always_inline int handle_host_to_overlay(struct __sk_buff *skb) {
  struct bpf_tunnel_key key = {.tunnel_id = IDENTITY_REMOTE_NODE, .tunnel_ttl = TUNNEL_TTL};
  struct ipcache_value *remote;
  struct iphdr *ip;
  __be32 node;
  if ((skb->mark & MARK_MASK) == MARK_OVERLAY) return TC_ACT_OK;
  if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, DROP_UNSUPPORTED_PROTOCOL);
  ip = ipv4_header(skb);
  if (!ip) return drop(skb, DROP_MALFORMED);
  remote = ipcache_of(ip->daddr);
  node = remote ? tunnel_of(remote) : 0;
  if (!node) return drop(skb, DROP_UNKNOWN_ENDPOINT);
  key.remote_ipv4 = bpf_ntohl(node);
  if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX)) return drop(skb, DROP_ENCAPSULATION);
  count_forward(FORWARD_TO_OVERLAY, skb->len);
  note(skb, 0, key.remote_ipv4, key.tunnel_id);
  return TC_ACT_OK;
}

/* Packets that the host's stack routed to an endpoint. */
static __always_inline int handle_to_pod(struct __sk_buff *skb) {
  struct packet p;
  enum drop_reason reason;
  if (skb->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_OK;
  reason = parse_ipv4(skb, &p);
  if (!reason) reason = reverse_service(skb, &p);
  if (reason) return drop(skb, reason);
  count_forward(FORWARD_TO_ENDPOINT, skb->len);
  return TC_ACT_OK;
}

#endif
