import { describe, expect, test } from '@jest/globals';
import { type KernelReport, MissingFeatureError, requireFeatures } from '../../../kernel/index.ts';

describe('a kernel without a feature', () => {
  const missing = new MissingFeatureError('The VXLAN device', 'pods of other nodes cannot be reached; modprobe vxlan');
  const report = (required: boolean): KernelReport => ({
    release: '6.1.0',
    features: [
      { name: 'veth', required: true },
      { name: 'vxlan', required, missing },
    ],
  });

  test('that is required is refused with what it costs and what cures it', () => {
    expect(() => requireFeatures(report(true))).toThrow(missing);
    expect(missing.message).toBe('The VXLAN device is missing: pods of other nodes cannot be reached; modprobe vxlan');
  });

  test('that only makes things slower is good enough, unless it is asked for by name', () => {
    expect(() => requireFeatures(report(false))).not.toThrow();
    expect(() => requireFeatures(report(false), ['veth'])).not.toThrow();
    expect(() => requireFeatures(report(false), ['vxlan'])).toThrow(missing);
  });
});
