/** Sentences about what was made worse on purpose. */
import type { Step } from './explanation.ts';

/** Words of `vde tc` that lose frames: `loss=5%`, `loss=RL5%`. */
const LOSS = /^(?:(?:in|out|LR|RL)[.:]?)?loss=\D*(\d+(?:\.\d+)?)/i;

/** How many of a hundred frames are lost, in the worse direction. */
export function lossOf(impairment: readonly string[]): number {
  return Math.max(0, ...impairment.map((word) => Number(LOSS.exec(word)?.[1] ?? 0)));
}

/**
 * @param place what is impaired, for people
 * @param name what `vde tc` calls it
 */
export function impairmentStep(
  place: string,
  name: string,
  impairment: readonly string[],
  at: Pick<Step, 'topic' | 'lookedAt'>,
): Step | undefined {
  if (impairment.length === 0) return undefined;
  const remedy = `Take it away: vde tc ${name} none`;
  const words = impairment.join(' ');
  if (lossOf(impairment) >= 100) {
    return { ...at, state: 'problem', text: `${place} loses every frame, on purpose (${words})`, remedy };
  }
  return { ...at, state: 'warning', text: `${place} is made worse on purpose: ${words}`, remedy, mayBeCause: true };
}
