export {
  type AddressPair,
  type RouterCount,
  type RouterCounter,
  type RouterCounterOptions,
  openRouterCounter,
  routerCounts,
  routerCutKey,
  routerPrefixKey,
} from './counter.ts';
