import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { apparmorProfile } from '../../../src/doctor/apparmor-profile.ts';
import type { Check } from '../../../src/doctor/check.ts';
import { quoted } from '../../../src/doctor/check.ts';
import { formatReport } from '../../../src/doctor/report.ts';

const fine: Check = { name: 'Linux', state: 'ok', detail: '6.1 on x64', remedy: 'not shown' };
const bad: Check = { name: '/dev/net/tun', state: 'problem', detail: 'is missing', remedy: 'modprobe tun' };
const odd: Check = { name: 'ping', state: 'warning', detail: 'cannot pass' };

describe('report', () => {
  test('has a mark and a line for each check, the command below, and the verdict last', () => {
    assert.equal(
      formatReport([fine, bad, odd], { colour: false }),
      [
        'ok  Linux         6.1 on x64',
        '!!  /dev/net/tun  is missing',
        '      modprobe tun',
        '??  ping          cannot pass',
        '',
        'vdens cannot run on this machine. The command below the !! line helps.',
      ].join('\n'),
    );
  });

  test('says that warnings are in no way', () => {
    assert.match(formatReport([fine, odd], { colour: false }), /\nvdens can run on this machine\.$/);
  });

  test('has colours only when they are asked for', () => {
    assert.ok(formatReport([bad], { colour: true }).startsWith('\u001b[31m!!\u001b[39m  /dev/net/tun'));
    assert.ok(!formatReport([bad], { colour: false }).includes('\u001b'));
  });
});

describe('AppArmor profile', () => {
  test('is for the path of the helper alone, and allows user namespaces', () => {
    assert.match(
      apparmorProfile('/opt/vdens/launch'),
      /\nprofile vdens-launch \/opt\/vdens\/launch flags=\(unconfined\) \{\n {2}userns,\n/,
    );
  });

  test('takes wildcards in the path literally, and quotes a path with spaces', () => {
    assert.match(apparmorProfile('/home/a b/x*[1]/launch'), / "\/home\/a b\/x\\\*\\\[1\\\]\/launch" flags/);
  });
});

test('a word is quoted for the shell when it needs it', () => {
  assert.equal(quoted('/opt/vdens/launch'), '/opt/vdens/launch');
  assert.equal(quoted("it's here"), String.raw`'it'\''s here'`);
});
