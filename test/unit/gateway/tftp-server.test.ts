/** TFTP clients and the gateway, block by block, and names that lead out of the directory. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { emitDatagram } from '../../../src/gateway/guest-frames.ts';
import { parseIp } from '../../../src/net/ip.ts';
import { emitTftp, parseTftp, TFTP_ERROR, type TftpPacket } from '../../../src/wire/tftp.ts';
import { Bench, datagramOf, GATEWAY_MAC, guestMac, ROUTER, ROUTER6 } from './guest-of-services.ts';

/** A guest with a port, and a directory that is served. */
class TftpBench extends Bench {
  readonly directory: string;
  readonly outside: string;

  constructor(t: TestContext, mtu = 1500) {
    const top = mkdtempSync(join(tmpdir(), 'tftp-'));
    t.after(() => rmSync(top, { recursive: true }));
    const directory = join(top, 'served');
    mkdirSync(directory);
    super({ tftpDirectory: directory, mtu });
    t.after(() => this.services.close());
    this.directory = directory;
    this.outside = top;
  }

  write(name: string, content: Uint8Array | string): void {
    writeFileSync(join(this.directory, name), content);
  }

  say(packet: TftpPacket, port = 2000, isV6 = false): TftpPacket[] {
    const source = parseIp(isV6 ? 'fd00::15' : '10.0.2.15');
    const path = { source, destination: isV6 ? ROUTER6 : ROUTER, sourceMac: guestMac(1), destinationMac: GATEWAY_MAC };
    const ports = { sourcePort: port, destinationPort: 69 };
    return this.exchange(emitDatagram(path, ports, emitTftp(packet))).map((frame) => this.#read(frame, port));
  }

  read(name: string, options: Record<string, string> = {}, mode = 'octet', port = 2000): TftpPacket[] {
    return this.say({ kind: 'read', name, mode, options: new Map(Object.entries(options)) }, port);
  }

  acknowledge(block: number, port = 2000): TftpPacket[] {
    return this.say({ kind: 'acknowledgement', block }, port);
  }

  tick(): TftpPacket[] {
    const isTftp = (frame: Uint8Array): boolean => datagramOf(frame)?.sourcePort === 69;
    return this.during(() => this.services.tick())
      .filter(isTftp)
      .map((frame) => this.#read(frame, 2000));
  }

  /** All of a file, as a client that loses nothing gets it. */
  fetch(name: string, options: Record<string, string> = {}, mode = 'octet'): Buffer {
    const blocks: Uint8Array[] = [];
    let packets = this.read(name, options, mode);
    const size = Number(options['blksize'] ?? 512);
    if (packets[0]?.kind === 'options') packets = this.acknowledge(0);
    let expected = 1;
    for (;;) {
      for (const packet of packets) {
        assert.ok(packet.kind === 'data', JSON.stringify(packet));
        assert.equal(packet.block, expected & 0xffff);
        expected++;
        blocks.push(packet.data);
        if (packet.data.length < size) {
          assert.deepEqual(this.acknowledge(packet.block), []);
          return Buffer.concat(blocks);
        }
      }
      packets = this.acknowledge((expected - 1) & 0xffff);
      assert.ok(packets.length > 0);
    }
  }

  #read(frame: Uint8Array, port: number): TftpPacket {
    const heard = datagramOf(frame);
    assert.deepEqual([heard?.sourcePort, heard?.destinationPort], [69, port]);
    const packet = parseTftp(heard!.payload);
    assert.ok(packet);
    return packet;
  }
}

function errorOf(packets: readonly TftpPacket[]): number | undefined {
  const [packet] = packets;
  return packet?.kind === 'error' ? packet.code : undefined;
}

test('files of all lengths arrive as they are', (t) => {
  const bench = new TftpBench(t);
  for (const length of [0, 1, 511, 512, 513, 5120, 100_000]) {
    const content = Buffer.alloc(length, 'abc\r\n\0');
    bench.write('file', content);
    assert.ok(bench.fetch('file').equals(content), `${length} bytes`);
    assert.ok(bench.fetch('/file', { blksize: '1400', windowsize: '7' }).equals(content), `${length} bytes`);
  }
});

test('a file of more than 65535 blocks begins to count again', (t) => {
  const bench = new TftpBench(t);
  const content = Buffer.alloc(8 * 66_000, 'abcdefg');
  bench.write('file', content);
  assert.ok(bench.fetch('file', { blksize: '8', windowsize: '16' }).equals(content));
});

test('as text, line ends are those of a terminal', (t) => {
  const bench = new TftpBench(t);
  bench.write('text', 'one\ntwo\r\n'.repeat(300));
  const expected = 'one\r\ntwo\r\0\r\n'.repeat(300);
  assert.equal(bench.fetch('text', {}, 'NetASCII').toString(), expected);
  assert.equal(bench.fetch('text', { blksize: '9' }, 'netascii').toString(), expected);
});

test('options are agreed on as far as they are sensible', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', Buffer.alloc(5000));
  const agreed = (options: Record<string, string>, mode = 'octet'): Record<string, string> | undefined => {
    const [packet] = bench.read('file', options, mode);
    return packet?.kind === 'options' ? Object.fromEntries(packet.options) : undefined;
  };
  assert.deepEqual(agreed({ blksize: '1400', tsize: '0', timeout: '3' }), {
    blksize: '1400',
    timeout: '3',
    tsize: '5000',
  });
  assert.deepEqual(agreed({ blksize: '65464', windowsize: '1000' }), { blksize: '1468', windowsize: '16' });
  assert.equal(agreed({ blksize: '7', timeout: '200', windowsize: '0', tsize: 'x', other: '1' }), undefined);
  assert.equal(agreed({ tsize: '0', windowsize: '4' }, 'netascii'), undefined);
  assert.deepEqual(agreed({}), undefined);
});

