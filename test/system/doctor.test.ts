/**
 * `vde doctor` on this very machine, and in places where something really is missing: each obstacle is made in
 * namespaces of the test's own.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { apparmorProfile } from '../../src/doctor/apparmor-profile.ts';
import type { Check } from '../../src/doctor/check.ts';
import { runTrial } from '../../src/doctor/trial.ts';

const vde = join(import.meta.dirname, '..', '..', '..', 'bin', 'vde');

interface Run {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a shell script as the root of a new user and mount namespace; `"$@"` in it is `vde doctor --json`. */
function doctorWhere(script: string, env: NodeJS.ProcessEnv = {}): Run {
  const args = ['-Urm', 'sh', '-ec', script, 'sh', process.execPath, vde, 'doctor', '--json'];
  return run('unshare', args, env);
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Run {
  const child = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  return { status: child.status, output: child.stdout, errors: child.stderr };
}

/** The names of the checks that stand in the way, and the one of that name. */
function problemsIn({ output, errors }: Run, name: string): { names: string[]; check: Check } {
  assert.equal(errors, '');
  const checks = JSON.parse(output) as Check[];
  const names = checks.filter(({ state }) => state === 'problem').map((check) => check.name);
  return { names, check: checks.find((check) => check.name === name)! };
}

describe('vde doctor', () => {
  test('says that this machine can run vdens, on one screen', () => {
    const { status, output, errors } = run(process.execPath, [vde, 'doctor']);
    assert.equal(errors, '');
    assert.match(output, /^ok {2}Linux /);
    assert.match(output, /^ok {2}trial run +a command ran in a namespace with a TAP interface$/m);
    assert.match(output, /\nvdens can run on this machine\.\n$/);
    assert.ok(output.split('\n').length <= 24, output);
    assert.ok(!output.includes('\u001b'), 'colours are for terminals');
    assert.equal(status, 0);
  });

  test('finds that the native parts are missing', () => {
    const env = { VDENS_NATIVE_DIR: '/nonexistent' };
    const found = run(process.execPath, [vde, 'doctor', '--json'], env);
    const { names, check } = problemsIn(found, 'native parts');
    assert.deepEqual(names, ['native parts', 'trial run']);
    assert.match(check.detail, /^\/nonexistent\/launch and \/nonexistent\/io\.node missing/);
    assert.equal(found.status, 1);
  });

  test('finds that /dev/net/tun is missing', () => {
    const found = doctorWhere('mount -t tmpfs none /dev/net; exec "$@"');
    const { names, check } = problemsIn(found, '/dev/net/tun');
    assert.deepEqual(names, ['/dev/net/tun', 'trial run']);
    assert.match(check.detail, /ENOENT/);
    assert.equal(found.status, 1);
  });

  test('finds that no user namespaces are allowed, and which setting says so', () => {
    const found = doctorWhere('echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"');
    const { names, check } = problemsIn(found, 'limits');
    assert.deepEqual(names, ['limits', 'trial run']);
    assert.match(check.detail, /^user\.max_user_namespaces is 0/);
    assert.match(check.remedy!, /^echo 'user\.max_user_namespaces=15000' \| tee /);
    assert.equal(found.status, 1);
  });

  test('finds that it is in a chroot', () => {
    const root = mkdtempSync(join(tmpdir(), 'vdens-doctor-'));
    try {
      // The shell stays outside: it is what shows that there is an outside.
      const found = doctorWhere(
        `mount -t tmpfs none "$ROOT"
        for name in /*; do
          if [ -L "$name" ]; then cp -P "$name" "$ROOT$name"; continue; fi
          [ -d "$name" ] || continue
          mkdir "$ROOT$name"; mount --rbind "$name" "$ROOT$name"
        done
        chroot "$ROOT" "$@"`,
        { ROOT: root },
      );
      const { names, check } = problemsIn(found, 'chroot');
      assert.deepEqual(names, ['chroot', 'trial run']);
      assert.match(check.detail, /^this is a chroot/);
      assert.equal(found.status, 1);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

test('a trial leaves no process and no descriptor', async () => {
  const descriptors = (): string[] => readdirSync('/proc/self/fd');
  assert.equal((await runTrial()).outcome, 'works');
  const before = descriptors();
  assert.equal((await runTrial()).outcome, 'works');
  assert.deepEqual(descriptors(), before);
  assert.equal(readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8'), '');
});

test('vde answers a word it does not know with one line and status 125', () => {
  const found = run(process.execPath, [vde, 'docter']);
  assert.match(found.errors, /^vde: vde has no command "docter"\. Did you mean: vde doctor\n$/);
  assert.deepEqual([found.status, found.output], [125, '']);
});

test('vde doctor --print-apparmor prints the profile and nothing else', () => {
  const found = run(process.execPath, [vde, 'doctor', '--print-apparmor'], { VDENS_NATIVE_DIR: '/opt/vdens' });
  assert.deepEqual(found, { status: 0, output: apparmorProfile('/opt/vdens/launch'), errors: '' });
});
