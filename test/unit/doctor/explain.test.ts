import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explainLaunchFailure } from '../../../src/doctor/explain.ts';
import type { Facts } from '../../../src/doctor/facts.ts';
import { healthyFacts } from './healthy-facts.ts';

type ExplainCase = readonly [step: string, errno: string, facts: Partial<Facts>, line: string, subject?: string];

const cases: readonly ExplainCase[] = [
  [
    'uid_map',
    'EPERM',
    { apparmorRestriction: 1 },
    'vdens: cannot map the user into its namespace (/proc/self/uid_map: EPERM): only programs with an AppArmor profile may use user namespaces, and /opt/vdens/launch has none. Run: vde doctor --print-apparmor | sudo tee /etc/apparmor.d/vdens-launch && sudo apparmor_parser -r /etc/apparmor.d/vdens-launch',
  ],
  [
    'userns',
    'EPERM',
    { unprivilegedUsernsClone: 0, apparmorRestriction: 1 },
    "vdens: cannot create a user namespace (unshare: EPERM): only root may make user namespaces: kernel.unprivileged_userns_clone is 0. Run: echo 'kernel.unprivileged_userns_clone=1' | sudo tee /etc/sysctl.d/99-vdens-unprivileged_userns_clone.conf && sudo sysctl -p /etc/sysctl.d/99-vdens-unprivileged_userns_clone.conf",
  ],
  [
    'tun-open',
    'ENODEV',
    { tunError: 'ENODEV' },
    'vdens: cannot open /dev/net/tun (open: ENODEV): the module tun is not loaded (ENODEV). Run: sudo modprobe tun',
    '/dev/net/tun',
  ],
  [
    'tun-attach',
    'EBUSY',
    {},
    'vdens: cannot create the TAP interface eth0 (TUNSETIFF: EBUSY): there is an interface of that name already. Choose another with: --iface NAME',
    'eth0',
  ],
  [
    'etc',
    'ENOENT',
    {},
    'vdens: cannot make a private /etc (mount resolv.conf: ENOENT). To see what this machine lacks, run: vde doctor',
    'resolv.conf',
  ],
  [
    'fork',
    'EAGAIN',
    {},
    'vdens: cannot start a process (fork: EAGAIN): the limit of processes is reached. See it with: ulimit -u',
  ],
  [
    'userns',
    'EPERM',
    {},
    'vdens: cannot create a user namespace (unshare: EPERM). To see what this machine lacks, run: vde doctor',
  ],
];

describe('explanation of a failure of the helper', () => {
  for (const [step, errno, facts, line, subject] of cases) {
    test(`names what is behind ${errno} at ${step} given ${JSON.stringify(facts)}`, () => {
      assert.equal(explainLaunchFailure(step, errno, { ...healthyFacts, ...facts }, subject), line);
    });
  }

  const behind: readonly (readonly [step: string, errno: string, facts: Partial<Facts>, reason: RegExp])[] = [
    ['userns', 'ENOSPC', {}, /: no namespace is left/],
    ['userns', 'EPERM', { isChroot: true, hasSeccompFilter: true }, /: this is a chroot/],
    ['netns', 'EPERM', { hasSeccompFilter: true, container: 'docker' }, /Run: docker run /],
    ['userns', 'EINVAL', { hasUserNamespaces: false }, /CONFIG_USER_NS/],
    ['setgroups', 'ENOENT', { hasProc: false }, /\/proc is not mounted/],
  ];
  for (const [step, errno, facts, reason] of behind) {
    test(`finds ${reason.source} behind ${errno} at ${step}`, () => {
      assert.match(explainLaunchFailure(step, errno, { ...healthyFacts, ...facts }), reason);
    });
  }

  test('is one line whatever the step and the error', () => {
    for (const step of ['userns', 'etc', 'capabilities', 'socket', 'join', 'something new']) {
      for (const errno of ['EPERM', 'ENOENT', 'EIO']) {
        const line = explainLaunchFailure(step, errno, { ...healthyFacts, apparmorRestriction: 1 });
        assert.match(line, /^vdens: cannot [^\n]+$/);
      }
    }
  });
});