test('over IPv6, blocks are smaller by its longer header', (t) => {
  const bench = new TftpBench(t, 1400);
  bench.write('file', Buffer.alloc(5000));
  const request = { kind: 'read', name: 'file', mode: 'octet', options: new Map([['blksize', '9000']]) } as const;
  const [packet] = bench.say(request, 2000, true);
  assert.ok(packet?.kind === 'options');
  assert.equal(packet.options.get('blksize'), '1348');
});

test('what is lost is sent again, a few times', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', Buffer.alloc(600, 'x'));
  const [first] = bench.read('file');
  assert.deepEqual(bench.tick(), []);
  for (let i = 0; i < 5; i++) {
    bench.now += 2000;
    assert.deepEqual(bench.tick(), [first]);
  }
  bench.now += 2000;
  assert.deepEqual(bench.tick(), []);
  assert.deepEqual(bench.acknowledge(1), []);
});

test('the agreement is sent again, too, and a late acknowledgement answers nothing', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', Buffer.alloc(2000, 'x'));
  const [agreement] = bench.read('file', { tsize: '0', timeout: '1' });
  bench.now += 1000;
  assert.deepEqual(bench.tick(), [agreement]);
  assert.deepEqual(bench.acknowledge(1), []);
  assert.equal(bench.acknowledge(0).length, 1);
  assert.deepEqual(bench.acknowledge(0), []);
  assert.equal(bench.acknowledge(1).length, 1);
  assert.deepEqual(bench.acknowledge(1), []);
  assert.deepEqual(bench.acknowledge(3), []);
  assert.deepEqual(bench.acknowledge(60_000), []);
});

test('a window of which a part was lost is sent again from there', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', Buffer.alloc(5000, 'x'));
  bench.read('file', { windowsize: '4' });
  const blocks = (packets: readonly TftpPacket[]): number[] =>
    packets.flatMap((packet) => (packet.kind === 'data' ? [packet.block] : []));
  assert.deepEqual(blocks(bench.acknowledge(0)), [1, 2, 3, 4]);
  assert.deepEqual(blocks(bench.acknowledge(2)), [3, 4, 5, 6]);
  bench.now += 2000;
  assert.deepEqual(blocks(bench.tick()), [3, 4, 5, 6]);
  assert.deepEqual(blocks(bench.acknowledge(6)), [7, 8, 9, 10]);
  assert.deepEqual(blocks(bench.acknowledge(10)), []);
});

test('a request that comes again begins again', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', Buffer.alloc(2000, 'x'));
  const [first] = bench.read('file');
  bench.acknowledge(1);
  assert.deepEqual(bench.read('file'), [first]);
  assert.equal(bench.acknowledge(1).length, 1);
});

