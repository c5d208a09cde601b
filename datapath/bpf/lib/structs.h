/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of the maps. Sizes and offsets of the first six are Cilium's (cilium 1.20); datapath/codec and the
 * drivers mirror every struct, and a test compares them with this object's BTF. `__be…` are in network order. */
#ifndef ISTHMUS_STRUCTS_H
#define ISTHMUS_STRUCTS_H

struct ipcache_key {
  __u32 prefix_length; /* counted from `cluster` */
  __u16 cluster;
  __u8 pad;
  __u8 family;
  __u8 address[16];
};

struct ipcache_value {
  __u32 identity;
  __u8 tunnel_endpoint[16];
  __u16 pad;
  __u8 encrypt_key;
  __u8 flags;
};

struct endpoint_key {
  __u8 address[16];
  __u8 family;
  __u8 key;
  __u16 cluster;
};

struct endpoint_value {
  __u32 link;
  __u16 unused;
  __u16 endpoint_id;
  __u32 flags;
  __u32 pad;
  __u8 mac[8];
  __u8 node_mac[8];
  __u32 identity;
  __u32 parent_link;
  __u8 pad2[8];
};

struct service_key {
  __be32 address;
  __be16 port;
  __u16 slot; /* 0: master */
  __u8 protocol;
  __u8 scope;
  __u16 pad;
};

struct service_value {
  __u32 backend_id; /* master: seconds of affinity in the low 24 bits, algorithm (1 random) in the high 8 */
  __u16 count;
  __be16 rev_nat;
  __u8 flags;
  __u8 flags2;
  __u16 quarantined;
};

struct backend_value {
  __be32 address;
  __be16 port;
  __u8 protocol;
  __u8 state;
  __u16 cluster;
  __u8 zone;
  __u8 pad;
};

struct rev_nat_value {
  __be32 address;
  __be16 port;
} __attribute__((packed));

struct affinity_key {
  __u64 client;
  __be16 rev_nat;
  __u8 netns_cookie;
  __u8 pad;
  __u32 pad2;
};

struct affinity_value {
  __u64 last_used;
  __u32 backend_id;
  __u32 pad;
};

struct affinity_match {
  __u32 backend_id;
  __be16 rev_nat;
  __u16 pad;
};

/* Reverse entries of the socket level: who the socket thinks it talks to. */
struct reverse_socket_key {
  __u64 cookie;
  __be32 address;
  __be16 port;
  __u16 pad;
};

struct reverse_socket_value {
  __be32 address;
  __be16 port;
  __be16 rev_nat;
};

/* Flows of the tc level. Forward: the client's own words. */
struct nat_key {
  __be32 client;
  __be32 service;
  __be16 client_port;
  __be16 service_port;
  __u8 protocol;
  __u8 pad[3];
};

struct nat_value {
  __u64 created;
  __u64 last_used;
  __be32 backend;
  __be16 backend_port;
  __be16 nat_port;
  __u32 backend_id;
  __u32 flags;
};

/* Reverse: what the backend answers to. */
struct nat_reverse_key {
  __be32 client;
  __be32 backend;
  __be16 nat_port;
  __be16 backend_port;
  __u8 protocol;
  __u8 pad[3];
};

struct nat_reverse_value {
  __be32 service;
  __be16 service_port;
  __be16 client_port;
};

struct counter {
  __u64 packets;
  __u64 bytes;
};

/* `.rodata`, written before the object is loaded. */
struct node_config {
  __u32 overlay_link;
  __be32 node_address;
  __u16 nat_port_min; /* ports the tc level may choose from; outside the pods' own ephemeral range */
  __u16 nat_port_max;
  __u32 pad;
};

#endif
