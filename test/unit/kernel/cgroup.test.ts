import { describe, expect, test } from '@jest/globals';
import { cgroupMount, ownCgroup } from '../../../kernel/cgroup/cgroup.ts';

const v1 = '40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd';

describe('finding cgroup v2', () => {
  test.each([
    {
      layout: 'pure v2',
      mountinfo: '31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate',
      self: '0::/system.slice/a.service\n',
      expected: '/sys/fs/cgroup/system.slice/a.service',
    },
    {
      layout: 'hybrid',
      mountinfo: `${v1}\n41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`,
      self: '4:memory:/process\n0::/\n',
      expected: '/sys/fs/cgroup/unified',
    },
    {
      layout: 'a container that sees its own part only',
      mountinfo: '31 23 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw',
      self: '0::/docker/abc/inner\n',
      expected: '/sys/fs/cgroup/inner',
    },
    {
      layout: 'a process outside of what the mount shows',
      mountinfo: '31 23 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw',
      self: '0::/init.scope\n',
      expected: '/sys/fs/cgroup',
    },
    {
      layout: 'a mount point with a blank',
      mountinfo: '31 23 0:27 / /mnt/my\\040cgroups rw - cgroup2 cgroup rw',
      self: '0::/a\n',
      expected: '/mnt/my cgroups/a',
    },
  ])('finds the own directory on $layout', ({ mountinfo, self, expected }) => {
    const mount = cgroupMount(mountinfo);
    expect(mount && ownCgroup(mount, self)).toBe(expected);
  });

  test('a machine with v1 alone has none', () => {
    expect(cgroupMount(v1)).toBeUndefined();
  });
});