test('what is not there, is no file, or is to be written, is an error', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', 'x');
  mkdirSync(join(bench.directory, 'folder'));
  assert.equal(errorOf(bench.read('nothing')), TFTP_ERROR.notFound);
  assert.equal(errorOf(bench.read('file/x')), TFTP_ERROR.notFound);
  assert.equal(errorOf(bench.read('')), TFTP_ERROR.notFound);
  assert.equal(errorOf(bench.read('folder')), TFTP_ERROR.accessViolation);
  assert.equal(errorOf(bench.read('file', {}, 'mail')), TFTP_ERROR.illegalOperation);
  const write = { kind: 'write', name: 'new', mode: 'octet', options: new Map<string, string>() } as const;
  assert.equal(errorOf(bench.say(write)), TFTP_ERROR.accessViolation);
  assert.equal(errorOf(bench.say({ kind: 'data', block: 1, data: new Uint8Array(3) })), TFTP_ERROR.illegalOperation);
  assert.deepEqual(bench.say({ kind: 'error', code: 0, message: '' }), []);
});

test('no name leads out of the directory', (t) => {
  const bench = new TftpBench(t);
  writeFileSync(join(bench.outside, 'secret'), 'secret');
  mkdirSync(join(bench.outside, 'served-too'));
  writeFileSync(join(bench.outside, 'served-too', 'secret'), 'secret');
  mkdirSync(join(bench.directory, 'folder'));
  bench.write('folder/file', 'open');
  symlinkSync('../secret', join(bench.directory, 'out'));
  symlinkSync('..', join(bench.directory, 'up'));
  symlinkSync('/', join(bench.directory, 'root'));
  symlinkSync('/dev/zero', join(bench.directory, 'zero'));
  symlinkSync('loop', join(bench.directory, 'loop'));
  symlinkSync('folder', join(bench.directory, 'within'));
  const names = [
    '../secret',
    '/../secret',
    'folder/../../secret',
    'out',
    'up/secret',
    'up/served-too/secret',
    'zero',
    'loop',
  ];
  for (const name of [...names, `root/${bench.outside}/secret`, 'root/etc/passwd', 'folder/..', '..', '.', '/']) {
    assert.ok([1, 2].includes(errorOf(bench.read(name)) ?? -1), name);
  }
  assert.equal(errorOf(bench.read(join(bench.outside, 'secret'))), TFTP_ERROR.notFound);
  assert.equal(bench.fetch('within/file').toString(), 'open');
  assert.equal(bench.fetch('//folder//./file').toString(), 'open');
});

test('a file that becomes shorter ends there', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', Buffer.alloc(2000, 'x'));
  bench.read('file');
  truncateSync(join(bench.directory, 'file'), 600);
  const [second] = bench.acknowledge(1);
  assert.ok(second?.kind === 'data');
  assert.equal(second.data.length, 88);
});

test('there are only so many transfers at a time, and those of guests that have gone are over', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', Buffer.alloc(2000, 'x'));
  for (let port = 3000; port < 3064; port++) assert.equal(bench.read('file', {}, 'octet', port)[0]?.kind, 'data');
  assert.equal(errorOf(bench.read('file')), TFTP_ERROR.undefined);
  bench.say({ kind: 'error', code: 0, message: 'enough' }, 3000);
  assert.equal(bench.read('file')[0]?.kind, 'data');
  for (let i = 0; i < 6; i++) {
    bench.now += 2000;
    bench.during(() => bench.services.tick());
  }
  assert.equal(bench.read('file', {}, 'octet', 4000)[0]?.kind, 'data');
});

test('only guests are served, and only at the router', (t) => {
  const bench = new TftpBench(t);
  bench.write('file', 'x');
  const read = emitTftp({ kind: 'read', name: 'file', mode: 'octet', options: new Map() });
  const ask = (source: string, destination: string): number => {
    const path = { source: parseIp(source), destination: parseIp(destination) };
    const macs = { sourceMac: guestMac(1), destinationMac: GATEWAY_MAC };
    return bench.exchange(emitDatagram({ ...path, ...macs }, { sourcePort: 5, destinationPort: 69 }, read)).length;
  };
  assert.equal(ask('10.0.2.15', '10.0.2.2'), 1);
  assert.equal(ask('fe80::15', 'fe80::2'), 1);
  assert.equal(ask('10.0.2.15', '10.0.2.3'), 0);
  assert.equal(ask('10.0.2.3', '10.0.2.2'), 0);
  assert.equal(ask('10.0.3.15', '10.0.2.2'), 0);
  assert.equal(ask('0.0.0.0', '10.0.2.2'), 0);
});
