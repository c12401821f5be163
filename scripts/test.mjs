/**
 * Runs the tests: `npm test`, after a build.
 *
 * Tests run as an ordinary user. Started by root (a fresh machine, a container), this installs the Debian packages
 * that the interoperability tests use, makes a user and runs the tests as that user in a copy of the checkout.
 * Each file of tests runs in its own process, three at a time, with bounded time, and must leave nothing behind.
 * The last line is always `N passed, N failed, N skipped`.
 */
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { entriesOfTmp, unmarkedProcessesOf } from './testing/leftovers.mjs';
import { groupVariable, serveOtherUser, socketVariable } from './testing/other-user.mjs';
import { packages, providePackages } from './testing/packages.mjs';
import { runFile } from './testing/run-file.mjs';
import { printFailures, printFileLine, printSkips, printTotals } from './testing/summary.mjs';
import { preparePlace } from './testing/user.mjs';

const checkout = join(import.meta.dirname, '..');
const folders = ['unit', 'conformance', 'system', 'interop'];
/** More than there are processors: most tests wait for something most of the time. */
const concurrency = 3;
const defaultSilence = '180';
const limits = { fileMs: 600_000, totalMs: 1_800_000 };

const help = `Usage: npm test [-- [options] [FILTER...]]

Runs the tests whose path contains a FILTER, such as: system, unit/frames, test/interop/original-tools.test.ts
Without one, runs all of them.

  --name PATTERN   only tests whose name matches the regular expression
  --silence N      end a file when none of its tests ends within N seconds (default: ${defaultSilence})
  --user NAME      when root: the ordinary user to run as (default: vdens-test; made when it is missing)
  --no-install     when root: install no Debian package
  --list           print the files and stop
  -h, --help       print this

Debian packages that tests use (a missing one leaves tests out):
${packages.map((row) => `  ${row.package.padEnd(16)} ${row.neededBy}`).join('\n')}`;

process.exitCode = await main();

async function main() {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`test: ${error.message}. See: npm test -- --help`);
    return 2;
  }
  if (options.values.help) {
    console.log(help);
    return 0;
  }
  const files = findFiles(options.positionals);
  if (options.values.list) {
    for (const file of files) console.log(file);
    return 0;
  }
  if (files.length === 0) {
    console.error(
      `test: no compiled test matches ${options.positionals.join(' ') || 'anything'} (build first: npm run build)`,
    );
    printTotals([]);
    return 1;
  }
  return await runAll(files, options.values);
}

function readOptions() {
  const options = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      list: { type: 'boolean' },
      name: { type: 'string' },
      silence: { type: 'string', default: defaultSilence },
      user: { type: 'string', default: 'vdens-test' },
      'no-install': { type: 'boolean', default: false },
    },
  });
  const { silence } = options.values;
  if (!/^[1-9]\d{0,4}$/.test(silence)) throw new Error(`--silence takes seconds, such as 60, not '${silence}'`);
  return options;
}

/** Compiled test files that match, in the order of the folders. One whose source is gone is old and left out. */
function findFiles(filters) {
  const wanted = filters.map((filter) => filter.replace(/^(\.\/)?(dist\/)?(test\/)?/, '').replace(/\.(ts|js)$/, ''));
  return folders
    .map((folder) => join(checkout, 'dist', 'test', folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true })
        .map((name) => join(folder, name))
        .sort(),
    )
    .map((path) => relative(checkout, path))
    .filter((path) => path.endsWith('.test.js') && existsSync(join(checkout, sourceOf(path))))
    .filter((path) => wanted.length === 0 || wanted.some((filter) => sourceOf(path).includes(filter)));
}

function sourceOf(compiled) {
  return compiled.replace(/^dist\//, '').replace(/\.js$/, '.ts');
}

async function runAll(files, { name, silence, user, 'no-install': isInstallOff }) {
  const say = (text) => console.log(text);
  const stop = new AbortController();
  const status = { byNumber: 1 };
  for (const [signal, number] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
    process.once(signal, () => {
      status.byNumber = number;
      stop.abort(`${signal} received`);
    });
  }
  providePackages({ mayInstall: !isInstallOff, say });
  let place;
  try {
    place = preparePlace({ checkout, userName: user, say });
  } catch (error) {
    console.error(`test: ${error.message}`);
    printTotals([]);
    return 1;
  }
  process.once('exit', () => place.remove());
  const clock = setTimeout(
    () => stop.abort(`all tests together took longer than ${limits.totalMs / 60_000} min`),
    limits.totalMs,
  );
  const results = [];
  let others;
  try {
    others = await openOtherUser(place);
    const isFromTests = (entry) => /^\.?(vde|vdens)/.test(entry) && !/^vdens-(run-.*|\d+)$/.test(entry);
    // Only a user that exists for the tests alone can be asked to have no other process.
    const uids = [place.user, place.other?.user].filter(Boolean).map(({ uid }) => uid);
    const everything = () => [
      ...(uids.length === 0 ? [process.getuid()] : uids).flatMap((uid) => entriesOfTmp(uid, isFromTests)),
      ...uids.flatMap((uid) => unmarkedProcessesOf(uid)),
    ];
    const before = new Set(everything());
    const queue = files.entries();
    const worker = async () => {
      for (const [number, file] of queue) {
        if (stop.signal.aborted) return;
        const result = await runFile({
          file,
          number,
          place,
          namePattern: name,
          limits: { ...limits, silenceMs: silence * 1000 },
          signal: stop.signal,
        });
        results.push({ ...result, file: sourceOf(file) });
        printFileLine(results.at(-1));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    const left = everything().filter((name) => !before.has(name));
    if (left.length > 0) results.push(failureOfAll(`the tests left something behind:\n${left.join('\n')}`));
    if (stop.signal.aborted) results.push(failureOfAll(`stopped before the end: ${stop.signal.reason}`));
  } finally {
    clearTimeout(clock);
    await others?.close();
    place.remove();
  }
  printFailures(results);
  printSkips(results);
  const { passed, failed } = printTotals(results);
  if (stop.signal.aborted) return status.byNumber;
  return failed > 0 || passed === 0 ? 1 : 0;
}

/** Lets tests run programs as the second user, if there is one; its environment is that of the tests otherwise. */
async function openOtherUser({ user: owner, other, scratch, env }) {
  if (other === undefined) return undefined;
  const { user, group } = other;
  const folder = join(scratch, 'other-user');
  const sockets = join(scratch, 'other-sockets');
  mkdirSync(sockets, { mode: 0o700 });
  chownSync(sockets, user.uid, user.gid);
  const own = { HOME: user.home, USER: user.name, LOGNAME: user.name, VDENS_RUNTIME_DIR: sockets };
  const server = await serveOtherUser({ folder, owner, other: user, group, env: { ...env, ...own } });
  env[socketVariable] = server.path;
  env[groupVariable] = group.name;
  return server;
}

function failureOfAll(text) {
  return {
    file: '(all files)',
    passed: 0,
    skips: [],
    failures: [{ name: '(the run as a whole)', text }],
    durationMs: 0,
  };
}
