import { describe, expect, test } from '@jest/globals';
import { formatLabels, matchesSelector, parseLabel, parseLabels } from '../../../values/labels/index.ts';

describe('security labels', () => {
  test('are written sorted by key, bytewise, each with its semicolon', () => {
    const text = formatLabels([
      { source: 'k8s', key: 'io.kubernetes.pod.namespace', value: 'default' },
      { source: 'k8s', key: 'app', value: 'cart' },
      { source: 'any', key: 'Zone', value: '' },
      { source: 'k8s', key: '\u{1F600}', value: 'x' },
      { source: 'k8s', key: '\uFF5E', value: 'y' },
    ]);
    expect(text).toBe('any:Zone=;k8s:app=cart;k8s:io.kubernetes.pod.namespace=default;k8s:\uFF5E=y;k8s:\u{1F600}=x;');
  });

  test('of equal keys keep the last', () => {
    const labels = [
      { source: 'k8s', key: 'app', value: 'old' },
      { source: 'k8s', key: 'app', value: 'new' },
    ];
    expect(formatLabels(labels)).toBe('k8s:app=new;');
  });

  test.each([
    ['k8s:app=cart', { source: 'k8s', key: 'app', value: 'cart' }],
    ['k8s:app', { source: 'k8s', key: 'app', value: '' }],
    ['k8s:url=http://x:80', { source: 'k8s', key: 'url', value: 'http://x:80' }],
    ['k8s:a=b=c', { source: 'k8s', key: 'a', value: 'b=c' }],
    ['app=cart', { source: 'unspec', key: 'app', value: 'cart' }],
    [':app=cart', { source: 'unspec', key: 'app', value: 'cart' }],
    ['$host', { source: 'reserved', key: 'host', value: '' }],
    ['reserved.world', { source: 'reserved', key: 'world', value: '' }],
    ['reserved:=host', { source: 'reserved', key: 'host', value: '' }],
  ])('reads %s', (text, label) => {
    expect(parseLabel(text)).toEqual(label);
  });

  test('come back as they were written', () => {
    const text = 'k8s:app=cart;k8s:tier=;';
    expect(formatLabels(parseLabels(text))).toBe(text);
    expect(parseLabels('')).toEqual([]);
  });
});

describe('label selectors', () => {
  const labels = { app: 'cart', tier: 'backend' };
  test.each([
    { selector: {}, matches: true },
    { selector: { matchLabels: { app: 'cart' } }, matches: true },
    { selector: { matchLabels: { app: 'cart', tier: 'web' } }, matches: false },
    { selector: { matchLabels: { zone: '' } }, matches: false },
    { selector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['a', 'cart'] }] }, matches: true },
    { selector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['cart'] }] }, matches: false },
    { selector: { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }, matches: true },
    { selector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] }, matches: true },
    { selector: { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] }, matches: false },
    { selector: { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, matches: false },
    {
      selector: { matchLabels: { app: 'cart' }, matchExpressions: [{ key: 'zone', operator: 'Exists' }] },
      matches: false,
    },
  ] as const)('$selector matches: $matches', ({ selector, matches }) => {
    expect(matchesSelector(selector, labels)).toBe(matches);
  });
});
