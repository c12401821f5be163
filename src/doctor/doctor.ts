/**
 * Examines this machine: gathers the facts, makes the trial, judges.
 */
import type { Check } from './check.ts';
import { gatherFacts } from './facts.ts';
import { examine } from './obstacles.ts';
import { runTrial } from './trial.ts';

/** The checks of this machine, the trial as the last. Changes nothing, and never throws. */
export async function examineMachine(): Promise<Check[]> {
  return examine(gatherFacts(await runTrial()));
}
