/** Sentences about the way of a frame, in the order in which it takes it, and how they are written. */
import { styleText } from 'node:util';

/** How a thing stands: fine, in the way, worth knowing, or not to be found out. */
export type StepState = 'ok' | 'problem' | 'warning' | 'unknown';

/** What a step is about. */
export type StepTopic =
  | 'address'
  | 'route'
  | 'interface'
  | 'neighbour'
  | 'network'
  | 'drops'
  | 'arrival'
  | 'forwarding'
  | 'return';

/** One step of the way. */
export interface Step {
  readonly topic: StepTopic;
  readonly state: StepState;
  /** One sentence, without its full stop. */
  readonly text: string;
  /** Where that was found, in a few words. */
  readonly lookedAt: string;
  /** What to do, of a problem; a command where there is one. */
  readonly remedy?: string;
  /** It shows that something is wrong elsewhere: another problem explains it. */
  readonly isSymptom?: boolean;
  /** It is not known to be in the way; when nothing else is, it may be. */
  readonly mayBeCause?: boolean;
  /** From here on it is out of sight: on the internet, say. */
  readonly isOutOfSight?: boolean;
}

/** What was found out about one address. */
export interface Way {
  readonly destination: string;
  /** Whether a frame arrives there, as far as it can be told. */
  readonly arrives: boolean;
  /** Whether an answer comes back as well. */
  readonly reaches: boolean;
  readonly steps: readonly Step[];
}

/** The answer to `vde explain A B`. */
export interface Explanation {
  readonly a: string;
  readonly b: string;
  /** Whether neighbours were asked. */
  readonly isProbed: boolean;
  /** Whether one of the ways leads there and back. */
  readonly reaches: boolean;
  readonly ways: readonly Way[];
  readonly verdict: string;
}

const MARKS: Readonly<Record<StepState, string>> = { ok: 'ok', problem: '!!', warning: '??', unknown: '--' };
const COLOURS = { ok: 'green', problem: 'red', warning: 'yellow', unknown: 'dim' } as const;
const LONGEST_TOPIC = 'forwarding'.length;

/** As text: a line for each step, and the verdict as the last line. No newline at the end. */
export function formatExplanation(explanation: Explanation, { colour }: { readonly colour: boolean }): string {
  const { a, ways, verdict } = explanation;
  const lines = ways.flatMap(({ destination, steps }) => [
    ...(ways.length > 1 ? [`From ${a} to ${destination}:`] : []),
    ...steps.flatMap((step) => formatStep(step, colour)),
    '',
  ]);
  return [...lines, verdict].join('\n');
}

function formatStep({ topic, state, text, lookedAt, remedy }: Step, colour: boolean): string[] {
  // The caller has decided, so styleText is not to look at the stream itself.
  const mark = colour ? styleText(COLOURS[state], MARKS[state], { validateStream: false }) : MARKS[state];
  const line = `${mark}  ${topic.padEnd(LONGEST_TOPIC)}  ${text}. [${lookedAt}]`;
  return remedy === undefined ? [line] : [line, `${' '.repeat(LONGEST_TOPIC + 6)}${remedy}`];
}
