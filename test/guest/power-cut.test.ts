import { expect, test } from '@jest/globals';
import { needs } from '../support/probe.ts';
import { VolatileDisk } from './disk/volatile-disk.ts';
import { cutRepeatedly } from './power-cut.ts';

/** In full: `npm run soak -- power-cut`. */
const cuts = 2;

test('a disk without power has what was flushed, and of the rest what chance kept', () => {
  const disk = new VolatileDisk(Buffer.alloc(2048));
  const text = (): string =>
    disk
      .read(0, 2048)
      .toString()
      .replaceAll('\0', '')
      .replaceAll(/(.)\1+/g, '$1');
  disk.write(0, Buffer.alloc(512, 'a'));
  const flushed = disk.flush();
  disk.write(0, Buffer.alloc(512, 'x'));
  flushed();
  disk.write(0, Buffer.alloc(512, 'b'));
  disk.write(1024, Buffer.alloc(1024, 'c'));
  expect(text()).toBe('bc');
  let one = 0;
  expect(disk.cutPower(() => ++one === 2)).toEqual({ kept: 1, lost: 2 });
  expect(text()).toBe('ac');
  const late = disk.flush();
  disk.write(512, Buffer.alloc(512, 'd'));
  const cut = disk.flush();
  expect(disk.cutPower(() => false)).toEqual({ kept: 0, lost: 1 });
  late();
  cut();
  expect(text()).toBe('ac');
});

needs(
  'root',
  'qemu',
  'busybox',
  'guest-tools',
  'e2fsprogs',
)('a store whose machine loses its power', () => {
  test(`loses nothing that it acknowledged or showed (${cuts} cuts)`, async () => {
    const { violations, acknowledged, seen, lostSectors } = await cutRepeatedly({ seed: 1, cuts });
    expect(violations).toEqual([]);
    expect(acknowledged).toBeGreaterThan(cuts * 5);
    expect(seen).toBeGreaterThan(cuts * 5);
    expect(lostSectors).toBeGreaterThan(0);
  }, 900_000);

  test('is caught when it does not sync its log', async () => {
    const { violations } = await cutRepeatedly({ seed: 2, cuts: 4, defect: 'never-syncs' });
    expect(violations.join('\n')).toMatch(/is lost/);
  }, 900_000);
});
