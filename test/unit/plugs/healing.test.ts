/** What a plug that heals says while its network cannot be opened. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { VdensError } from '../../../src/errors.ts';
import { HealingPlug } from '../../../src/plugs/healing.ts';
import { MemoryPlug } from '../../../src/plugs/memory.ts';
import type { Plug } from '../../../src/plugs/plug.ts';
import { waitFor } from '../../interop/harness.ts';

const TIMEOUT_MS = 5000;

/** A network that opens, or fails, as it is told. */
class Network {
  /** What happens at every further try. */
  outcome: 'opens' | unknown = 'opens';
  tries = 0;
  said: string[] = [];
  #other: MemoryPlug | undefined;

  async start(t: TestContext): Promise<void> {
    const plug = await HealingPlug.open('net', async () => this.#open(), { longestPauseMs: 100 });
    t.after(() => plug.close());
    const events = {
      down: () => void this.said.push('down'),
      up: () => void this.said.push('up'),
      trouble: (error: VdensError) => void this.said.push(error.message),
    };
    plug.start(() => undefined, events);
  }

  /** The other end goes, and that many tries fail. */
  async fail(error: unknown, tries = 3): Promise<void> {
    this.outcome = error;
    const before = this.tries;
    await this.#other?.close();
    await waitFor(() => this.tries >= before + tries, TIMEOUT_MS, 'more tries');
  }

  async heal(): Promise<void> {
    this.outcome = 'opens';
    await waitFor(() => this.said.at(-1) === 'up', TIMEOUT_MS, 'the network');
  }

  #open(): Plug {
    this.tries++;
    if (this.outcome !== 'opens') throw this.outcome;
    const [plug, other] = MemoryPlug.pair();
    this.#other = other;
    return plug;
  }
}

function failure(message: string, errno: string, syscall?: string): VdensError {
  return new VdensError('ERR_NETWORK_OPEN', message, { errno, ...(syscall === undefined ? {} : { syscall }) });
}

test('that nobody is there is no news', async (t) => {
  const network = new Network();
  await network.start(t);
  await network.fail(failure('no such switch', 'ENOENT'));
  await network.fail(failure('nobody serves it', 'ECONNREFUSED', 'connect'));
  await network.fail(failure('it refused', 'ECONNRESET'));
  await network.heal();
  assert.deepEqual(network.said, ['down', 'up']);
});

test('every other reason is told once, until the network is back', async (t) => {
  const network = new Network();
  await network.start(t);
  for (let round = 0; round < 2; round++) {
    network.said = [];
    await network.fail(failure('you may not use it', 'EACCES', 'connect'));
    await network.fail(failure('no folder above it', 'ENOENT', 'mkdir'));
    await network.fail(failure('you may not use it', 'EACCES', 'connect'));
    await network.fail(new VdensError('ERR_NETWORK_TIMEOUT', 'no answer'));
    await network.heal();
    assert.deepEqual(network.said, ['down', 'you may not use it', 'no folder above it', 'no answer', 'up']);
  }
});

test('reasons that are never the same twice do not go on for ever', async (t) => {
  const network = new Network();
  await network.start(t);
  for (let count = 0; count < 12; count++) await network.fail(failure(`reason ${count}`, 'EACCES'), 2);
  assert.deepEqual(network.said, ['down', ...Array.from({ length: 8 }, (_, index) => `reason ${index}`)]);
});
