/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a node's object includes, in order. */
#ifndef ISTHMUS_NODE_H
#define ISTHMUS_NODE_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "constants.h"
#include "structs.h"

/* Set by user space before the load; `volatile` keeps the compiler from folding the zeros it sees here. */
volatile const struct node_config config = {};

#include "maps.h"
#include "counters.h"
#include "packet.h"
#include "lookup.h"
#include "forward.h"
#include "refuse.h"
#include "select.h"
#include "nat.h"
#include "socket.h"
#include "tc.h"

#endif
