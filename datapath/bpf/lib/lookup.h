/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ISTHMUS_LOOKUP_H
#define ISTHMUS_LOOKUP_H

/* Keys start from zeros: the compiler would keep a part-constant initialiser in .rodata, which is the configuration's. */
static __always_inline struct endpoint_value *endpoint_of(__be32 address) {
  struct endpoint_key key = {};
  key.family = FAMILY_IPV4;
  __builtin_memcpy(key.address, &address, 4);
  return bpf_map_lookup_elem(&isthmus_lxc, &key);
}

static __always_inline struct ipcache_value *ipcache_of(__be32 address) {
  struct ipcache_key key = {};
  key.prefix_length = IPCACHE_PREFIX_BASE + 32;
  key.family = FAMILY_IPV4;
  __builtin_memcpy(key.address, &address, 4);
  return bpf_map_lookup_elem(&isthmus_ipcache, &key);
}

/* Node that the entry's packets travel to, or 0 when they do not travel through an IPv4 tunnel. */
static __always_inline __be32 tunnel_of(const struct ipcache_value *value) {
  __be32 endpoint;
  if (!(value->flags & IPCACHE_HAS_TUNNEL) || value->flags & (IPCACHE_SKIP_TUNNEL | IPCACHE_TUNNEL_IS_IPV6)) return 0;
  __builtin_memcpy(&endpoint, value->tunnel_endpoint, 4);
  return endpoint;
}

/* The identity as it travels in the VNI: 24 bits, and the sender's own host is a remote node to the receiver. */
static __always_inline __u32 identity_to_vni(__u32 identity) {
  if (identity == IDENTITY_HOST) return IDENTITY_REMOTE_NODE;
  if (identity == IDENTITY_WORLD_IPV4 || identity == IDENTITY_WORLD_IPV6) return IDENTITY_WORLD;
  return identity & 0xffffff;
}

static __always_inline int is_remote_node(__u32 identity) {
  return identity == IDENTITY_REMOTE_NODE || identity == IDENTITY_KUBE_APISERVER ||
         (identity & IDENTITY_SCOPE_MASK) == IDENTITY_SCOPE_REMOTE_NODE;
}

#endif
