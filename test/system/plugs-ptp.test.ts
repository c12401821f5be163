/** `ptp://` between ours: who is refused, what is replaced, and how a line heals, with real processes. */
import assert from 'node:assert/strict';
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../../src/errors.ts';
import { batchOf } from '../../src/frames/batch.ts';
import { openPlug } from '../../src/locator/open-plug.ts';
import { PtpPlug } from '../../src/plugs/ptp.ts';
import { lookAt, removeStale } from '../../src/plugs/ptp-names.ts';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_SEQPACKET, unixAddress } from '../../src/system/unix-address.ts';
import { NewestPtp, PackagedPtp } from '../fixtures/original-ptp.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  ours,
  runCommand,
  spawnBackground,
  waitWithin,
} from '../interop/harness.ts';

const HEALING_MS = 3000;
const frame = new Uint8Array(60).fill(0xff);

/** A plug and what it says. */
class End {
  readonly plug: PtpPlug;
  isUp = true;
  frames = 0;
  readonly reasons: string[] = [];

  constructor(t: TestContext, plug: PtpPlug) {
    this.plug = plug;
    t.after(() => plug.close());
    plug.start(
      (batch) => {
        this.frames += batch.count;
      },
      {
        down: (reason) => {
          this.isUp = false;
          this.reasons.push(reason);
        },
        up: () => {
          this.isUp = true;
        },
      },
    );
  }

  static async open(t: TestContext, path: string, reconnect = true): Promise<End> {
    return new End(t, await PtpPlug.open(`ptp://${path}`, path, { reconnect }));
  }
}

/** Frames pass both ways. */
async function assertJoined(a: End, b: End, timeoutMs = HEALING_MS): Promise<void> {
  const before = [a.frames, b.frames];
  await waitWithin(() => a.isUp && b.isUp, timeoutMs, 'a line');
  a.plug.send(batchOf([frame]));
  b.plug.send(batchOf([frame]));
  await waitWithin(() => a.frames > before[0]! && b.frames > before[1]!, timeoutMs, 'a frame each way');
}

/** A socket file with nobody behind it. */
function leaveStale(path: string): void {
  const fd = native.openSocket(AF_UNIX, SOCK_SEQPACKET, 0);
  assert.equal(native.bindSocket(fd, unixAddress(path)), 0);
  native.closeDescriptor(fd);
}

function isError(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof VdensError && error.code === code && pattern.test(error.message);
}

test('the first waits, the second joins, a third is refused in words', { timeout: 20_000 }, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  const a = await End.open(t, path);
  assert.deepEqual([a.isUp, a.reasons.length], [false, 1]);
  a.plug.send(batchOf([frame]));
  assert.equal(a.plug.counters.sent.drops.down, 1);
  const b = await End.open(t, path);
  await assertJoined(a, b);
  await assert.rejects(
    PtpPlug.open('ptp', path),
    isError('ERR_NETWORK_OPEN', /^ptp: the line already has two ends .*switch:\/\//),
  );
  await assert.rejects(NewestPtp.open(path), /^Error: EISCONN$/);
  await assertJoined(a, b);
  await Promise.all([a.plug.close(), b.plug.close()]);
  assert.deepEqual(readdirSync(folder), []);
});

test('whoever is left waits, and is joined by the next', { timeout: 30_000 }, async (t) => {
  const path = join(makeTemporaryDirectory(t), 'line');
  let left = await End.open(t, path);
  let right = await End.open(t, path);
  for (let round = 0; round < 4; round++) {
    await assertJoined(left, right);
    const leaving = round % 2 === 0 ? left : right;
    const staying = round % 2 === 0 ? right : left;
    await leaving.plug.close();
    await waitWithin(() => !staying.isUp, HEALING_MS, 'the end of the line');
    assert.equal(staying.reasons.at(-1), 'the other end of the line left');
    [left, right] = [staying, await End.open(t, path)];
  }
});

test('without reconnecting the line ends with the other side', { timeout: 20_000 }, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  const a = await End.open(t, path, false);
  const b = await End.open(t, path, false);
  await waitWithin(() => a.isUp, HEALING_MS, 'the line');
  await b.plug.close();
  await waitWithin(() => !a.isUp, HEALING_MS, 'its end');
  await waitWithin(() => readdirSync(folder).length === 0, HEALING_MS, 'no name');
});

