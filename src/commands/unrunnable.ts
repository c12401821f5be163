/** Why a program could not be run. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { getSystemErrorMap } from 'node:util';

/** Where execvp(3) looks without $PATH. */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * A line about a program that execvp(3) did not run.
 *
 * @param errno - negative, as the kernel and Node.js have it
 */
export function unrunnable(program: string, errno: number): string {
  const [name = `error ${-errno}`, reason = name] = getSystemErrorMap().get(errno) ?? [];
  const isName = program !== '' && !program.includes('/');
  // EACCES may also be from a folder that we may not look into.
  if (isName && (name === 'ENOENT' || name === 'EACCES') && !isInPath(program)) {
    return `cannot run the command "${program}": there is none in $PATH`;
  }
  return `cannot run the command "${program}": ${reason}`;
}

function isInPath(program: string): boolean {
  const { PATH = DEFAULT_PATH } = process.env;
  return PATH.split(delimiter).some((folder) => existsSync(join(folder, program)));
}
