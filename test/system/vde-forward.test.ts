/** `vde forward`: ports of the host that lead to a guest, while the gateway runs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CommandResult, makeTemporaryDirectory, ours, runCommand, spawnBackground } from '../interop/harness.ts';

const WAIT_MS = 20_000;
const GUEST = 'require("net").createServer((s) => s.end("guest")).listen(80, () => console.log("ready"))';

interface Place {
  vde(...words: readonly string[]): Promise<CommandResult>;
  start(...words: readonly string[]): Promise<void>;
}

function place(t: TestContext): Place {
  const run = join(makeTemporaryDirectory(t), 'run');
  mkdirSync(run, 0o700);
  const env = { VDENS_RUNTIME_DIR: run };
  return {
    vde: (...words) => runCommand([ours('vde'), ...words], { env }),
    start: async (...words) => {
      const started = await spawnBackground(t, [ours('vdens'), ...words], { env });
      await started.waitForOutput(/^ready$/m, WAIT_MS);
    },
  };
}

async function hear(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await once(socket, 'close');
  return text;
}

test('a port is forwarded to the namespace, is listed, and leads nowhere when it was removed', async (t) => {
  const { vde, start } = place(t);
  await start('--name', 'web', '--auto', 'slirp://', process.execPath, '-e', GUEST);
  const added = await vde('forward', 'web', '127.0.0.1:0:80', '--json');
  assert.equal(added.stderr, '');
  const [forward] = JSON.parse(added.stdout) as readonly { hostPort: number; id: number }[];
  assert.ok(forward !== undefined);
  const { hostPort, id } = forward;
  assert.deepEqual(forward, {
    id,
    protocol: 'tcp',
    hostAddress: '127.0.0.1',
    hostPort,
    guestAddress: '10.0.2.15',
    guestPort: 80,
    gateway: 'slirp://',
  });
  assert.equal(await hear(hostPort), 'guest');
  const udp = await vde('forward', 'web', 'add', `127.0.0.1:${hostPort}:10.0.2.16:53/udp`);
  assert.match(
    udp.stdout,
    /^number {2}protocol {2}host .*\n +2 {2}udp +127\.0\.0\.1:\d+ +10\.0\.2\.16:53 +slirp:\/\/\n$/,
  );
  const listed = await vde('forward', 'web');
  assert.equal(listed.stdout.split('\n').length, 4);
  assert.deepEqual(JSON.parse((await vde('forward', 'web', 'list', '--json')).stdout).length, 2);
  // The port of the host may mean either.
  const unclear = await vde('forward', 'web', 'remove', `${hostPort}`);
  assert.match(unclear.stderr, new RegExp(`^vde: "${hostPort}" may mean 1 \\(slirp://\\) and 2 \\(slirp://\\)`));
  assert.equal(unclear.status, 125);
  assert.equal((await vde('forward', 'web', 'remove', `${hostPort}/udp`)).status, 0);
  assert.equal(await hear(hostPort), 'guest');
  assert.match((await vde('forward', '-r', 'web', '1')).stdout, /127\.0\.0\.1/);
  await assert.rejects(hear(hostPort), { code: 'ECONNREFUSED' });
  assert.deepEqual(await vde('forward', 'web', '--json').then(({ stdout, status }) => [stdout, status]), ['[]\n', 0]);
});

test('what cannot be forwarded is said in words', async (t) => {
  const { vde, start } = place(t);
  const command = ['sh', '-c', 'echo ready; exec sleep 60'];
  await start('--name', 'web', '-m', 'slirp://', 'slirp:///host=10.1.0.2%2f24', '--', ...command);
  await start('--name', 'shut', 'null://', ...command);
  const table = [
    [['forward'], 'a name is missing'],
    [['forward', 'wbe', '80'], '"wbe": nothing that runs has that name or pid. What runs: shut, web'],
    [['forward', 'shut'], 'there is no gateway'],
    [['forward', 'web', '80'], 'there are several gateways, "slirp://" and "slirp:///host=10.1.0.2%2f24". Say which'],
    [['forward', 'web', '--gateway', 'x', '80'], 'there is no gateway "x". There is: "slirp://"'],
    [['forward', 'web', '--gateway', 'slirp://', '0:9.9.9.9:80'], "9.9.9.9 is not in the guests' network"],
    [['forward', 'web', '--gateway', 'slirp://', '192.0.2.7:0:80'], 'EADDRNOTAVAIL'],
    [['forward', 'web', 'remove', '80'], 'there is no forward "80". See which there are: vde forward web'],
    [['forward', 'web', '80:0'], '"0" is no port from 1 to 65535'],
    [['forward', 'web', '1:2:3:4'], '"2" is not an IP address'],
    [['forward', 'web', '::1:80:80'], 'it is no forward'],
    [['forward', 'web', 'list', '80'], 'list takes no forward'],
    [['forward', 'web', 'remove'], 'which one? For example: vde forward web remove 8080:80'],
    [['forward', '-r', 'web', 'add', '80'], '--remove and add do not go together'],
  ] as const;
  for (const [words, problem] of table) {
    const { stderr, status } = await vde(...words);
    assert.ok(stderr.startsWith('vde: ') && stderr.includes(problem), `${words.join(' ')}: ${stderr}`);
    assert.equal(status, 125);
  }
  const added = await vde('forward', 'web', '--gateway', 'slirp:///host=10.1.0.2%2f24', '127.0.0.1:0:22', '--json');
  // Without an address of its own, the guest is who asks for one first.
  assert.equal((JSON.parse(added.stdout) as readonly { guestAddress: string }[])[0]?.guestAddress, '10.1.0.15');
});
