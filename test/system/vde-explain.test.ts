/** `vde explain` on real namespaces and networks: what is in the way is found, named, and the exit status says it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Lab } from '../fixtures/lab.ts';
import {
  type BackgroundCommand,
  type CommandResult,
  checkout,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

/** As far as the tests look at it; the whole is in src/inventory/explain/explanation.ts. */
interface Answer {
  readonly reaches: boolean;
  readonly verdict: string;
  readonly ways: readonly {
    readonly destination: string;
    readonly arrives: boolean;
    readonly steps: readonly { readonly topic: string; readonly state: string; readonly text: string }[];
  }[];
}

/** Programs with names of their own: what runs of others is not seen. */
class Site {
  readonly folder: string;
  readonly #t: TestContext;
  readonly #env: Readonly<Record<string, string>>;
  readonly #wrap: (argv: readonly string[]) => readonly string[];

  constructor(
    t: TestContext,
    folder = makeTemporaryDirectory(t),
    wrap: (argv: readonly string[]) => readonly string[] = (argv) => argv,
  ) {
    this.#t = t;
    this.folder = folder;
    this.#env = { VDENS_RUNTIME_DIR: join(folder, 'run') };
    this.#wrap = wrap;
  }

  /** The same folder, seen from elsewhere. */
  within(wrap: (argv: readonly string[]) => readonly string[]): Site {
    return new Site(this.#t, this.folder, wrap);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  spawn(argv: readonly string[]): Promise<BackgroundCommand> {
    return spawnBackground(this.#t, this.#wrap(argv), { env: this.#env });
  }

  run(argv: readonly string[]): Promise<CommandResult> {
    return runCommand(this.#wrap(argv), { env: this.#env, timeoutMs: 60_000 });
  }

  /** A namespace with a name; resolves when its command runs. */
  async host(name: string, ...words: readonly string[]): Promise<BackgroundCommand> {
    const command = ['sh', '-c', 'echo ready; exec sleep 120'];
    const separator = words.includes('-m') ? ['--'] : [];
    const host = await this.spawn([ours('vdens'), '--name', name, ...words, ...separator, ...command]);
    await host.waitForOutput(/^ready$/m, 30_000);
    return host;
  }

  /** Runs a command in a namespace, which must succeed. */
  async inside(name: string, ...command: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run([ours('vde'), 'exec', name, ...command]);
    assert.equal(status, 0, `${command.join(' ')} in ${name}: ${stderr}`);
    return stdout;
  }

  /** Runs a command of `vde`, which must succeed. */
  async vde(...words: readonly string[]): Promise<void> {
    const { status, stderr } = await this.run([ours('vde'), ...words]);
    assert.equal(status, 0, `vde ${words.join(' ')}: ${stderr}`);
  }

  async explain(...words: readonly string[]): Promise<Answer> {
    const { status, stdout, stderr } = await this.run([ours('vde'), 'explain', '--json', ...words]);
    assert.ok(status === 0 || status === 1, `status ${status}: ${stderr}`);
    const answer = JSON.parse(stdout) as Answer;
    assert.equal(status, answer.reaches ? 0 : 1, stdout);
    return answer;
  }

  /** It reaches. */
  async reaches(...words: readonly string[]): Promise<Answer> {
    const answer = await this.#explainUntil(words, ({ reaches }) => reaches);
    assert.equal(answer.reaches, true, show(answer));
    return answer;
  }

  /** It does not reach, for this reason. */
  async refuses(words: readonly string[], reason: RegExp): Promise<Answer> {
    const answer = await this.#explainUntil(words, ({ reaches, verdict }) => !reaches && reason.test(verdict));
    assert.equal(answer.reaches, false, show(answer));
    assert.match(answer.verdict, reason, show(answer));
    return answer;
  }

  /** The answer, at the latest when everybody has had time to answer: much else runs on this machine. */
  async #explainUntil(words: readonly string[], isMeant: (answer: Answer) => boolean): Promise<Answer> {
    const deadline = performance.now() + 30_000;
    let answer = await this.explain(...words);
    while (!isMeant(answer) && performance.now() < deadline) answer = await this.explain(...words);
    return answer;
  }
}

function show({ verdict, ways }: Answer): string {
  const lines = ways.flatMap(({ steps }) => steps.map(({ topic, state, text }) => `${state} ${topic}: ${text}`));
  return [...lines, verdict].join('\n');
}

function textOf(answer: Answer, topic: string): string {
  return answer.ways
    .flatMap(({ steps }) => steps)
    .filter((step) => step.topic === topic)
    .map(({ text }) => text)
    .join('\n');
}

/** A program of the library: two namespaces on a switch of its own, and one on another. */
const PROGRAM = `
  import { cable, createSwitch, NamespaceItem, openNamespace, ProcessControl } from ${JSON.stringify(join(checkout, 'dist', 'src', 'index.js'))};
  const control = new ProcessControl({ command: 'program', prefix: 'program', name: 'lab' });
  const [lan, other] = [createSwitch(), createSwitch()];
  for (const [index, segment] of [lan, lan, other].entries()) {
    const [name, addresses] = ['eth' + (index + 1), ['10.6.0.' + (index + 1) + '/24']];
    const namespace = await openNamespace({ interfaces: [{ name, addresses }] });
    const [tap, network] = [namespace.interfaces[0].plug, segment.port()];
    cable(tap, network);
    control.add(async () => new NamespaceItem(namespace, [{ tap, network }], []));
  }
  await control.ready;
  console.log('ready');
  setTimeout(() => undefined, 120_000);
`;

describe('vde explain', { concurrency: 3 }, () => {
  test('on one switch: it reaches, by name, pid, address and MAC address', { concurrency: true }, async (t) => {
    if (!requireCommands(t, 'ip')) return;
    const site = new Site(t);
    const lan = `switch://${site.path('lan')}`;
    const a = await site.host('a', '--mac', '02:00:00:00:00:0a', '--address', '10.0.0.1/24,fd00::1/64', lan);
    const [b] = await Promise.all([
      site.host('b', '--mac', '02:00:00:00:00:0b', '--address', '10.0.0.2/24,fd00::2/64', lan),
      site.host('c', '--address', '10.0.0.3/24', `switch://${site.path('other')}`),
      site.host('far', '--address', '10.9.0.4/24', lan),
      site.host('narrow', '--address', '10.0.0.5/32', lan),
    ]);

    await t.test('both families are looked at, IPv4 first', async () => {
      const answer = await site.reaches('a', 'b');
      assert.equal(answer.verdict, 'a reaches b (10.0.0.2, fd00::2).');
      assert.deepEqual(
        answer.ways.map(({ destination }) => destination),
        ['10.0.0.2', 'fd00::2'],
      );
      assert.match(textOf(answer, 'neighbour'), /10\.0\.0\.2 answers at 02:00:00:00:00:0b/);
      assert.match(textOf(answer, 'network'), /served by a \(pid \d+\); a is at port 1; b is at port \d; it heard 02:/);
    });
    await t.test('B is a pid, an address, a MAC address; A is a pid', async () => {
      const words = [String(b.pid), '10.0.0.2', 'fd00:0::2', '02-00-00-00-00-0b'];
      for (const answer of await Promise.all(words.map((word) => site.reaches(String(a.pid), word)))) {
        assert.match(textOf(answer, 'address'), /^b has /);
      }
    });
    await t.test('as text, the verdict is the last line; nobody is asked with --no-probe', async () => {
      const { status, stdout } = await site.run([ours('vde'), 'explain', 'a', 'b', '--no-probe']);
      assert.equal(status, 0);
      assert.match(stdout.trimEnd().split('\n').at(-1)!, /^a should reach b .*as far as can be seen without asking\.$/);
      assert.match(stdout, /^ok {2}route +a sends packets .*\[routing table of a\]$/m);
      await site.inside('a', 'ip', 'neigh', 'flush', 'dev', 'vde0');
      const unasked = await site.reaches('--no-probe', 'a', '10.0.0.2');
      assert.match(textOf(unasked, 'neighbour'), /not asked for/);
      assert.doesNotMatch(await site.inside('a', 'ip', 'neigh'), /10\.0\.0\.2/);
    });
    await Promise.all([
      t.test('a name that nothing has: the nearest is offered', async () => {
        const { status, stderr } = await site.run([ours('vde'), 'explain', 'a', 'narow']);
        assert.equal(status, 125);
        assert.match(stderr, /"narow".*Did you mean: narrow\n$/);
      }),
      t.test('B is on another switch', async () => {
        const answer = await site.refuses(
          ['a', 'c'],
          /a is plugged into the switch \S+lan, and c into the switch \S+other/,
        );
        assert.match(answer.verdict, /vde_plug 'switch:\S+lan' 'switch:\S+other'/);
      }),
      t.test('no route, and no address of a family', async () => {
        await site.refuses(['a', 'far'], /none of its addresses \(10\.0\.0\.1\/24\), and it has no default gateway/);
        await site.refuses(
          ['c', 'fd00::2'],
          /c has no route to fd00::2: it has no IPv6 address.* an address of fd00::\/64/,
        );
      }),
      t.test('a frame arrives, and no answer comes back', async () => {
        const answer = await site.refuses(['a', 'narrow'], /arrives at 10\.0\.0\.5, but the answer does not come back/);
        assert.equal(answer.ways[0]?.arrives, true);
      }),
      t.test('an address that nobody has, a MAC address that nobody heard', async () => {
        await Promise.all([
          site.refuses(['a', '10.0.0.77'], /nobody answers for 10\.0\.0\.77 .* no namespace of yours/),
          site.refuses(['a', '02:00:00:00:00:77'], /nothing that a is plugged into has heard of 02:00:00:00:00:77/),
          site.reaches('a', 'ff:ff:ff:ff:ff:ff'),
        ]);
      }),
    ]);
  });

  test('on one switch: what is in the way is found', async (t) => {
    if (!requireCommands(t, 'ip')) return;
    const site = new Site(t);
    const lan = `switch://${site.path('lan')}`;
    const a = await site.host('a', '--address', '10.0.0.1/24', lan);
    const b = await site.host('b', '--address', '10.0.0.2/24', lan);
    await t.test('cut on purpose, at A and at a port of the switch', async () => {
      await site.vde('cut', 'a');
      await site.refuses(['a', 'b'], /vde0 of a was cut from switch:\S+\. .*vde join a:vde0/);
      await site.vde('join', 'a');
      const [, port] = /b is at port (\d+)/.exec(textOf(await site.reaches('a', '10.0.0.2'), 'network')) ?? [];
      await site.vde('cut', `a:port${port}`);
      const answer = await site.refuses(['a', '10.0.0.2'], new RegExp(`port ${port} of \\S+, at which b is, was cut`));
      assert.match(answer.verdict, new RegExp(`vde join a:port${port}\\.$`));
      await site.vde('join', `a:port${port}`);
      await site.reaches('a', '10.0.0.2');
    });
    await t.test('made worse on purpose: every frame is lost, or they are late', async () => {
      await site.vde('tc', 'b:vde0', 'loss=100%');
      await site.refuses(
        ['a', '10.0.0.2'],
        /vde0 of b loses every frame, on purpose \(loss=100%\)\. .*vde tc b:vde0 none/,
      );
      await site.vde('tc', 'b:vde0', 'none', 'delay=20');
      const late = await site.reaches('a', '10.0.0.2');
      assert.match(textOf(late, 'arrival'), /made worse on purpose: delay=20/);
      await site.vde('tc', 'b:vde0', 'none');
    });
    await t.test('what the kernel of A or B was told: a fixed entry, no ARP, a blackhole', async () => {
      const set = 'ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:77 nud permanent dev vde0';
      await site.inside('a', 'sh', '-c', `${set}; ip route add blackhole 10.7.0.0/16`);
      await Promise.all([
        site.refuses(
          ['a', '10.0.0.2'],
          /a has a fixed entry .*:77, .* vde exec a ip neigh del 10\.0\.0\.2 dev vde0\.$/,
        ),
        site.refuses(['a', '10.7.0.1'], /a has a blackhole route for 10\.7\.0\.1/),
      ]);
      await site.inside('a', 'ip', 'neigh', 'del', '10.0.0.2', 'dev', 'vde0');
      await site.inside('b', 'ip', 'link', 'set', 'vde0', 'arp', 'off');
      await site.refuses(['a', '10.0.0.2'], /vde0 of b has ARP turned off.* vde exec b ip link set vde0 arp on\.$/);
      await site.inside('b', 'ip', 'link', 'set', 'vde0', 'arp', 'on');
    });
    await t.test('an interface is down, at A and at B', async () => {
      await site.inside('b', 'ip', 'link', 'set', 'vde0', 'down');
      await Promise.all([
        site.refuses(['b', '10.0.0.9'], /vde0, which has 10\.0\.0\.2\/24, is down/),
        site.refuses(['a', '10.0.0.2'], /vde0 of b is down.*vde exec b ip link set vde0 up/),
      ]);
    });
    await t.test('whoever is stopped is named', async () => {
      b.kill('SIGSTOP');
      await site.refuses(['a', 'b'], new RegExp(`b \\(pid ${b.pid}\\) is stopped.*kill -CONT ${b.pid}`));
      const answer = await site.refuses(['a', '10.0.0.2'], /nobody answers for 10\.0\.0\.2/);
      assert.match(textOf(answer, 'address'), /\(b cannot be asked\)/);
      b.kill('SIGCONT');
      assert.equal(a.hasExited(), false);
    });
  });

  test('a managed switch: ports in other VLANs are told, with the command that helps', async (t) => {
    const site = new Site(t);
    const [path, console_] = [site.path('sw'), site.path('mgmt')];
    await site.spawn([ours('vde_switch'), '-s', path, '-M', console_]);
    const at = (command: string): Promise<CommandResult> => site.run([ours('vde'), 'console', console_, command]);
    await waitFor(() => existsSync(join(path, 'ctl')) && existsSync(console_), 30_000, 'the switch');
    await site.host('a', '--address', '10.0.0.1/24', `${path}[1]`);
    await site.host('b', '--address', '10.0.0.2/24', `${path}[2]`);
    const fine = await site.reaches('a', 'b');
    assert.match(textOf(fine, 'network'), /a is at port 1, in VLAN 0; b is at port 2, in VLAN 0; it heard/);
    for (const command of ['vlan/create 5', 'port/setvlan 2 5']) assert.equal((await at(command)).status, 0);
    const apart = await site.refuses(['a', 'b'], /belong to VLAN 0 \(port 1\), and b is in VLAN 5 \(port 2\)/);
    assert.match(apart.verdict, /port\/setvlan 2 0/);
    for (const command of ['vlan/addport 5 1', 'port/setvlan 2 0', 'port/setvlan 1 5', 'vlan/addport 5 2']) {
      assert.equal((await at(command)).status, 0, command);
    }
    await site.refuses(['a', 'b'], /VLAN 5, which leaves port 2 with a tag that b does not expect/);
  });

  test('an original switch cannot be asked, and the neighbour’s answer is what there is', async (t) => {
    if (!requireCommands(t, 'vde_switch')) return;
    const site = new Site(t);
    const path = site.path('sw');
    const program = await site.spawn([original('vde_switch') ?? '', '-s', path, '-x']);
    await Promise.all([1, 2].map((n) => site.host(`o${n}`, '--address', `10.1.0.${n}/24`, path)));
    const answer = await site.reaches('o1', 'o2');
    assert.match(
      textOf(answer, 'network'),
      new RegExp(`served by vde_switch \\(pid ${program.pid}\\), which cannot be asked`),
    );
    program.kill('SIGSTOP');
    await site.refuses(['o1', 'o2'], new RegExp(`which is stopped: no frame passes.*kill -CONT ${program.pid}`));
    program.kill('SIGCONT');
  });

  test('through a router, and through cables between switches', async (t) => {
    const site = new Site(t);
    const [left, right, third] = ['left', 'right', 'third'].map((name) => `switch://${site.path(name)}`) as [
      string,
      string,
      string,
    ];
    await site.host('a', '--address', '10.1.0.1/24', '--gateway', '10.1.0.254', left);
    await Promise.all([
      site.host('r', '-m', '--address', 'vde0=10.1.0.254/24', '--address', 'vde1=10.2.0.254/24', left, right),
      site.host('b', '--mac', '02:00:00:00:00:0b', '--address', '10.2.0.2/24', '--gateway', '10.2.0.254', right),
      site.host('d', '--address', '10.1.0.4/24', third),
    ]);
    await site.refuses(['a', 'b'], /r is the router, and hands no packets of others on\. .*net\.ipv4\.ip_forward=1/);
    await site.inside('r', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    const routed = await site.reaches('a', 'b');
    assert.match(textOf(routed, 'route'), /through the router 10\.1\.0\.254\nr sends packets for 10\.2\.0\.2 by vde1/);
    assert.match(textOf(routed, 'return'), /b answers to 10\.1\.0\.1 by vde0, through the router 10\.2\.0\.254/);
    // Both of its interfaces have the network of that address, and one leads there.
    const local = await site.reaches('r', 'fe80::ff:fe00:b');
    assert.match(textOf(local, 'route'), /^r sends packets for fe80::ff:fe00:b by vde1\b/);

    await site.refuses(['a', 'd'], /no cable of yours joins the two/);
    const cable = await site.spawn([ours('vde_plug'), `vde://${site.path('left')}`, `vde://${site.path('third')}`]);
    const joined = async (): Promise<boolean> => (await site.explain('a', 'd')).reaches;
    await waitFor(joined, 30_000, 'the cable');
    const answer = await site.reaches('a', 'd');
    assert.match(textOf(answer, 'network'), new RegExp(`the cable plug-${cable.pid} .* carries it from vde:\\S+left`));
    assert.match(textOf(answer, 'network'), new RegExp(`d is at port \\d \\(by the cable of process ${cable.pid}\\)`));
  });

  test('clients of multi:// reach its host, and not each other', async (t) => {
    const site = new Site(t);
    const path = site.path('hub');
    await site.host('m', '--address', '10.3.0.1/24', `multi://${path}`);
    await Promise.all([2, 3].map((n) => site.host(`m${n}`, '--address', `10.3.0.${n}/24`, `vde://${path}`)));
    await site.reaches('m2', 'm');
    await site.refuses(['m2', 'm3'], /clients of multi:\/\/\S+hub exchange frames with m alone.* switch:\/\//);
  });

  test('a gateway: what is this machine, what leaves it, who is behind none', async (t) => {
    const site = new Site(t);
    const lan = `switch://${site.path('lan')}`;
    await site.host('s', '--auto', 'slirp://');
    await site.host('locked', '--address', '10.0.2.20/24', '--gateway', '10.0.2.2', 'slirp:///restricted');
    await site.host('w', '--address', '10.5.0.1/24', lan);
    assert.match(textOf(await site.reaches('s', '10.0.2.2'), 'network'), /that is this machine: .* \(127\.0\.0\.1\)/);
    const out = await site.reaches('s', '192.0.2.1');
    assert.match(out.verdict, /^Packets of s for 192\.0\.2\.1 leave this machine/);
    await site.refuses(['locked', '192.0.2.1'], /the gateway lets nothing out \(restricted\)/);
    await site.refuses(['s', 'w'], /s is plugged into slirp:\/\/, and 10\.5\.0\.1 into the switch/);
  });

  test('namespaces of one program are told apart by their interfaces', async (t) => {
    const site = new Site(t);
    const program = await site.spawn([process.execPath, '--input-type=module', '-e', PROGRAM]);
    await program.waitForOutput(/^ready$/m, 30_000);
    const answers = await Promise.all([
      site.reaches('lab:eth1', 'lab:eth2'),
      site.reaches('lab:eth2', '10.6.0.1'),
      site.refuses(
        ['lab:eth1', 'lab:eth3'],
        /lab:eth1 is plugged into switch port 1, and lab:eth3 into switch port 1; no/,
      ),
    ]);
    assert.match(textOf(answers[0], 'return'), /^lab:eth2 answers to 10\.6\.0\.1 by eth2$/);
    assert.match(textOf(answers[1], 'address'), /^lab:eth1 has 10\.6\.0\.1 on eth1$/);
    for (const [word, problem] of [
      ['lab', 'lab has 3 namespaces. Say which by an interface, as in lab:eth1'],
      ['lab:x', 'lab:x: lab has no interface "x"; there are eth1, eth2, eth3'],
    ] as const) {
      const { status, stderr } = await site.run([ours('vde'), 'explain', word, '10.6.0.1']);
      assert.deepEqual([status, stderr], [125, `vde: ${problem}\n`]);
    }
  });

  test('over UDP between hosts: behind which endpoint, and that another VNI is another network', async (t) => {
    if (!requireCommands(t, 'unshare', 'nsenter', 'ip')) return;
    const lab = await Lab.start(t, { hosts: 3 });
    const near = new Site(t);
    const site = near.within((argv) => lab.host(1).command(argv));
    const at = (number: number): Site => near.within((argv) => lab.host(number).command(argv));
    await site.host('a', '--address', '10.1.1.1/24', 'vxvde://');
    await at(2).host('b', '--address', '10.1.1.2/24', 'vxvde://');
    await at(3).host('c', '--address', '10.1.1.3/24', 'vxvde:///vni=7');
    const answer = await site.reaches('a', 'b');
    assert.match(
      textOf(answer, 'network'),
      /the usual group, port 14789, VNI 1\), b was heard behind 10\.99\.0\.2:\d+/,
    );
    await site.refuses(['a', 'c'], /VNI 1\), and c into vxvde:\/\/\/vni=7 \(.*VNI 7\); no cable of yours joins/);
    await lab.host(2).unplug();
    await site.refuses(['a', 'b'], /./);
  });
});
