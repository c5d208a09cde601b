export {
  type KernelFeature,
  type KernelFeatureName,
  type KernelReport,
  probeKernel,
  requireFeatures,
} from './probe-kernel.ts';
export { hasTcx } from './tcx.ts';
