/** `vde tc`, `vde cut`, `vde join`: what becomes of the frames of something that runs. */
import { isObject } from '../control/message.ts';
import { printable, VdensError } from '../errors.ts';
import { connectToFound, findPlace } from '../inventory/find-process.ts';
import { writeOutput } from './standard-streams.ts';
import type { ImpairAction } from './vde-tc-options.ts';

/** A link, as the process tells of it. */
interface ToldLink {
  readonly id: string;
  readonly network: string;
  readonly impairment: readonly string[];
  /** What its network has set by itself; a process of another version does not tell. */
  readonly innerImpairment?: readonly string[];
  readonly isCut: boolean;
}

/**
 * Does it, and prints what is set then.
 *
 * @returns the exit status
 * @throws VdensError when there is no such thing, or it cannot be done to it
 */
export async function impair({
  where,
  operation,
  words,
  json,
}: Extract<ImpairAction, { action: 'impair' }>): Promise<number> {
  const { found, name, link } = findPlace(where);
  const control = await connectToFound(found, name);
  try {
    const answer = await control.request(operation, {
      ...(link === undefined ? {} : { link }),
      ...(words === undefined ? {} : { words }),
      ...(name.includes('/') ? { of: 'switch' } : {}),
    });
    const links = readLinks(name, answer);
    await writeOutput(json ? `${JSON.stringify(links, null, 2)}\n` : links.map(lineFor).join(''));
  } finally {
    control.close();
  }
  return 0;
}

function lineFor({ id, network, impairment, innerImpairment = [], isCut }: ToldLink): string {
  const state = [...(isCut ? ['cut'] : []), ...impairment];
  const inner = innerImpairment.length === 0 ? '' : `  (from its network: ${innerImpairment.join(' ')})`;
  return `${printable(`${id}  ${network}  ${state.length === 0 ? 'as it is' : state.join(' ')}${inner}`)}\n`;
}

function readLinks(name: string, { links }: Readonly<Record<string, unknown>>): readonly ToldLink[] {
  if (Array.isArray(links) && links.every(isLink)) return links;
  throw new VdensError('ERR_NETWORK_OPEN', `${name}: it is of another version, or no process of ours`);
}

function isLink(value: unknown): value is ToldLink {
  if (!isObject(value)) return false;
  const { id, network, impairment, innerImpairment = [], isCut } = value;
  const hasTexts = typeof id === 'string' && typeof network === 'string' && typeof isCut === 'boolean';
  return hasTexts && isWords(impairment) && isWords(innerImpairment);
}

function isWords(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((word) => typeof word === 'string');
}
