/**
 * Checks of the program itself: where it runs, on what, and whether all of it is there.
 */
import { asRoot, type Check, quoted } from './check.ts';
import type { Facts } from './facts.ts';

/** As package.json demands it. */
const MINIMUM_NODE = [20, 19] as const;

/** Ways to a Linux, where there is none. */
const linuxElsewhere: Readonly<Record<string, string>> = {
  darwin: 'brew install lima && limactl start && limactl shell default',
  win32: 'wsl --install',
};

export function checkPlatform({ platform, architecture, kernelRelease }: Facts): Check {
  if (platform === 'linux') return { name: 'Linux', state: 'ok', detail: `${kernelRelease} on ${architecture}` };
  const detail = `this is ${platform}; network namespaces exist on Linux only, so run it in a virtual machine`;
  const remedy = linuxElsewhere[platform];
  return { name: 'Linux', state: 'problem', detail, ...(remedy === undefined ? {} : { remedy }) };
}

export function checkNode(facts: Facts): Check {
  const { nodeVersion } = facts;
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const isEnough = major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1]);
  if (isEnough) return { name: 'Node.js', state: 'ok', detail: nodeVersion };
  const detail = `${nodeVersion} is too old, ${MINIMUM_NODE.join('.')} or newer is needed`;
  return { name: 'Node.js', state: 'problem', detail, remedy: asRoot(facts, 'npx --yes n lts') };
}

export function checkNativeParts({ missingNativeParts, isCheckout, platform, architecture, launchPath }: Facts): Check {
  const name = 'native parts';
  if (missingNativeParts.length === 0) return { name, state: 'ok', detail: quoted(launchPath) };
  const missing = missingNativeParts.map(quoted).join(' and ');
  const detail = `${missing} missing or not usable: not built for ${platform}-${architecture}`;
  return { name, state: 'problem', detail, remedy: isCheckout ? 'npm run build' : 'npm install --force vdens' };
}

/** /proc is where a process writes the maps of its user namespace, and where it looks for everything else. */
export function checkProc(facts: Facts): Check {
  if (facts.hasProc) return { name: '/proc', state: 'ok', detail: 'is mounted' };
  return {
    name: '/proc',
    state: 'problem',
    detail: '/proc is not mounted',
    remedy: asRoot(facts, 'mount -t proc proc /proc'),
  };
}
