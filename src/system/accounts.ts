/** Users and groups by name, as passwd(5) and group(5) have them. */
import { readFileSync } from 'node:fs';

const LARGEST_ID = 0xffff_fffe;

/** The number of a user, from the name or as a number; `undefined` when there is no such user. */
export function userId(user: string): number | undefined {
  return idIn('/etc/passwd', user);
}

/** The number of a group, from the name or as a number; `undefined` when there is no such group. */
export function groupId(group: string): number | undefined {
  return idIn('/etc/group', group);
}

/** The name of a user, or the number when it has none. */
export function userName(uid: number): string {
  return nameIn('/etc/passwd', uid);
}

/** The name of a group, or the number when it has none. */
export function groupName(gid: number): string {
  return nameIn('/etc/group', gid);
}

function idIn(file: string, name: string): number | undefined {
  const [, , id = name] = entriesOf(file).find(([known]) => known === name && name !== '') ?? [];
  return /^\d+$/.test(id) && Number(id) <= LARGEST_ID ? Number(id) : undefined;
}

function nameIn(file: string, id: number): string {
  return entriesOf(file).find((entry) => entry[2] === `${id}`)?.[0] ?? `${id}`;
}

function entriesOf(file: string): readonly (readonly string[])[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    return [];
  }
}
