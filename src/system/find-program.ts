/** Whether there is a program that execvp(3) would run: a wrong name is better said before anything is started. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where execvp(3) looks without $PATH. */
const DEFAULT_PATH = '/bin:/usr/bin';

/** Why it would not be run; `undefined`: it would, as far as can be seen. */
export function programError(program: string): 'ENOENT' | 'EACCES' | undefined {
  if (program === '') return 'ENOENT';
  const { PATH = DEFAULT_PATH } = process.env;
  if (program.includes('/')) return errorAt(program);
  const errors = PATH.split(delimiter).map((folder) => errorAt(join(folder, program)));
  if (errors.includes(undefined)) return undefined;
  // EACCES may be from a folder that we may not look into.
  return PATH.split(delimiter).some((folder) => existsSync(join(folder, program))) ? 'EACCES' : 'ENOENT';
}

function errorAt(path: string): 'ENOENT' | 'EACCES' | undefined {
  try {
    if (!statSync(path).isFile()) return 'EACCES';
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'EACCES' : 'ENOENT';
  }
}
