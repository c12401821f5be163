/** `vdens` in a real terminal: an interactive shell inside, job control inside and outside, the window's size. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Mark } from '../fixtures/marked.ts';
import { openTerminal, type Terminal } from '../fixtures/terminal.ts';
import { ours, requireCommands, waitFor } from '../interop/harness.ts';

/** The network words that the tests below are run with: one of each way to run. */
const WAYS: readonly string[] = ['no', 'null://'];

async function open(t: TestContext, mark: Mark): Promise<Terminal | undefined> {
  if (!requireCommands(t, 'tmux', 'bash', 'stty')) return undefined;
  return await openTerminal(t, { ...mark.env, VDENS: ours('vdens'), SHELL: '/bin/sh' });
}

for (const network of WAYS) {
  test(`an interactive shell inside has job control, and its status goes to the shell outside (${network})`, async (t) => {
    const mark = new Mark();
    const terminal = await open(t, mark);
    if (terminal === undefined) return;
    await terminal.type(`$VDENS ${network} bash --norc --noprofile`);
    await terminal.waitFor(/\$VDENS.*\n(.*\n)*outer\$$/m);
    await terminal.type("PS1='inner$ '");
    await terminal.waitFor(/^inner\$$/m);
    assert.doesNotMatch(await terminal.screen(), /no job control|cannot set terminal/);

    await terminal.type('sleep 100');
    await mark.waitForProcess(/^sleep 100/);
    await terminal.press('C-c');
    await terminal.waitFor(/\^C\ninner\$$/m);

    await terminal.type('sleep 200');
    await mark.waitForProcess(/^sleep 200/);
    await terminal.press('C-z');
    await terminal.waitFor(/Stopped +sleep 200\ninner\$$/m);
    await terminal.type('jobs');
    await terminal.waitFor(/inner\$ jobs\n\[1\]\+ +Stopped +sleep 200\ninner\$$/m);
    await terminal.type('fg');
    await terminal.waitFor(/inner\$ fg\nsleep 200$/m);
    await terminal.press('C-c');
    await terminal.waitFor(/sleep 200\n\^C\ninner\$$/m);

    await terminal.type('exit 3');
    await terminal.waitFor(/inner\$ exit 3\nexit\nouter\$$/m);
    await terminal.type('echo "status $?"');
    await terminal.waitFor(/^status 3$/m);
  });

  test(`^Z stops the command and vdens with it, fg continues them, ^C ends them (${network})`, async (t) => {
    const mark = new Mark();
    const terminal = await open(t, mark);
    if (terminal === undefined) return;
    await terminal.type(`$VDENS ${network} sleep 100`);
    await mark.waitForProcess(/^sleep 100/);
    await terminal.press('C-z');
    await terminal.waitFor(/Stopped +\$VDENS.*\nouter\$$/m);
    await terminal.type('fg');
    await terminal.waitFor(/outer\$ fg\n\$VDENS/m);
    await terminal.press('C-z');
    await terminal.waitFor(/Stopped.*\n(.*\n)*.*Stopped.*\nouter\$$/m);
    await terminal.type('bg; fg');
    await terminal.waitFor(/outer\$ bg; fg\n(.*\n)*\$VDENS.*$/m);
    await terminal.press('C-c');
    await terminal.waitFor(/\^C\n?outer\$$/m);
    await terminal.type('echo "status $?"');
    await terminal.waitFor(/^status 130$/m);
    await terminal.type('jobs; echo end');
    await terminal.waitFor(/^end$/m);
    const isGone = (): boolean => !mark.processes().some(({ command }) => /sleep|launch|node/.test(command));
    await waitFor(isGone, 8000, 'the end of all of it');
  });

  test(`a shell inside that suspends itself stops vdens, and fg goes on with it (${network})`, async (t) => {
    const mark = new Mark();
    const terminal = await open(t, mark);
    if (terminal === undefined) return;
    await terminal.type(`$VDENS ${network} bash --norc --noprofile`);
    await mark.waitForProcess(/^bash --norc --noprofile$/);
    await terminal.type("PS1='inner$ '");
    await terminal.waitFor(/^inner\$$/m);
    await terminal.type('suspend');
    await terminal.waitFor(/suspend\n(.*\n)*.*Stopped +\$VDENS.*\n(.*\n)*outer\$$/m);
    await terminal.type('bg; sleep 0.2; fg');
    await terminal.waitFor(/outer\$ bg; sleep 0.2; fg\n/m);
    await terminal.type('echo "in $((1 + 1))"');
    await terminal.waitFor(/^in 2\ninner\$$/m);
    await terminal.type('sleep 100');
    await mark.waitForProcess(/^sleep 100/);
    await terminal.press('C-c');
    await terminal.waitFor(/\^C\ninner\$$/m);
    await terminal.type('exit 4');
    await terminal.waitFor(/exit\nouter\$$/m);
    await terminal.type('echo "status $?"');
    await terminal.waitFor(/^status 4$/m);
  });

  test(`a job whose shell suspended itself ends by a hang-up (${network})`, async (t) => {
    const mark = new Mark();
    const terminal = await open(t, mark);
    if (terminal === undefined) return;
    await terminal.type(`$VDENS ${network} bash --norc --noprofile`);
    await mark.waitForProcess(/^bash --norc --noprofile$/);
    await terminal.type("PS1='inner$ '");
    await terminal.waitFor(/^inner\$$/m);
    await terminal.type('suspend');
    await terminal.waitFor(/Stopped +\$VDENS/);
    await terminal.type('kill -HUP %1'); // An interactive shell ignores SIGTERM.
    const isGone = (): boolean => !mark.processes().some(({ command }) => /launch|node/.test(command));
    await waitFor(isGone, 8000, 'the end of the job');
  });

  test(`a command inside learns of a new size of the window (${network})`, async (t) => {
    const mark = new Mark();
    const terminal = await open(t, mark);
    if (terminal === undefined) return;
    const script = 'trap "stty size; exit" WINCH; stty size; while :; do sleep 0.05; done';
    await terminal.type(`$VDENS ${network} bash -c '${script}'`);
    await terminal.waitFor(/^24 80$/m);
    await terminal.resize(100, 30);
    await terminal.waitFor(/^30 100$/m);
  });

  test(`runs in the background of an interactive shell, and ends with kill %1 (${network})`, async (t) => {
    const mark = new Mark();
    const terminal = await open(t, mark);
    if (terminal === undefined) return;
    await terminal.type(`$VDENS ${network} sleep 100 &`);
    await mark.waitForProcess(/^sleep 100/);
    await terminal.type('kill %1; wait %1; echo "status $?"');
    await terminal.waitFor(/^status 143$/m);
  });
}

test('without a command it is the shell of $SHELL that runs, with its prompt', async (t) => {
  const mark = new Mark();
  const terminal = await open(t, mark);
  if (terminal === undefined) return;
  await terminal.type("PS1='shell$ ' $VDENS null://");
  await terminal.waitFor(/^shell\$$/m);
  await terminal.type('echo "I am $0"');
  await terminal.waitFor(/^I am \/bin\/sh$/m);
  await terminal.press('C-d');
  await terminal.waitFor(/^shell\$\n?outer\$$/m);
});

test('when the terminal is closed, vdens and the command end, and nothing is left', async (t) => {
  for (const network of WAYS) {
    const mark = new Mark();
    const terminal = await open(t, mark);
    if (terminal === undefined) return;
    await terminal.type(`$VDENS ${network} bash --norc --noprofile`);
    await mark.waitForProcess(/^bash --norc --noprofile$/);
    await terminal.type('sleep 100 & echo "started $((1 + 1))"');
    await terminal.waitFor(/^started 2/m);
    process.kill(await mark.waitForProcess(/^tmux/), 'SIGKILL');
    await mark.waitForNone();
  }
});
