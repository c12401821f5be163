/** Facts of a machine that can run everything; a test changes the one that it is about. */
import type { Facts } from '../../../src/doctor/facts.ts';

export const healthyFacts: Facts = {
  platform: 'linux',
  architecture: 'x64',
  nodeVersion: '20.19.0',
  kernelRelease: '6.2.0',
  uid: 1000,
  gids: [1000, 27],
  vdeCommand: 'vde',
  isCheckout: true,
  launchPath: '/opt/vdens/launch',
  missingNativeParts: [],
  container: undefined,
  isChroot: false,
  hasProc: true,
  hasUserNamespaces: true,
  hasNetworkNamespaces: true,
  hasSeccompFilter: false,
  unprivilegedUsernsClone: undefined,
  maxUserNamespaces: 60_000,
  maxNetworkNamespaces: 60_000,
  apparmorRestriction: undefined,
  tunError: undefined,
  kernelModules: 'present',
  pingGroupRange: [0, 2147483647],
  trial: { outcome: 'works', offloads: ['checksum', 'TSO', 'USO'], privateEtc: true },
};

/** A healthy machine but for these facts, on which the helper failed at that step. */
export function brokenFacts(step: string, errno: string, facts: Partial<Facts>): Facts {
  return { ...healthyFacts, ...facts, trial: { outcome: 'failed', step, errno } };
}
