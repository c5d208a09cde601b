/* SPDX-License-Identifier: Apache-2.0 */
/* Services at the socket level: the address is exchanged before a packet exists. 1 lets the call pass, 0 refuses it. */
#ifndef ISTHMUS_SOCKET_H
#define ISTHMUS_SOCKET_H

#define SOCKET_PASS 1
#define SOCKET_REFUSE 0

static __always_inline int socket_translate(struct bpf_sock_addr *ctx) {
  __be32 address = ctx->user_ip4;
  __be16 port = ctx->user_port;
  __u8 protocol = ctx->protocol;
  struct service_value *master;
  struct selection chosen;
  struct client client = {.netns_cookie = 1};
  struct reverse_socket_key key = {};
  struct reverse_socket_value value = {};
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return SOCKET_PASS;
  master = service_of(address, port, protocol);
  if (!master) return SOCKET_PASS;
  if (master->flags & SERVICE_AFFINITY) client.id = bpf_get_netns_cookie(ctx);
  select_backend(master, address, port, protocol, &client, &chosen);
  if (!chosen.backend) {
    count(&isthmus_drops, DROP_NO_BACKEND, 0);
    bpf_set_retval(-ECONNREFUSED);
    return SOCKET_REFUSE;
  }
  key.cookie = bpf_get_socket_cookie(ctx);
  key.address = chosen.backend->address;
  key.port = chosen.backend->port;
  value.address = address;
  value.port = port;
  value.rev_nat = chosen.rev_nat;
  /* Without the entry the socket would see its backend as the peer; nothing breaks for TCP. */
  bpf_map_update_elem(&isthmus_lb4_rsk, &key, &value, BPF_ANY);
  ctx->user_ip4 = key.address;
  ctx->user_port = key.port;
  count_forward(FORWARD_SERVICE_SOCKET, 0);
  return SOCKET_PASS;
}

static __always_inline int socket_reverse(struct bpf_sock_addr *ctx) {
  struct reverse_socket_key key = {.address = ctx->user_ip4, .port = ctx->user_port};
  struct reverse_socket_value *value;
  key.cookie = bpf_get_socket_cookie(ctx);
  value = bpf_map_lookup_elem(&isthmus_lb4_rsk, &key);
  if (!value) return SOCKET_PASS;
  ctx->user_ip4 = value->address;
  ctx->user_port = value->port;
  count_forward(FORWARD_REVERSE_SOCKET, 0);
  return SOCKET_PASS;
}

#endif