test('stale names are replaced', { timeout: 20_000 }, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  for (const name of [path, `${path}+`, `${path}.vdens`]) leaveStale(name);
  const a = await End.open(t, path);
  await waitWithin(() => !existsSync(path), HEALING_MS, 'the stale name to go');
  await assertJoined(a, await End.open(t, path));
});

test('two that replace a stale name at once end up together', { timeout: 60_000 }, async (t) => {
  for (let round = 0; round < 10; round++) {
    const path = join(makeTemporaryDirectory(t), 'line');
    leaveStale(`${path}.vdens`);
    const [a, b] = await Promise.all([End.open(t, path), End.open(t, path)]);
    await assertJoined(a, b);
    await Promise.all([a.plug.close(), b.plug.close()]);
  }
});

test('one who waits and loses its name finds the one who has it now', { timeout: 20_000 }, async (t) => {
  const path = join(makeTemporaryDirectory(t), 'line');
  const a = await End.open(t, path);
  rmSync(`${path}.vdens`);
  await assertJoined(a, await End.open(t, path));
});

test('what is no socket is never touched', { timeout: 20_000 }, async (t) => {
  const folder = makeTemporaryDirectory(t);
  for (const name of ['line', 'other.vdens']) writeFileSync(join(folder, name), 'precious');
  for (const name of ['line', 'other']) {
    const path = join(folder, name);
    await assert.rejects(PtpPlug.open('ptp', path), isError('ERR_NETWORK_OPEN', /no socket, so it is left alone/));
  }
  await assert.rejects(PtpPlug.open('ptp', folder), isError('ERR_NETWORK_OPEN', /left alone/));
  await assert.rejects(openPlug(`ptp://${folder}/none/line`), isError('ERR_NETWORK_OPEN', /no directory/));
  await assert.rejects(openPlug('ptp://'), isError('ERR_LOCATOR', /needs a path/));
  assert.deepEqual(readdirSync(folder).sort(), ['line', 'other.vdens']);
  assert.equal(readFileSync(join(folder, 'line'), 'utf8'), 'precious');
});

test('files beside the path are left alone, whatever their names', { timeout: 20_000 }, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  const precious = [path, `${path}+`, `${path}.vdens`].map((name) => `${name}.${process.pid}`);
  for (const name of precious) writeFileSync(name, name);
  for (const name of [path, `${path}+`, `${path}.vdens`]) leaveStale(name);
  const a = await End.open(t, path);
  await waitWithin(() => !existsSync(path), HEALING_MS, 'the stale name to go');
  const b = await End.open(t, path);
  await assertJoined(a, b);
  await waitWithin(() => existsSync(path), HEALING_MS, 'the name that keeps third ones out');
  await Promise.all([a.plug.close(), b.plug.close()]);
  const original = new PackagedPtp(path);
  t.after(() => original.close());
  const joined = await End.open(t, path);
  assert.equal(joined.isUp, true);
  await joined.plug.close();
  for (const name of precious) assert.equal(readFileSync(name, 'utf8'), name);
  assert.deepEqual(readdirSync(folder).sort(), ['line', ...precious.map((name) => basename(name))].sort());
});

test('what takes the place of a stale name while that is removed is kept', (t) => {
  const { renameSync } = fs;
  /** Removes a stale name, of which `during` is called right before and right after it is moved away. */
  const remove = (during: (path: string, isMoved: boolean) => void): { path: string; names: readonly string[] } => {
    const folder = makeTemporaryDirectory(t);
    const path = join(folder, 'line');
    leaveStale(path);
    const { identity } = lookAt(path)!;
    const around = t.mock.method(fs, 'renameSync', (from: string, to: string) => {
      around.mock.restore();
      syncBuiltinESMExports();
      during(path, false);
      renameSync(from, to);
      during(path, true);
    });
    syncBuiltinESMExports();
    removeStale('ptp', path, identity);
    return { path, names: readdirSync(folder) };
  };
  const replace = (path: string, text: string): void => {
    rmSync(path, { force: true });
    writeFileSync(path, text);
  };

  assert.deepEqual(remove(() => undefined).names, []);
  const file = remove((path, isMoved) => void (isMoved || replace(path, 'precious')));
  assert.equal(readFileSync(file.path, 'utf8'), 'precious');
  assert.deepEqual(file.names, ['line']);

  const folder = remove((path, isMoved) => {
    if (isMoved) return;
    rmSync(path);
    mkdirSync(path);
  });
  assert.deepEqual(folder.names, ['line']);

  // Nowhere to go back to: whichever came later has the name, and neither is lost.
  const two = remove((path, isMoved) => replace(path, isMoved ? 'later' : 'sooner'));
  assert.equal(readFileSync(two.path, 'utf8'), 'later');
  const aside = two.names.find((name) => name !== 'line')!;
  assert.equal(readFileSync(join(two.path, '..', aside, 'socket'), 'utf8'), 'sooner');
});

