/** Pid files: what they hold, when they are removed, and whose are left alone. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { VdensError } from '../../../src/errors.ts';
import { PidFile } from '../../../src/system/pid-file.ts';
import { runCommand } from '../../interop/harness.ts';

function temporaryFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, 'pid');
}

test('holds the process id and a newline, and is removed once', (t) => {
  const path = temporaryFile(t);
  const file = PidFile.write(path);
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  file.remove();
  assert.equal(existsSync(path), false);
  writeFileSync(path, `${process.pid}\n`);
  file.remove();
  assert.equal(existsSync(path), true);
});

test('holds another text on demand, and writes over a longer one', (t) => {
  const path = temporaryFile(t);
  writeFileSync(path, 'a longer text of somebody else\n');
  const file = PidFile.write(path, { text: '-17' });
  assert.equal(readFileSync(path, 'utf8'), '-17\n');
  file.remove();
  assert.equal(existsSync(path), false);
});

test('a file that somebody else wrote over, or put in its place, stays', (t) => {
  const path = temporaryFile(t);
  const written = PidFile.write(path);
  writeFileSync(path, '1\n');
  written.remove();
  assert.equal(readFileSync(path, 'utf8'), '1\n');
  const replaced = PidFile.write(path);
  // The same text, in a file of its own.
  writeFileSync(`${path}.new`, `${process.pid}\n`);
  renameSync(`${path}.new`, path);
  replaced.remove();
  assert.equal(existsSync(path), true);
});

test('by a relative name and a link it is found from another directory, too', (t) => {
  const path = temporaryFile(t);
  symlinkSync(path, `${path}.link`);
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(join(path, '..'));
  const file = PidFile.write('pid.link');
  process.chdir('/');
  assert.equal(file.path, path);
  file.remove();
  assert.equal(existsSync(path), false);
});

test('exclusive, it fails when there is one, which stays as it is', (t) => {
  const path = temporaryFile(t);
  writeFileSync(path, '1\n');
  assert.throws(
    () => PidFile.write(path, { exclusive: true }),
    (error) => error instanceof VdensError && error.errno === 'EEXIST' && error.message.includes(path),
  );
  assert.equal(readFileSync(path, 'utf8'), '1\n');
  assert.throws(() => PidFile.write(`${path}/below`), { code: 'ERR_COMMAND', errno: 'ENOTDIR' });
});

test('where there is no room, no empty file is left that would keep the next from starting', async (t) => {
  const folder = join(temporaryFile(t), '..');
  const module = JSON.stringify(new URL('../../../src/system/pid-file.js', import.meta.url).href);
  const write = `import { PidFile } from ${module};
    for (const exclusive of [true, false]) try { PidFile.write(process.argv[1], { exclusive }); } catch (error) { console.log(error.message); }`;
  const script = `mount -t tmpfs -o size=4k,mode=700 none "$0" && head -c 4096 /dev/zero >"$0/full" &&
    "$1" --input-type=module -e "$2" "$0/pid"; ls "$0"`;
  const argv = ['unshare', '-Urm', 'sh', '-c', script, folder, process.execPath, write];
  const { stdout, stderr } = await runCommand(argv);
  const line = `cannot write the pid file ${folder}/pid (ENOSPC). That file system is full: make room, or name a file in another one`;
  assert.deepEqual([stdout, stderr], [`${line}\n${line}\nfull\n`, '']);
  assert.throws(() => PidFile.write('/dev/full'), { errno: 'ENOSPC' });
  assert.equal(existsSync('/dev/full'), true);
});

test('what is no file is written to, and never removed', () => {
  PidFile.write('/dev/null').remove();
  assert.equal(existsSync('/dev/null'), true);
});
