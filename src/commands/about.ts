/** What a command says of itself. */
import { formatHelp } from './help.ts';
import type { CommandTable } from './option-table.ts';
import { writeOutput } from './standard-streams.ts';
import { version } from './version.ts';

/** Where there is no terminal. */
const USUAL_COLUMNS = 80;

/** Prints what `--help` or `--version` asks for. Returns the exit status. */
export async function printAbout(what: 'help' | 'version', table: CommandTable): Promise<number> {
  const columns = process.stdout.columns ?? USUAL_COLUMNS;
  await writeOutput(what === 'help' ? formatHelp(table, columns) : `${table.name} ${version()}\n`);
  return 0;
}