test('a link beside the path is left alone', async (t) => {
  const folder = makeTemporaryDirectory(t);
  leaveStale(join(folder, 'far'));
  symlinkSync('far', join(folder, 'line.vdens'));
  await assert.rejects(PtpPlug.open('ptp', join(folder, 'line')), isError('ERR_NETWORK_OPEN', /no socket, so it is/));
  assert.deepEqual(readdirSync(folder).sort(), ['far', 'line.vdens']);
});

test('a stale name that cannot be removed is an error in words', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  leaveStale(`${path}.vdens`);
  chmodSync(folder, 0o500);
  try {
    const message = /nobody answers at .*EACCES\)\. Remove it/;
    await assert.rejects(PtpPlug.open('ptp', path), isError('ERR_NETWORK_OPEN', message));
  } finally {
    chmodSync(folder, 0o700);
  }
});

test('a path may have 101 bytes', { timeout: 20_000 }, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'x'.repeat(101 - Buffer.byteLength(folder) - 1));
  const a = await End.open(t, path);
  const b = await End.open(t, path);
  await assertJoined(a, b);
  await waitWithin(() => existsSync(path), HEALING_MS, 'the name that keeps third ones out');
  await Promise.all([a.plug.close(), b.plug.close()]);
  const tooLong = (found: string): RegExp =>
    new RegExp(`^ptp: the path of a line may have 101 bytes, and ${found} has 102`);
  await assert.rejects(PtpPlug.open('ptp', `${path}x`), isError('ERR_NETWORK_OPEN', tooLong(`${path}x`)));
  symlinkSync(folder, join(folder, 'link'));
  const linked = `${join(folder, 'link', basename(path))}x`;
  await assert.rejects(
    PtpPlug.open('ptp', linked),
    isError('ERR_NETWORK_OPEN', tooLong(`${linked}, which is ${path}x,`)),
  );
  assert.deepEqual(readdirSync(folder), ['link']);
});

test('options are an error in words, and other brackets belong to the path', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'line');
  for (const options of ['[mode=0600]', '[mode=0660/grp=lab]']) {
    await assert.rejects(
      openPlug(network(`${path}${options}`)),
      isError('ERR_LOCATOR', /line\[mode=.*\]: ptp:\/\/ has no options\. Leave \[mode=.*\] out/),
    );
  }
  for (const name of ['[1]', '[a=b]c']) {
    const plug = await openPlug(network(`${path}${name}`));
    assert.ok(existsSync(`${path}${name}.vdens`));
    await plug.close();
  }
});

test('opening that is given up when there is a line already leaves no descriptor open', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'line');
  const a = await End.open(t, path);
  const count = (): number => readdirSync('/proc/self/fd').length;
  const before = count();
  for (let round = 0; round < 3; round++) {
    const controller = new AbortController();
    const { signal } = controller;
    let hadLine = false;
    // The opener asks for the last time when it has a line.
    signal.throwIfAborted = () => {
      hadLine = a.isUp;
      if (hadLine) controller.abort();
      AbortSignal.prototype.throwIfAborted.call(signal);
    };
    await assert.rejects(PtpPlug.open('ptp', path, { signal }), { name: 'AbortError' });
    assert.equal(hadLine, true);
    await waitWithin(() => !a.isUp, HEALING_MS, 'the end of the line');
    await waitWithin(() => count() <= before, HEALING_MS, `${before} descriptors`);
  }
});

