/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ISTHMUS_CONSTANTS_H
#define ISTHMUS_CONSTANTS_H

/* Reserved identities (Cilium pkg/identity); they mean the same in every cluster. */
#define IDENTITY_HOST 1
#define IDENTITY_WORLD 2
#define IDENTITY_REMOTE_NODE 6
#define IDENTITY_KUBE_APISERVER 7
#define IDENTITY_WORLD_IPV4 9
#define IDENTITY_WORLD_IPV6 10
/* Below are reserved, well-known and user-reserved numbers. */
#define IDENTITY_FIRST_ALLOCATABLE 256
#define IDENTITY_SCOPE_MASK 0xff000000u
#define IDENTITY_SCOPE_REMOTE_NODE 0x02000000u

#define FAMILY_IPV4 1

/* Flags of an ipcache value. */
#define IPCACHE_SKIP_TUNNEL 0x01
#define IPCACHE_HAS_TUNNEL 0x02
#define IPCACHE_TUNNEL_IS_IPV6 0x04
#define IPCACHE_REMOTE_CLUSTER 0x08
/* Static bits of an ipcache key before the address: cluster, padding, family. */
#define IPCACHE_PREFIX_BASE 32

/* Flags of an endpoint value. */
#define ENDPOINT_HOST 1

/* Backend states; only active ones are chosen while there is one. */
#define BACKEND_ACTIVE 0
#define BACKEND_TERMINATING 1

/* Flags of a service value. */
#define SERVICE_AFFINITY 16

/* Marks, mask 0x0f00: the upper 16 bits carry the low part of the source identity. */
#define MARK_MASK 0x0f00
#define MARK_OVERLAY 0x0400
#define MARK_IDENTITY 0x0f00

#define TUNNEL_TTL 64

/* 169.254.42.1, Cilium's: whom a pod that is its own backend seems to talk to at the tc level. */
#define HAIRPIN_ADDRESS bpf_htonl(0xa9fe2a01)

/* A SYN of a known flow younger than this is a retransmission and keeps its backend; an older one chooses anew, so
 * that a used-again source port, and a client whose backend does not answer, get a backend of now. */
#define SYN_KEEPS_BACKEND_NS 2000000000ull
/* A UDP flow that was silent for longer chooses anew. */
#define UDP_IDLE_NS 60000000000ull
/* The port of a closed flow rests this long before another flow gets it. */
#define CLOSED_REST_NS 1000000000ull
/* `last_used` is written at most this often, so that a busy flow does not dirty its entry on every packet. */
#define TOUCH_NS 1000000000ull
/* Ports tried before a flow is refused one. */
#define NAT_PORT_TRIES 16
/* A master and a slot are two look-ups; between them user space may have shortened the list. */
#define SELECT_TRIES 3

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define FLOW_CLIENT_FIN 1
#define FLOW_PEER_FIN 2
#define FLOW_RST 4

/* Why a packet or a connect was refused: index of isthmus_drops. datapath/drops/reasons.ts names them. */
enum drop_reason {
  DROP_NONE = 0,
  DROP_SPOOFED_SOURCE = 1,
  DROP_UNSUPPORTED_PROTOCOL = 2,
  DROP_MALFORMED = 3,
  DROP_NO_TUNNEL_KEY = 4,
  DROP_FORGED_TUNNEL_SOURCE = 5,
  DROP_INVALID_IDENTITY = 6,
  DROP_UNKNOWN_ENDPOINT = 7,
  DROP_ENCAPSULATION = 8,
  DROP_NO_BACKEND = 9,
  DROP_NO_NAT_PORT = 10,
  DROP_HAIRPIN = 11,
  DROP_REWRITE = 12,
  DROP_FRAGMENT = 13,
  DROP_REASONS = 32,
};

/* What was done: index of isthmus_forward. datapath/drops/reasons.ts names them. */
enum forward_event {
  FORWARD_TO_OVERLAY = 0,
  FORWARD_TO_ENDPOINT = 1,
  FORWARD_TO_STACK = 2,
  FORWARD_FROM_OVERLAY = 3,
  FORWARD_SERVICE_TC = 4,
  FORWARD_SERVICE_SOCKET = 5,
  FORWARD_REVERSE_TC = 6,
  FORWARD_REVERSE_SOCKET = 7,
  FORWARD_EVENTS = 16,
};

#endif
