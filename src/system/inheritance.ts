/**
 * What commands get from whoever started us, and Node.js would not hand on: it ignores other signals, raises the soft
 * limit of open files, and closes descriptors in what it starts.
 *
 * The files in bin/ look these things up before it starts, and put them into the environment:
 *
 * ```
 * VDENS_IGNORED_SIGNALS=0000000000000001    proc(5), SigIgn: signal n is bit n - 1
 * VDENS_OPEN_FILES=1024                     the soft limit
 * VDENS_DESCRIPTORS=35                      those between 3 and 9 that are open
 * ```
 */
import { initiallyIgnoredSignals } from './ignored-signals.ts';
import { native } from './native.ts';

const MARKS: readonly string[] = ['VDENS_IGNORED_SIGNALS', 'VDENS_OPEN_FILES', 'VDENS_DESCRIPTORS'];
const FIRST_DESCRIPTOR = 3;

/** The open descriptors besides standard input and outputs, in order. */
export function inheritedDescriptors(): readonly number[] {
  const { VDENS_DESCRIPTORS: digits = '' } = process.env;
  return /^[3-9]*$/.test(digits) ? [...digits].map(Number) : [];
}

/** One of them is for us: no command gets it. */
export function keepDescriptor(fd: number): void {
  const rest = inheritedDescriptors().filter((other) => other !== fd);
  if (process.env['VDENS_DESCRIPTORS'] !== undefined) process.env['VDENS_DESCRIPTORS'] = rest.join('');
}

/**
 * What a command's descriptors from 3 on are to be when it is started by spawn(), in which they stay where they are.
 *
 * @param own - descriptors that mean something else to the command: by number
 */
export function furtherDescriptors(own: readonly (number | undefined)[] = []): readonly (number | 'ignore')[] {
  const inherited = inheritedDescriptors();
  const end = Math.max(own.length, 1 + (inherited.at(-1) ?? 0));
  const numbers = Array.from({ length: Math.max(0, end - FIRST_DESCRIPTOR) }, (_, index) => FIRST_DESCRIPTOR + index);
  return numbers.map((fd) => own[fd] ?? (inherited.includes(fd) ? fd : 'ignore'));
}

/** Sets the soft limit of open files back, for this process and what it starts. */
export function restoreFileLimit(): void {
  native.limitOpenFiles(inheritedFileLimit());
}

/** For `native.becomeCommand`. */
export function inheritanceWords(): Uint32Array {
  const ignored = initiallyIgnoredSignals();
  const kept = inheritedDescriptors().reduce((mask, fd) => mask | (1 << fd), 0);
  return Uint32Array.of(Number(BigInt.asUintN(32, ignored)), Number(ignored >> 32n), kept, inheritedFileLimit());
}

/** The variables of a command: those that tell us such things are not for others. */
export function commandVariables(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !MARKS.includes(name));
  return Object.fromEntries(kept);
}

/** Sets the variables of this process: of the command that it becomes. */
export function replaceVariables(variables: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in variables)) delete process.env[name];
  Object.assign(process.env, variables);
}

/** 0: it is unlimited, or nobody knows. */
function inheritedFileLimit(): number {
  const { VDENS_OPEN_FILES: limit = '' } = process.env;
  return /^\d{1,9}$/.test(limit) ? Number(limit) : 0;
}
