/** Bits of the column `kind` of the table of addresses: the row holds a claim. */
export const used = 1;
/** The address is a number of a wide one: IPv6, or a block. */
export const wide = 2;
/** The value carries a mask. */
export const cidr = 4;
/** Another cluster's claim of the same prefix wins. */
export const beaten = 8;
/** The details could not be taken apart: they lie whole in `rest`. */
export const raw = 16;
