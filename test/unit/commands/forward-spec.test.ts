/** Forwards as they are typed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readForward } from '../../../src/commands/forward-spec.ts';

test('ports and addresses, from the right', () => {
  const table = [
    ['80', { guestPort: 80 }],
    ['8080:80', { hostPort: 8080, guestPort: 80 }],
    ['0:80/tcp', { hostPort: 0, guestPort: 80, protocol: 'tcp' }],
    ['5353:53/udp', { hostPort: 5353, guestPort: 53, protocol: 'udp' }],
    ['127.0.0.1:8080:80', { hostAddress: '127.0.0.1', hostPort: 8080, guestPort: 80 }],
    ['*:8080:80', { hostAddress: '0.0.0.0', hostPort: 8080, guestPort: 80 }],
    ['8080:10.0.2.16:80', { hostPort: 8080, guestAddress: '10.0.2.16', guestPort: 80 }],
    ['10.0.2.16:80', { guestAddress: '10.0.2.16', guestPort: 80 }],
    [
      '[::1]:8080:[fd00:0::15]:80/udp',
      { hostAddress: '::1', hostPort: 8080, guestAddress: 'fd00::15', guestPort: 80, protocol: 'udp' },
    ],
  ] as const;
  for (const [text, spec] of table) assert.deepEqual(readForward(text), { text, ...spec }, text);
});

test('what is none is refused, with what to write', () => {
  for (const text of ['', ':', ':80', '80:', '80::80', 'x', '65536', '80:0', '80/sctp', '1.2.3.4:1:1.2.3.4:1:1']) {
    assert.throws(() => readForward(text), { code: 'ERR_USAGE', message: /Write, for example, 8080:80/ }, text);
  }
  for (const text of ['1:2:3:4', 'x:80:80', '80:300.0.0.1:80', '[::1:80:80', '1.2.3:80:80']) {
    assert.throws(() => readForward(text), { name: 'VdensError' }, text);
  }
});
