/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ISTHMUS_SELECT_H
#define ISTHMUS_SELECT_H

/* What a look-up in the service maps came to. */
struct selection {
  struct backend_value *backend; /* NULL: the service has none */
  __u32 backend_id;
  __be16 rev_nat;
};

/* Who a service with affinity takes a client for. */
struct client {
  __u64 id;
  __u8 netns_cookie; /* socket level: the network namespace; tc level: the address */
};

static __always_inline struct service_value *service_of(__be32 address, __be16 port, __u8 protocol) {
  struct service_key key = {.address = address, .port = port, .protocol = protocol};
  return bpf_map_lookup_elem(&isthmus_lb4_svc, &key);
}

static __always_inline struct backend_value *backend_of(__u32 id) {
  return bpf_map_lookup_elem(&isthmus_lb4_be, &id);
}

static __always_inline __u32 affine_backend(const struct affinity_key *key, __u32 seconds) {
  struct affinity_value *last = bpf_map_lookup_elem(&isthmus_lb4_aff, key);
  struct affinity_match match = {.rev_nat = key->rev_nat};
  if (!last || last->last_used + (__u64)seconds * 1000000000ull <= bpf_ktime_get_ns()) return 0;
  match.backend_id = last->backend_id;
  return bpf_map_lookup_elem(&isthmus_lb4_afm, &match) ? match.backend_id : 0;
}

/* Chooses a backend of the service: the client's own while it has affinity, else any by chance. */
static __always_inline void select_backend(const struct service_value *master, __be32 address, __be16 port,
                                           __u8 protocol, const struct client *client,
                                           struct selection *chosen) {
  struct service_key key = {.address = address, .port = port, .protocol = protocol};
  struct affinity_key affinity = {};
  __u32 seconds = master->flags & SERVICE_AFFINITY ? master->backend_id & 0xffffff : 0;
  __u16 count = master->count;

  chosen->backend = NULL;
  chosen->backend_id = 0;
  chosen->rev_nat = master->rev_nat;
  if (!count) return;
  if (seconds) {
    affinity.client = client->id;
    affinity.netns_cookie = client->netns_cookie;
    affinity.rev_nat = master->rev_nat;
    chosen->backend_id = affine_backend(&affinity, seconds);
    if (chosen->backend_id) chosen->backend = backend_of(chosen->backend_id);
  }
  for (int i = 0; i < SELECT_TRIES && !chosen->backend; i++) {
    struct service_value *slot;
    /* The last try is slot 1, which is there as long as anything is. */
    key.slot = i == SELECT_TRIES - 1 ? 1 : bpf_get_prandom_u32() % count + 1;
    slot = bpf_map_lookup_elem(&isthmus_lb4_svc, &key);
    if (!slot) continue;
    chosen->backend_id = slot->backend_id;
    chosen->backend = backend_of(slot->backend_id);
  }
  if (seconds && chosen->backend) {
    struct affinity_value value = {.last_used = bpf_ktime_get_ns(), .backend_id = chosen->backend_id};
    bpf_map_update_elem(&isthmus_lb4_aff, &affinity, &value, BPF_ANY);
  }
}

#endif
