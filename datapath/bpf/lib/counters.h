/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ISTHMUS_COUNTERS_H
#define ISTHMUS_COUNTERS_H

static __always_inline void count(void *map, __u32 index, __u32 bytes) {
  struct counter *c = bpf_map_lookup_elem(map, &index);
  if (!c) return;
  c->packets++;
  c->bytes += bytes;
}

static __always_inline void count_forward(enum forward_event event, __u32 bytes) {
  count(&isthmus_forward, event, bytes);
}

/* Returns TC_ACT_SHOT. */
static __always_inline int drop(struct __sk_buff *skb, enum drop_reason reason) {
  count(&isthmus_drops, reason, skb->len);
#ifdef ISTHMUS_TEST
  skb->cb[3] = reason;
#endif
  return TC_ACT_SHOT;
}

#endif
