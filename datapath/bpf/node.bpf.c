/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a node. UAPI contexts only: one object for every kernel from 6.1 on. */
#include "lib/node.h"

/* tc ingress of an endpoint's host-side device. */
SEC("tc")
int from_pod(struct __sk_buff *skb) { return handle_from_pod(skb); }

/* tc egress of an endpoint's host-side device. */
SEC("tc")
int to_pod(struct __sk_buff *skb) { return handle_to_pod(skb); }

/* tc ingress of the overlay device. */
SEC("tc")
int from_overlay(struct __sk_buff *skb) { return handle_from_overlay(skb); }

/* tc egress of the overlay device. */
SEC("tc")
int host_to_overlay(struct __sk_buff *skb) { return handle_host_to_overlay(skb); }

SEC("cgroup/connect4")
int sock4_connect(struct bpf_sock_addr *ctx) { return socket_translate(ctx); }

SEC("cgroup/sendmsg4")
int sock4_sendmsg(struct bpf_sock_addr *ctx) { return socket_translate(ctx); }

SEC("cgroup/recvmsg4")
int sock4_recvmsg(struct bpf_sock_addr *ctx) { return socket_reverse(ctx); }

SEC("cgroup/getpeername4")
int sock4_peername(struct bpf_sock_addr *ctx) { return socket_reverse(ctx); }

char _license[] SEC("license") = "Apache-2.0";
