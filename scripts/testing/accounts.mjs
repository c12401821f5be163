/** The accounts that tests run as: found by name, and made when they are missing. */
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { searchPath } from './packages.mjs';

/** The account called `name`, or undefined. */
export function findUser(name) {
  const { stdout, status } = spawnSync('getent', ['passwd', name], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  const [account, , uid, gid, , home, shell] = stdout.trim().split(':');
  return { name: account, uid: Number(uid), gid: Number(gid), home, shell };
}

/** Makes an ordinary account with a home of its own. Throws an Error with one line for people. */
export function makeUser(name, say) {
  say(`Making the user ${name} (home: /var/lib/${name}), because the tests do not run as root`);
  const options = [
    '--system',
    '--user-group',
    '--create-home',
    '--home-dir',
    `/var/lib/${name}`,
    '--shell',
    '/bin/bash',
  ];
  const run = spawnSync('useradd', [...options, name], {
    encoding: 'utf8',
    env: { ...process.env, PATH: searchPath() },
  });
  const user = findUser(name);
  if (user !== undefined) {
    chmodSync(user.home, 0o711); // A second user of the tests runs programs of the checkout below.
    return user;
  }
  const cause = run.error?.message ?? run.stderr.trim();
  throw new Error(`cannot make the user ${name}: ${cause}. Make an ordinary user, then: npm test -- --user THAT_USER`);
}
