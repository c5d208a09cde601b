/* SPDX-License-Identifier: Apache-2.0 */
/* Names have at most 15 characters: the kernel keeps no more, and the pin is called the same. */
#ifndef ISTHMUS_MAPS_H
#define ISTHMUS_MAPS_H

/* Prefix → identity and node it is reached through. Written by datapath/ipcache, read by all programs. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct ipcache_key);
  __type(value, struct ipcache_value);
  __uint(max_entries, 512000);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} isthmus_ipcache SEC(".maps");

/* Address of this node → endpoint. Written by datapath/endpoints. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct endpoint_key);
  __type(value, struct endpoint_value);
  __uint(max_entries, 65535);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} isthmus_lxc SEC(".maps");

/* Frontend and slot → backend id; slot 0 holds the count. Written by datapath/services, as are the next four. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct service_key);
  __type(value, struct service_value);
  __uint(max_entries, 262144);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} isthmus_lb4_svc SEC(".maps");

/* Backend id → address. An id belongs to one address, port and protocol as long as it is here. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u32);
  __type(value, struct backend_value);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} isthmus_lb4_be SEC(".maps");

/* rev_nat index → frontend, for tools; the programs remember the frontend per flow. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __be16);
  __type(value, struct rev_nat_value);
  __uint(max_entries, 65535);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} isthmus_lb4_rev SEC(".maps");

/* Backends that a service with affinity still has: an affinity to another is void. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct affinity_match);
  __type(value, __u8);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} isthmus_lb4_afm SEC(".maps");

/* Client and service → the backend it had last. Written by the programs. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct affinity_key);
  __type(value, struct affinity_value);
  __uint(max_entries, 16384);
} isthmus_lb4_aff SEC(".maps");

/* Socket and backend → the frontend the socket asked for. Written by connect4 and sendmsg4. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct reverse_socket_key);
  __type(value, struct reverse_socket_value);
  __uint(max_entries, 65536);
} isthmus_lb4_rsk SEC(".maps");

/* Flow at the tc level → backend and port of its own. Written by from_pod. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct nat_key);
  __type(value, struct nat_value);
  __uint(max_entries, 65536);
} isthmus_nat4 SEC(".maps");

/* What a backend answers to → the flow. Written by from_pod. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct nat_reverse_key);
  __type(value, struct nat_reverse_value);
  __uint(max_entries, 65536);
} isthmus_nat4rev SEC(".maps");

/* enum drop_reason → packets and bytes. Written by all programs. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct counter);
  __uint(max_entries, DROP_REASONS);
} isthmus_drops SEC(".maps");

/* enum forward_event → packets and bytes. Written by all programs. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct counter);
  __uint(max_entries, FORWARD_EVENTS);
} isthmus_forward SEC(".maps");

#endif
