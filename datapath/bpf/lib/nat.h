/* SPDX-License-Identifier: Apache-2.0 */
/* Services at the tc level. A flow gets a backend and a source port of its own from a range that pods do not use by
 * themselves: a connection of the same pod that goes to the same backend directly, or was translated at the socket
 * level, can therefore never have the same tuple. */
#ifndef ISTHMUS_NAT_H
#define ISTHMUS_NAT_H

static __always_inline int flow_closed(const struct nat_value *flow) {
  return flow->flags & FLOW_RST || (flow->flags & (FLOW_CLIENT_FIN | FLOW_PEER_FIN)) == (FLOW_CLIENT_FIN | FLOW_PEER_FIN);
}

/* Does a flow's next packet go where the last one went? An established connection stays with its backend to the end,
 * also when the service no longer lists it: taking it elsewhere would only reset it. */
static __always_inline int flow_holds(const struct nat_value *flow, const struct packet *p, __u64 now) {
  struct backend_value *backend;
  if (p->protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) return 1;
  if (p->protocol == IPPROTO_TCP && (flow_closed(flow) || now - flow->created > SYN_KEEPS_BACKEND_NS)) return 0;
  if (p->protocol == IPPROTO_UDP && now - flow->last_used > UDP_IDLE_NS) return 0;
  backend = backend_of(flow->backend_id);
  return backend && backend->state == BACKEND_ACTIVE && backend->address == flow->backend &&
         backend->port == flow->backend_port;
}

/* The pod whose flow it is: one that is its own backend is known to itself by another address. */
static __always_inline __be32 client_of(const struct nat_reverse_key *key) {
  return key->client == HAIRPIN_ADDRESS ? key->backend : key->client;
}

/* Is the port's flow over? */
static __always_inline int port_is_free(const struct nat_reverse_key *key, const struct nat_reverse_value *value,
                                        __u64 now) {
  struct nat_key forward = {
    .client = client_of(key),
    .service = value->service,
    .client_port = value->client_port,
    .service_port = value->service_port,
    .protocol = key->protocol,
  };
  struct nat_value *flow = bpf_map_lookup_elem(&isthmus_nat4, &forward);
  if (!flow || flow->nat_port != key->nat_port || flow->backend != key->backend) return 1;
  if (key->protocol == IPPROTO_UDP) return now - flow->last_used > UDP_IDLE_NS;
  return flow_closed(flow) && now - flow->last_used > CLOSED_REST_NS;
}

/* A port that no living flow between this pod and this backend has; 0 when none was found. */
static __always_inline __be16 take_port(struct nat_reverse_key *key, const struct nat_reverse_value *value, __u64 now) {
  __u32 range = (__u32)config.nat_port_max - config.nat_port_min + 1;
  for (int i = 0; i < NAT_PORT_TRIES; i++) {
    struct nat_reverse_value *taken;
    key->nat_port = bpf_htons(config.nat_port_min + bpf_get_prandom_u32() % range);
    taken = bpf_map_lookup_elem(&isthmus_nat4rev, key);
    if (taken && !port_is_free(key, taken, now)) continue;
    /* NOEXIST: another CPU may take the same free port at this moment. */
    if (!bpf_map_update_elem(&isthmus_nat4rev, key, value, taken ? BPF_EXIST : BPF_NOEXIST)) return key->nat_port;
  }
  return 0;
}

/* Service look-up and DNAT of a pod's packet; `p` is as the packet afterwards. DROP_NONE also when the destination is
 * no service. */
