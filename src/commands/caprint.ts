/**
 * The `caprint` command: the ambient capabilities of a process, capabilities(7).
 *
 * It is in the prompts of shells, so it imports little; bin/caprint does not even start Node.js when there is nothing
 * to say.
 */
import { readFileSync, writeSync } from 'node:fs';
import { CAPABILITY_NAMES, capabilityBit, namedCapabilities } from '../system/capabilities.ts';
import { CAPRINT_TABLE, type CaprintAction, interpretCaprintArguments } from './caprint-options.ts';

const NAME = 'caprint';
/** As the original: the command line was wrong, and there is no such process. */
const STATUS_USAGE = 1;
const STATUS_NO_PROCESS = 2;
/** Columns of a number, and digits of a mask. */
const NUMBER_WIDTH = 2;
const MASK_DIGITS = 16;

/**
 * Runs `caprint`.
 *
 * @param argv - the words after the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(interpretCaprintArguments(argv));
  } catch (error) {
    const { reportError } = await import('./report-error.ts');
    await reportError(NAME, error);
    return STATUS_USAGE;
  }
}

async function act(request: CaprintAction): Promise<number> {
  switch (request.action) {
    case 'help':
    case 'version': {
      const { printAbout } = await import('./about.ts');
      return printAbout(request.action, CAPRINT_TABLE);
    }
    case 'print':
      return print(request);
  }
}

type PrintRequest = Extract<CaprintAction, { action: 'print' }>;

async function print(request: PrintRequest): Promise<number> {
  const set = readAmbientSet(request.pid ?? process.pid);
  if (set === undefined) return STATUS_NO_PROCESS;
  const text = formatCapabilities(set, request);
  if (text === '') return 0;
  try {
    writeSync(1, text);
  } catch (cause) {
    const { outputError } = await import('./standard-streams.ts');
    throw outputError(cause as NodeJS.ErrnoException);
  }
  return 0;
}

/** Undefined when there is no such process. */
function readAmbientSet(pid: number): bigint | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return undefined;
  }
  const [, digits = '0'] = /^CapAmb:\t([0-9a-f]+)$/m.exec(status) ?? [];
  return BigInt(`0x${digits}`);
}

/** What is printed of a set, to the byte as the original does it; of an empty one, nothing. */
export function formatCapabilities(set: bigint, how: Omit<PrintRequest, 'action' | 'pid'>): string {
  const { isLong, isCompact, isPrompt } = how;
  const capabilities = namedCapabilities(set);
  if (capabilities.length === 0) return '';
  const isOneLine = isCompact || isPrompt;
  const end = isOneLine ? `${isPrompt ? '#' : ''}\n` : '';
  if (isLong) {
    const total = capabilities.length > 1 ? `${' '.repeat(NUMBER_WIDTH)} ${formatMask(set)}\n` : '';
    return `${capabilities.map(formatLong).join('')}${end}${total}`;
  }
  if (isOneLine) return `${capabilities.map((capability) => CAPABILITY_NAMES[capability]).join(',')}${end}`;
  return capabilities.map((capability) => `cap_${CAPABILITY_NAMES[capability]}\n`).join('');
}

function formatLong(capability: number): string {
  const number = `${capability}`.padStart(NUMBER_WIDTH);
  return `${number} ${formatMask(capabilityBit(capability))} cap_${CAPABILITY_NAMES[capability]}\n`;
}

function formatMask(set: bigint): string {
  return set.toString(16).padStart(MASK_DIGITS, '0');
}
