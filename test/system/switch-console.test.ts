/** The console on a real switch, in this process: whatever is typed, and who is told of what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DebugSelection } from '../../src/console/debug.ts';
import { Interpreter } from '../../src/console/interpreter.ts';
import { type Audience, EventFeed } from '../../src/switch/console/event-feed.ts';
import { switchCommands } from '../../src/switch/console/switch-console.ts';
import { describeEvent, SWITCH_CATEGORIES } from '../../src/switch/console/switch-events.ts';
import { ManagedSwitch, type ManagedSwitchApi } from '../../src/switch/managed/managed-switch.ts';

/** A status, after data or alone. What nobody has foreseen would be 1005. */
const ANSWER = /^(0000 DATA END WITH '\.'\n([^.\n].*\n|\n)*\.\n)?1(?!005)\d{3} \w.*\n$/;

test('whatever is typed, the answer is data and a status that was foreseen', async (t) => {
  const managed = new ManagedSwitch({ label: 'test', numPorts: 8 });
  t.after(() => managed.close());
  const commands = switchCommands({ managed, version: '1', shutdown: () => undefined });
  const interpreter = new Interpreter('vde', commands);
  const paths = commands.filter(({ run, path }) => run !== undefined && !/logout|shutdown/.test(path));
  const word = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -1, max: 9 }).map(String) },
    { weight: 2, arbitrary: fc.constantFrom('4093', '4094', '4095', '4096', '0x3', '0007', '2147483648', '1e3', '-0') },
    {
      weight: 2,
      arbitrary: fc.constantFrom('root', 'NONE', 'ANY', '02:00:00:00:00:01', '2.0.0.0.0.1', 'port', '/', ''),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
  );
  const line = fc.tuple(fc.constantFrom(...paths.map(({ path }) => path)), fc.array(word, { maxLength: 4 }));
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 30 }), (lines) => {
      const selection = new DebugSelection(SWITCH_CATEGORIES);
      for (const [path, words] of lines) {
        // A string with a newline would be two commands; a hash is large when somebody asks for it.
        const command = [path, ...words].join(' ').replaceAll(/[\n\0]/g, ' ');
        let text = '';
        interpreter.answer(command, {
          selection,
          write: (part) => {
            text += part;
          },
        });
        assert.match(text, ANSWER, command);
      }
      // It still works.
      assert.ok(managed.ports.length <= managed.numPorts + 1);
    }),
    { numRuns: 200 },
  );
});

test('stations are followed while somebody asks for them', () => {
  const asked: boolean[] = [];
  let tell: Parameters<ManagedSwitchApi['listen']>[0] = () => undefined;
  let listeners = 0;
  const managed = {
    listen: (listener: typeof tell, options?: { readonly stations?: boolean }) => {
      asked.push(options?.stations ?? true);
      listeners += 1;
      tell = listener;
      return () => {
        listeners -= 1;
      };
    },
  } as ManagedSwitchApi;
  let wanted = 'port/';
  const told: string[] = [];
  const audience: Audience = {
    wants: (prefix) => wanted.startsWith(prefix),
    tell: (path, text) => void told.push(`${path} ${text}`),
  };
  const feed = new EventFeed(managed, () => [audience]);
  feed.refresh();
  assert.deepEqual(asked, [false]);
  wanted = 'hash/+';
  feed.refresh();
  feed.refresh();
  assert.deepEqual(asked, [false, true]);
  assert.equal(listeners, 1);
  tell({ kind: 'station-learned', mac: '02:00:00:00:00:01', vlan: 300, port: 3 });
  assert.deepEqual(told, ['hash/+ 02:00:00:00:00:01 VLAN 2c:01 Port 3']);
  wanted = '';
  feed.refresh();
  assert.deepEqual(asked, [false, true, false]);
  feed.close();
  feed.close();
  assert.equal(listeners, 0);
});

test('what happens has the words of the original', () => {
  const line = (event: Parameters<typeof describeEvent>[0]): string => {
    const { path, text } = describeEvent(event);
    return `${path} ${text}`;
  };
  const root = '80:00:00:ff:44:70:c3:5e';
  assert.equal(line({ kind: 'port-added', port: 3 }), 'port/+ 03');
  assert.equal(line({ kind: 'endpoint-added', port: 12, endpoint: 6 }), 'port/ep/+ Port 12 FD  6');
  assert.equal(line({ kind: 'endpoint-removed', port: 1, endpoint: 123 }), 'port/ep/- Port 01 FD 123');
  assert.equal(line({ kind: 'tree-root', vlan: 300, rootPort: 2, root }), `fstp/root Port 0002 VLAN 01:2c -> ${root}`);
  assert.equal(line({ kind: 'tree-status', vlan: 0, port: 1, status: 'x' }), 'fstp/status Port 0001 VLAN 00:00 x');
  assert.equal(line({ kind: 'tree-port-active', vlan: 1, port: 1 }), 'fstp/+ Port 0001 VLAN 00:01');
  assert.equal(line({ kind: 'tree-port-inactive', vlan: 1, port: 1 }), 'fstp/- Port 0001 VLAN 00:01');
});
