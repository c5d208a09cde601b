export { type Fields, type Inputs, type Layout, type Values, defineLayout } from './layout.ts';
export {
  type Field,
  type FieldInput,
  type FieldValue,
  address16,
  addressFrom,
  be16,
  ipv4,
  mac,
  u16,
  u32,
  u64,
  u8,
  writeAddress,
} from './fields.ts';
export { familyIpv4, familyIpv6, familyNumber, familyOf } from './family.ts';