test('who is there and does not answer is an error after 2 seconds; opening can be given up', {
  timeout: 20_000,
}, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  const fd = native.openSocket(AF_UNIX, SOCK_SEQPACKET, 0);
  t.after(() => void native.closeDescriptor(fd));
  native.bindSocket(fd, unixAddress(path));
  native.listen(fd, 1);
  const start = performance.now();
  await assert.rejects(PtpPlug.open('ptp', path), isError('ERR_NETWORK_TIMEOUT', /did not answer within 2 s/));
  assert.ok(performance.now() - start < 4000);
  const given = PtpPlug.open('ptp', path, { signal: AbortSignal.timeout(100) });
  await assert.rejects(given, { name: 'TimeoutError' });
  assert.deepEqual(readdirSync(folder), ['line']);
});

const network = (path: string): string => `ptp://${path}`;

function host(t: TestContext, path: string, address: string): Promise<BackgroundCommand> {
  const command = ['sh', '-c', 'echo ready; sleep 60'];
  return spawnBackground(t, [ours('vdens'), '--address', address, network(path), ...command]);
}

async function ping(path: string): Promise<void> {
  const command = ['ping', '-c', '1', '-W', '3', '10.79.0.1'];
  const { stdout, stderr } = await runCommand([ours('vdens'), '--address', '10.79.0.2/24', network(path), ...command]);
  assert.match(stdout, /1 received/, stdout + stderr);
}

test('a line whose end is killed heals within 3 seconds', { timeout: 60_000 }, async (t) => {
  const path = join(makeTemporaryDirectory(t), 'line');
  const first = await host(t, path, '10.79.0.1/24');
  await first.waitForOutput(/^ready$/m);
  await first.waitForOutput(/: the other end is not there yet; waiting for it$/m);
  const second = await host(t, path, '10.79.0.1/24');
  await second.waitForOutput(/^ready$/m);
  await first.waitForOutput(/: is up$/m);
  first.kill('SIGKILL');
  await second.waitForOutput(/the other end of the line left; waiting for it to come back$/m, HEALING_MS);
  const start = performance.now();
  await ping(path);
  assert.ok(performance.now() - start < HEALING_MS + 1000);
  await second.waitForOutput(/is back/, HEALING_MS);
});

test('with --no-reconnect vdens waits for the first one to come, and for nobody after that', {
  timeout: 60_000,
}, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  const command = ['sh', '-c', 'echo ready; sleep 60'];
  const argv = [ours('vdens'), '--no-reconnect', '--address', '10.79.0.1/24', network(path), ...command];
  const first = await spawnBackground(t, argv);
  await first.waitForOutput(/: the other end is not there yet; waiting for it$/m);
  await first.waitForOutput(/^ready$/m);
  await ping(path);
  await first.waitForOutput(/: the other end of the line left$/m, HEALING_MS);
  await waitWithin(() => readdirSync(folder).length === 0, HEALING_MS, 'no name');
  // Whoever comes now finds nobody, and waits.
  const next = await End.open(t, path);
  await sleep(500);
  assert.equal(next.isUp, false);
  assert.equal(first.hasExited(), false);
  assert.doesNotMatch(first.output(), /is back/);
});

test('two processes that start in the same instant end up on one line', { timeout: 120_000 }, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const program = `
    const { batchOf, openPlug } = await import(process.argv[1]);
    const plug = await openPlug(process.argv[2]);
    const sending = setInterval(() => plug.send(batchOf([new Uint8Array(60)])), 20);
    setTimeout(() => process.exit(1), 5000).unref();
    let hasFrame = false;
    plug.start(() => {
      if (hasFrame) return;
      hasFrame = true;
      setTimeout(async () => { clearInterval(sending); await plug.close(); process.exit(0); }, 200);
    });`;
  const library = join(import.meta.dirname, '..', '..', 'src', 'index.js');
  for (let round = 0; round < 20; round++) {
    const argv = [process.execPath, '--input-type=module', '-e', program, library, network(join(folder, `${round}`))];
    const ends = await Promise.all([runCommand(argv), runCommand(argv)]);
    assert.deepEqual(
      ends.map(({ status }) => status),
      [0, 0],
      ends.map(({ stderr }) => stderr).join(),
    );
  }
  assert.deepEqual(readdirSync(folder), []);
});
