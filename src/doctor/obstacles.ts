/**
 * The table of obstacles: every check, and which failures of the helper its obstacle can cause.
 *
 * Used from both ends: `vde doctor` makes all checks; `vdens`, when the helper failed at some step with some
 * error, looks for the obstacle behind it. The order is that of the report; of two obstacles that could both
 * be behind a failure, the earlier is named.
 */
import type { Check } from './check.ts';
import type { Facts } from './facts.ts';
import { checkOffload, checkPing, checkPrivateEtc, checkTun } from './interface-checks.ts';
import {
  checkAppArmor,
  checkChroot,
  checkKernel,
  checkLimits,
  checkSeccomp,
  checkUnprivilegedUserns,
} from './namespace-checks.ts';
import { checkNativeParts, checkNode, checkPlatform, checkProc } from './program-checks.ts';

/** One thing that can stand in the way. */
export interface Obstacle {
  /** How it stands on this machine; undefined when that is not known. */
  readonly check: (facts: Facts) => Check | undefined;
  /** Steps of the helper that it makes fail. */
  readonly steps: readonly string[];
  /** Errors with which they fail; any when absent. */
  readonly errnos?: readonly string[];
}

const making: readonly string[] = ['userns', 'netns', 'utsns', 'mountns'];
const mapping: readonly string[] = ['setgroups', 'uid_map', 'gid_map'];
/** Needs a capability in the new user namespace. */
const using: readonly string[] = ['hostname', 'etc', 'tun-attach', 'netlink', 'capabilities', 'join'];
const refused: readonly string[] = ['EPERM', 'EACCES'];

/** All obstacles, the most basic first. */
export const obstacles: readonly Obstacle[] = [
  { check: checkPlatform, steps: [] },
  { check: checkNode, steps: [] },
  { check: checkNativeParts, steps: [] },
  { check: checkProc, steps: mapping, errnos: ['ENOENT'] },
  { check: checkKernel, steps: [...making, ...mapping], errnos: ['EINVAL', 'ENOSYS', 'ENOENT'] },
  { check: checkUnprivilegedUserns, steps: making, errnos: ['EPERM'] },
  { check: checkLimits, steps: making, errnos: ['ENOSPC', 'EUSERS'] },
  { check: checkChroot, steps: making, errnos: ['EPERM'] },
  { check: checkAppArmor, steps: [...making, ...mapping, ...using], errnos: refused },
  { check: checkSeccomp, steps: [...making, ...mapping, ...using], errnos: [...refused, 'ENOSYS'] },
  { check: checkTun, steps: ['tun-open'] },
  { check: checkOffload, steps: [] },
  { check: checkPrivateEtc, steps: [] },
  { check: checkPing, steps: [] },
];

/**
 * All checks, in the order of the table, and the trial as the last. On another system than Linux there is
 * nothing to check but that.
 */
export function examine(facts: Facts): Check[] {
  if (facts.platform !== 'linux') return [checkPlatform(facts)];
  const checks = obstacles.map(({ check }) => check(facts)).filter((check) => check !== undefined);
  // What is proved to work is in nobody's way (root is exempt from most); still worth telling.
  const works = facts.trial.outcome === 'works';
  const judged = checks.map(
    (check): Check => (works && check.state === 'problem' ? { ...check, state: 'warning' } : check),
  );
  return [...judged, trialCheck(facts)];
}

/** Whether `vdens` can run here, as the checks have it. */
export function canRun(checks: readonly Check[]): boolean {
  return checks.every(({ state }) => state !== 'problem');
}

function trialCheck({ trial }: Facts): Check {
  const name = 'trial run';
  switch (trial.outcome) {
    case 'works':
      return { name, state: 'ok', detail: 'a command ran in a namespace with a TAP interface' };
    case 'not run':
      return { name, state: 'problem', detail: 'could not be made' };
    case 'failed':
      return { name, state: 'problem', detail: `failed at the step ${trial.step} (${trial.errno})` };
  }
}