static __always_inline enum drop_reason translate_service(struct __sk_buff *skb, struct packet *p) {
  struct nat_key key = {
    .client = p->source,
    .service = p->destination,
    .client_port = p->source_port,
    .service_port = p->destination_port,
    .protocol = p->protocol,
  };
  struct service_value *master = service_of(p->destination, p->destination_port, p->protocol);
  struct nat_value *flow;
  __be32 backend, source;
  __be16 backend_port, nat_port;
  __u64 now;
  if (!master) return DROP_NONE;

  now = bpf_ktime_get_ns();
  flow = bpf_map_lookup_elem(&isthmus_nat4, &key);
  if (flow && flow_holds(flow, p, now)) {
    if (p->tcp_flags & TCP_RST) flow->flags |= FLOW_RST;
    if (p->tcp_flags & TCP_FIN) flow->flags |= FLOW_CLIENT_FIN;
    if (now - flow->last_used > TOUCH_NS || p->tcp_flags & (TCP_RST | TCP_FIN)) flow->last_used = now;
    backend = flow->backend;
    backend_port = flow->backend_port;
    nat_port = flow->nat_port;
  } else {
    struct client client = {.id = p->source};
    struct selection chosen;
    struct nat_reverse_key reverse = {.protocol = p->protocol};
    struct nat_reverse_value value = {
      .service = p->destination,
      .service_port = p->destination_port,
      .client_port = p->source_port,
    };
    struct nat_value fresh = {.created = now, .last_used = now};
    select_backend(master, p->destination, p->destination_port, p->protocol, &client, &chosen);
    if (!chosen.backend) return DROP_NO_BACKEND;
    backend = chosen.backend->address;
    backend_port = chosen.backend->port;
    reverse.client = backend == p->source ? HAIRPIN_ADDRESS : p->source;
    reverse.backend = backend;
    reverse.backend_port = backend_port;
    nat_port = take_port(&reverse, &value, now);
    if (!nat_port) return DROP_NO_NAT_PORT;
    fresh.backend = backend;
    fresh.backend_port = backend_port;
    fresh.nat_port = nat_port;
    fresh.backend_id = chosen.backend_id;
    if (bpf_map_update_elem(&isthmus_nat4, &key, &fresh, BPF_ANY)) return DROP_NO_NAT_PORT;
  }
  /* A pod that is its own backend would throw a packet away that comes from itself, and would answer without us. */
  source = backend == p->source ? HAIRPIN_ADDRESS : p->source;
  if (rewrite_destination(skb, p, backend, backend_port)) return DROP_REWRITE;
  if (rewrite_source(skb, p, source, nat_port)) return DROP_REWRITE;
  count_forward(FORWARD_SERVICE_TC, skb->len);
  return DROP_NONE;
}

/* Turns a backend's answer into the service's, on the way to the pod. */
static __always_inline enum drop_reason reverse_service(struct __sk_buff *skb, struct packet *p) {
  struct nat_reverse_key key = {
    .client = p->destination,
    .backend = p->source,
    .nat_port = p->destination_port,
    .backend_port = p->source_port,
    .protocol = p->protocol,
  };
  struct nat_reverse_value *found, value;
  __be32 client = client_of(&key);
  __u16 port = bpf_ntohs(p->destination_port);
  /* Only these ports are ever given out: most packets need no look-up. */
  if (!p->has_ports || port < config.nat_port_min || port > config.nat_port_max) return DROP_NONE;
  found = bpf_map_lookup_elem(&isthmus_nat4rev, &key);
  if (!found) return DROP_NONE;
  value = *found;
  if (p->tcp_flags & (TCP_RST | TCP_FIN)) {
    struct nat_key forward = {
      .client = client,
      .service = value.service,
      .client_port = value.client_port,
      .service_port = value.service_port,
      .protocol = p->protocol,
    };
    struct nat_value *flow = bpf_map_lookup_elem(&isthmus_nat4, &forward);
    if (flow && flow->nat_port == key.nat_port) flow->flags |= p->tcp_flags & TCP_RST ? FLOW_RST : FLOW_PEER_FIN;
  }
  if (rewrite_source(skb, p, value.service, value.service_port)) return DROP_REWRITE;
  if (rewrite_destination(skb, p, client, value.client_port)) return DROP_REWRITE;
  count_forward(FORWARD_REVERSE_TC, skb->len);
  return DROP_NONE;
}

#endif
