/**
 * The `vde` command: a door to subcommands, each loaded only when it is called.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Takes the arguments after its own name, resolves with the exit status. */
type Subcommand = (args: readonly string[]) => Promise<number>;

interface SubcommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Subcommand>;
}

const subcommands: ReadonlyMap<string, SubcommandEntry> = new Map([
  [
    'doctor',
    {
      summary: 'say whether this machine can run vdens, and what to do where it cannot',
      load: async () => (await import('../doctor/doctor.ts')).doctor,
    },
  ],
]);

/** Our own failure, as with env(1). */
const STATUS_OWN_FAILURE = 125;

/** Runs `vde` with these arguments; problems become one line on standard error. Resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(args);
  } catch (error) {
    const debug = (process.env['VDENS_DEBUG'] ?? '') !== '';
    process.stderr.write(`vde: ${debug ? (error as Error).stack : (error as Error).message}\n`);
    return STATUS_OWN_FAILURE;
  }
}

async function run([name, ...rest]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') return print(help());
  if (name === '--version' || name === '-V') return print(`vde ${version()}\n`);
  const subcommand = name === undefined ? undefined : subcommands.get(name);
  if (subcommand !== undefined) return (await subcommand.load())(rest);
  const problem = name === undefined ? 'a command is missing' : `there is no command "${name}"`;
  process.stderr.write(`vde: ${problem}. Commands: ${[...subcommands.keys()].join(', ')}. See: vde --help\n`);
  return STATUS_OWN_FAILURE;
}

function help(): string {
  const width = Math.max(...[...subcommands.keys()].map((name) => name.length));
  const lines = [...subcommands].map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: vde COMMAND [options]

Commands:
${lines.join('\n')}

Options:
  -h, --help     print this text
  -V, --version  print the version

vde COMMAND --help says more about one of them.
`;
}

function version(): string {
  const path = join(import.meta.dirname, '..', '..', '..', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
