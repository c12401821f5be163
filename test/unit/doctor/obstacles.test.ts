import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Facts } from '../../../src/doctor/facts.ts';
import { canRun, examine } from '../../../src/doctor/obstacles.ts';
import { brokenFacts, healthyFacts } from './healthy-facts.ts';

/** A case: what is wrong, and the check that finds it. */
interface ObstacleCase {
  readonly title: string;
  readonly facts: Facts;
  readonly name: string;
  readonly state: 'problem' | 'warning';
  readonly detail: RegExp;
  readonly remedy?: string;
}

const cases: readonly ObstacleCase[] = [
  {
    title: 'another system than Linux is told how to get one',
    facts: { ...healthyFacts, platform: 'darwin', trial: { outcome: 'not run' } },
    name: 'Linux',
    state: 'problem',
    detail: /^this is darwin; network namespaces exist on Linux only/,
    remedy: 'brew install lima && limactl start && limactl shell default',
  },
  {
    title: 'an old Node.js is named with the version that is needed',
    facts: { ...healthyFacts, nodeVersion: '20.18.3', trial: { outcome: 'not run' } },
    name: 'Node.js',
    state: 'problem',
    detail: /^20\.18\.3 is too old, 20\.19 or newer is needed$/,
    remedy: 'sudo npx --yes n lts',
  },
  {
    title: 'missing native parts are built in a checkout',
    facts: { ...healthyFacts, missingNativeParts: ['/opt/vdens/launch'], trial: { outcome: 'not run' } },
    name: 'native parts',
    state: 'problem',
    detail: /^\/opt\/vdens\/launch missing or not usable: not built for linux-x64$/,
    remedy: 'npm run build',
  },
  {
    title: 'a /proc that is not mounted is mounted',
    facts: brokenFacts('setgroups', 'ENOENT', { hasProc: false }),
    name: '/proc',
    state: 'problem',
    detail: /not mounted/,
    remedy: 'sudo mount -t proc proc /proc',
  },
  {
    title: 'a kernel without user namespaces is told from one without network namespaces',
    facts: brokenFacts('userns', 'EINVAL', { hasUserNamespaces: false }),
    name: 'namespaces',
    state: 'problem',
    detail: /without CONFIG_USER_NS/,
    remedy: "grep -E 'CONFIG_(USER|NET)_NS' /boot/config-6.2.0",
  },
  {
    title: 'kernel.unprivileged_userns_clone=0 is set to 1, for good',
    facts: brokenFacts('userns', 'EPERM', { unprivilegedUsernsClone: 0 }),
    name: 'user namespaces',
    state: 'problem',
    detail: /^only root may make user namespaces: kernel\.unprivileged_userns_clone is 0$/,
    remedy:
      "echo 'kernel.unprivileged_userns_clone=1' | sudo tee /etc/sysctl.d/99-vdens-unprivileged_userns_clone.conf && sudo sysctl -p /etc/sysctl.d/99-vdens-unprivileged_userns_clone.conf",
  },
  {
    title: 'a setting of the kernel is for the host to change when this is a container',
    facts: brokenFacts('userns', 'EPERM', { unprivilegedUsernsClone: 0, container: 'docker' }),
    name: 'user namespaces',
    state: 'problem',
    detail: /do it on its host/,
  },
  {
    title: 'a limit of no user namespaces is raised',
    facts: brokenFacts('userns', 'ENOSPC', { maxUserNamespaces: 0 }),
    name: 'limits',
    state: 'problem',
    detail: /^user\.max_user_namespaces is 0, which forbids such namespaces$/,
    remedy:
      "echo 'user.max_user_namespaces=15000' | sudo tee /etc/sysctl.d/99-vdens-max_user_namespaces.conf && sudo sysctl -p /etc/sysctl.d/99-vdens-max_user_namespaces.conf",
  },
  {
    title: 'the lower of the two limits is the one that is raised',
    facts: brokenFacts('netns', 'ENOSPC', { maxNetworkNamespaces: 0 }),
    name: 'limits',
    state: 'problem',
    detail: /^user\.max_net_namespaces is 0/,
  },
  {
    title: 'used-up namespaces are not blamed on the disk',
    facts: brokenFacts('userns', 'ENOSPC', {}),
    name: 'limits',
    state: 'problem',
    detail: /no namespace is left .*not about disk space/,
  },
  {
    title: 'a low limit is worth a warning',
    facts: { ...healthyFacts, maxUserNamespaces: 10 },
    name: 'limits',
    state: 'warning',
    detail: /only 10/,
  },
  {
    title: "AppArmor's restriction is lifted by a profile for the helper",
    facts: brokenFacts('uid_map', 'EPERM', { apparmorRestriction: 1 }),
    name: 'AppArmor',
    state: 'problem',
    detail: /\/opt\/vdens\/launch has none$/,
    remedy:
      'vde doctor --print-apparmor | sudo tee /etc/apparmor.d/vdens-launch && sudo apparmor_parser -r /etc/apparmor.d/vdens-launch',
  },
  {
    title: 'a seccomp filter in Docker is left out by an option of docker run',
    facts: brokenFacts('userns', 'EPERM', { hasSeccompFilter: true, container: 'docker' }),
    name: 'seccomp',
    state: 'problem',
    detail: /start the container without it/,
    remedy:
      'docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined --device /dev/net/tun IMAGE',
  },
  {
    title: 'a seccomp filter outside a container may be that of a service',
    facts: brokenFacts('userns', 'EPERM', { hasSeccompFilter: true }),
    name: 'seccomp',
    state: 'problem',
    detail: /systemd service/,
  },
  {
    title: 'a chroot is called by its name',
    facts: brokenFacts('userns', 'EPERM', { isChroot: true }),
    name: 'chroot',
    state: 'problem',
    detail: /^this is a chroot/,
  },
  {
    title: 'a TUN device that is not for everybody is opened to everybody, for good',
    facts: brokenFacts('tun-open', 'EACCES', { tunError: 'EACCES' }),
    name: '/dev/net/tun',
    state: 'problem',
    detail: /^only some users may open it \(EACCES\)$/,
    remedy: `echo 'KERNEL=="tun", MODE="0666"' | sudo tee /etc/udev/rules.d/99-vdens-tun.rules && sudo chmod 0666 /dev/net/tun`,
  },
  {
    title: 'a TUN module that is not loaded is loaded',
    facts: brokenFacts('tun-open', 'ENODEV', { tunError: 'ENODEV' }),
    name: '/dev/net/tun',
    state: 'problem',
    detail: /not loaded/,
    remedy: 'sudo modprobe tun',
  },
  {
    title: 'a TUN module that an update took away needs a restart of the machine',
    facts: brokenFacts('tun-open', 'ENODEV', { tunError: 'ENODEV', kernelModules: 'replaced' }),
    name: '/dev/net/tun',
    state: 'problem',
    detail: /updated since the machine started/,
    remedy: 'sudo reboot',
  },
  {
    title: 'a TUN device is made where there are no modules',
    facts: brokenFacts('tun-open', 'ENOENT', { tunError: 'ENOENT', kernelModules: 'none' }),
    name: '/dev/net/tun',
    state: 'problem',
    detail: /no modules to load/,
    remedy: 'sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200',
  },
  {
    title: 'a container is started with a TUN device',
    facts: brokenFacts('tun-open', 'ENOENT', { tunError: 'ENOENT', container: 'podman' }),
    name: '/dev/net/tun',
    state: 'problem',
    detail: /^the container was started without \/dev\/net\/tun \(ENOENT\)$/,
    remedy: 'podman run --security-opt seccomp=unconfined --security-opt unmask=ALL --device /dev/net/tun IMAGE',
  },
  {
    title: 'a TAP without offload is slow, not broken',
    facts: { ...healthyFacts, trial: { outcome: 'works', offloads: [], privateEtc: true } },
    name: 'TAP offload',
    state: 'warning',
    detail: /slower/,
  },
  {
    title: 'an /etc that cannot be private is in the way of three options',
    facts: { ...healthyFacts, trial: { outcome: 'works', offloads: ['checksum', 'TSO'], privateEtc: false } },
    name: 'private /etc',
    state: 'warning',
    detail: /--resolvaddr, --resolvconf and --hostname fail/,
  },
  {
    title: 'pings that only some groups may send are worth a warning',
    facts: { ...healthyFacts, pingGroupRange: [1, 0] },
    name: 'ping',
    state: 'warning',
    detail: /net\.ipv4\.ping_group_range leaves out group 1000$/,
    remedy:
      "echo 'net.ipv4.ping_group_range=0 2147483647' | sudo tee /etc/sysctl.d/99-vdens-ping_group_range.conf && sudo sysctl -p /etc/sysctl.d/99-vdens-ping_group_range.conf",
  },
];

