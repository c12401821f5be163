/** Where control sockets are: which directory it is, and that it is the user's alone. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  namesInRuntimeDirectory,
  openRuntimeDirectory,
  runtimeDirectory,
} from '../../../src/control/runtime-directory.ts';
import { ControlServer } from '../../../src/control/server.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';

const usual = `/tmp/vdens-${process.geteuid?.()}`;

test('the directory is the one that is named, else in that of the session, else in /tmp', (t) => {
  const session = makeTemporaryDirectory(t);
  const table = [
    [{}, usual],
    [{ VDENS_RUNTIME_DIR: '', XDG_RUNTIME_DIR: '' }, usual],
    [{ VDENS_RUNTIME_DIR: '/a/b' }, '/a/b'],
    [{ VDENS_RUNTIME_DIR: '/a/b', XDG_RUNTIME_DIR: session }, '/a/b'],
    [{ XDG_RUNTIME_DIR: session }, join(session, 'vdens')],
    [{ XDG_RUNTIME_DIR: 'relative', VDENS_RUNTIME_DIR: 'relative' }, usual],
    [{ XDG_RUNTIME_DIR: join(session, 'missing') }, usual],
    // Another user's, as after su.
    [{ XDG_RUNTIME_DIR: process.geteuid?.() === 0 ? join(session, 'missing') : '/' }, usual],
  ] as const;
  for (const [env, path] of table) assert.equal(runtimeDirectory(env), path, JSON.stringify(env));
});

test('it is made for one user, whatever the umask says, and has the sockets that are not hidden', (t) => {
  const umask = process.umask(0);
  t.after(() => void process.umask(umask));
  const env = { VDENS_RUNTIME_DIR: join(makeTemporaryDirectory(t), 'run') };
  assert.deepEqual(namesInRuntimeDirectory(env), []);
  const path = openRuntimeDirectory(env);
  assert.equal(path, env.VDENS_RUNTIME_DIR);
  assert.equal(statSync(path).mode & 0o7777, 0o700);
  assert.equal(openRuntimeDirectory(env), path);
  writeFileSync(join(path, 'file'), '');
  mkdirSync(join(path, 'directory'));
  for (const name of ['web', 'db', '.hidden']) {
    const server = new ControlServer({ path: join(path, name), operations: {}, bindPath: join(path, '.new') });
    t.after(() => server.close());
  }
  assert.deepEqual(namesInRuntimeDirectory(env), ['db', 'web']);
});

test('one that may not be looked at is refused in words, and that of a session is left alone', (t) => {
  if (process.geteuid?.() === 0) return t.skip('root may look everywhere');
  const shut = join(makeTemporaryDirectory(t), 'shut');
  mkdirSync(shut, 0o000);
  const path = join(shut, 'run');
  assert.equal(runtimeDirectory({ XDG_RUNTIME_DIR: path }), usual);
  const message = `${path}: it cannot be looked at (lstat: EACCES). Name another directory for control sockets: VDENS_RUNTIME_DIR=DIRECTORY`;
  assert.throws(() => namesInRuntimeDirectory({ VDENS_RUNTIME_DIR: path }), { code: 'ERR_CONTROL', message });
});

test('one that is open to others, is no directory, a link, or cannot be made is refused in words', (t) => {
  const folder = makeTemporaryDirectory(t);
  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o750);
  writeFileSync(join(folder, 'file'), '');
  mkdirSync(join(folder, 'own'), 0o700);
  symlinkSync(join(folder, 'own'), join(folder, 'link'));
  const table = [
    [open, `${open}: it is open to other users (mode 750), and control sockets are there. Close it: chmod 700 ${open}`],
    [join(folder, 'file'), 'it is no directory'],
    [join(folder, 'link'), 'it is no directory'],
    [join(folder, 'no', 'such'), 'cannot make the directory for control sockets (mkdir: ENOENT)'],
    ...(process.geteuid?.() === 0 ? [] : [['/', 'it belongs to another user, uid 0'] as const]),
  ] as const;
  for (const [path, problem] of table) {
    const env = { VDENS_RUNTIME_DIR: path };
    const isProblem = (error: unknown): boolean => {
      assert.ok(error instanceof Error);
      return error.message.includes(problem);
    };
    assert.throws(() => openRuntimeDirectory(env), isProblem, path);
    if (!problem.includes('ENOENT')) assert.throws(() => namesInRuntimeDirectory(env), { code: 'ERR_CONTROL' }, path);
  }
  chmodSync(open, 0o700);
  assert.equal(openRuntimeDirectory({ VDENS_RUNTIME_DIR: open }), open);
  rmSync(open, { recursive: true });
});
