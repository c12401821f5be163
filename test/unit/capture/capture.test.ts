/** A capture of places at which others look as well. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Capture, type CapturePlace } from '../../../src/capture/capture.ts';
import { PlugCounters } from '../../../src/plugs/counters.ts';

const MAX_CAPTURES_PER_POINT = 32;
const OPTIONS = { mode: 'stream', bytes: 262_144, snap: 96 } as const;

function placeCalled(id: string): CapturePlace {
  const [counters, other] = [new PlugCounters(), new PlugCounters()];
  return { id, network: 'lan', description: '', counters, isReversed: false, otherEnds: [other] };
}

test('as many look at a place as can; who cannot is told, and looks when another has ended', (t) => {
  const place = placeCalled('port 1');
  const captures = Array.from({ length: MAX_CAPTURES_PER_POINT }, () => new Capture(OPTIONS));
  const late = new Capture(OPTIONS);
  t.after(() => {
    for (const capture of [...captures, late]) capture.stop();
  });
  for (const capture of captures) {
    capture.look([place]);
    assert.deepEqual(capture.missed, []);
  }
  for (let tries = 0; tries < 5; tries++) late.look([place]);
  assert.deepEqual(late.missed, ['port 1']);
  assert.equal(late.interfaces.length, 1, 'it is described once');
  captures[7]!.stop();
  late.look([place]);
  assert.ok(
    !place.counters.capture.start({ ring: captures[0]!.ring, index: 1, snap: 96, outbound: 'sent' }),
    'it is full',
  );
});

test('captures come and go while a recorder looks', (t) => {
  const place = placeCalled('port 1');
  const recorder = new Capture({ ...OPTIONS, mode: 'recorder' });
  t.after(() => recorder.stop());
  recorder.look([place]);
  for (let round = 0; round < 4 * MAX_CAPTURES_PER_POINT; round++) {
    const capture = new Capture(OPTIONS);
    capture.look([place]);
    assert.deepEqual(capture.missed, [], `round ${round}`);
    capture.stop();
  }
});

test('a place whose frames are moved by somebody who cannot record them is told', (t) => {
  const place = placeCalled('vde0');
  const capture = new Capture(OPTIONS);
  t.after(() => capture.stop());
  const asked: (() => void)[] = [];
  const ended: number[] = [];
  place.counters.capture.moveElsewhere({
    start: ({ refused }) => void asked.push(refused ?? (() => undefined)),
    stop: ({ index }) => void ended.push(index),
  });
  capture.look([place]);
  assert.deepEqual(capture.missed, []);
  asked[0]?.();
  assert.deepEqual(capture.missed, ['vde0']);
  capture.look([place]);
  assert.equal(asked.length, 2, 'it is tried again');
  assert.equal(capture.interfaces.length, 1);
  // Too late: that was the one before.
  asked[0]?.();
  assert.deepEqual(ended, [0]);
});