describe('vde doctor', () => {
  test('finds nothing on a healthy machine', () => {
    const checks = examine(healthyFacts);
    assert.deepEqual(
      checks.filter(({ state }) => state !== 'ok'),
      [],
    );
    assert.equal(canRun(checks), true);
  });

  for (const { title, facts, name, state, detail, remedy } of cases) {
    test(`finds that ${title}`, () => {
      const checks = examine(facts);
      const found = checks.filter((check) => check.state !== 'ok' && check.name !== 'trial run');
      assert.deepEqual(
        found.map((check) => [check.name, check.state]),
        [[name, state]],
      );
      assert.match(found[0]!.detail, detail);
      if (remedy !== undefined) assert.equal(found[0]!.remedy, remedy);
      assert.equal(canRun(checks), state === 'warning');
    });
  }

  test('does not believe a setting that the trial disproves', () => {
    const checks = examine({ ...healthyFacts, uid: 0, unprivilegedUsernsClone: 0, apparmorRestriction: 1 });
    assert.equal(checks.find(({ name }) => name === 'user namespaces')?.state, 'warning');
    assert.equal(checks.find(({ name }) => name === 'AppArmor')?.state, 'ok');
    assert.equal(canRun(checks), true);
  });

  test('does not blame AppArmor or seccomp for the mode of the TUN device', () => {
    const checks = examine(
      brokenFacts('tun-open', 'EACCES', { apparmorRestriction: 1, hasSeccompFilter: true, tunError: 'EACCES' }),
    );
    assert.deepEqual(
      checks.filter(({ state }) => state === 'problem').map(({ name }) => name),
      ['/dev/net/tun', 'trial run'],
    );
  });

  test('says that it cannot run when only the trial tells', () => {
    const checks = examine(brokenFacts('gid_map', 'EIO', {}));
    assert.deepEqual(
      checks.filter(({ state }) => state !== 'ok'),
      [{ name: 'trial run', state: 'problem', detail: 'failed at the step gid_map (EIO)' }],
    );
  });

  test('needs no sudo when it is root', () => {
    const checks = examine({ ...brokenFacts('tun-open', 'ENODEV', { tunError: 'ENODEV' }), uid: 0 });
    assert.equal(checks.find(({ name }) => name === '/dev/net/tun')?.remedy, 'modprobe tun');
  });

  test('takes every group of the user into account for pings', () => {
    const checks = examine({ ...healthyFacts, pingGroupRange: [20, 30] });
    assert.equal(checks.find(({ name }) => name === 'ping')?.state, 'ok');
  });
});
