/** The shell of the user: what is run where no command is named. */

/** `$SHELL`, else that of passwd(5), else `/bin/sh`. */
export async function userShell(): Promise<string> {
  if (process.env['SHELL']) return process.env['SHELL'];
  const { userInfo } = await import('node:os');
  try {
    return userInfo().shell || '/bin/sh';
  } catch {
    return '/bin/sh'; // a uid without an entry in passwd(5)
  }
}
