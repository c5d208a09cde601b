export { type MemoryKernelOptions, MemoryKernel } from './memory-kernel.ts';
