/**
 * The trial: does it work, really?
 *
 * Sysctls and files only hint at what a kernel will allow, so the real helper makes a real namespace with
 * a TAP interface and a private /etc, we configure it, and run `true` inside. Takes some milliseconds and
 * leaves nothing behind.
 */
import { VdensError } from '../errors.ts';

/** Work on frames that a TAP of this kernel leaves to us, so that it can be left out altogether between two TAPs. */
export type Offload = 'checksum' | 'TSO' | 'USO';

/** How the trial went. */
export type Trial =
  | {
      readonly outcome: 'works';
      readonly offloads: readonly Offload[];
      /** Whether the command can have files of its own in /etc. */
      readonly privateEtc: boolean;
    }
  | {
      readonly outcome: 'failed';
      /** The step of the helper that failed, such as `userns` or `tun-open`. */
      readonly step: string;
      /** The kernel's name of the error, such as `EPERM`. */
      readonly errno: string;
    }
  | { readonly outcome: 'not run' };

/** Bits of each (linux/if_tun.h): TUN_F_CSUM; TUN_F_TSO4 and 6; TUN_F_USO4 and 6, from Linux 6.2 on. */
const offloadBits: readonly (readonly [Offload, number])[] = [
  ['checksum', 0x01],
  ['TSO', 0x06],
  ['USO', 0x60],
];

/** Makes a namespace, tries what `vdens` does in it, and closes it. Never throws. */
export async function runTrial(): Promise<Trial> {
  const complete = await tryOnce(true);
  // Private files in /etc are needed for some options only.
  return complete.outcome === 'failed' && ['mountns', 'etc'].includes(complete.step) ? tryOnce(false) : complete;
}

async function tryOnce(privateEtc: boolean): Promise<Trial> {
  try {
    // Loaded here, because the native parts may be what is missing.
    const { openNamespace } = await import('../namespace/namespace.ts');
    await using namespace = await openNamespace({
      interfaces: [{ name: 'vdens0', addresses: ['192.0.2.1/24'] }],
      up: true,
      ...(privateEtc ? { hostname: 'trial', nameServers: [] } : {}),
    });
    const status = await namespace.run(['true'], { stdio: 'ignore' }).exit;
    // The helper said why on its standard error, which is not for this screen.
    if (status !== 0) return { outcome: 'failed', step: 'join', errno: `exit status ${status}` };
    const bits = namespace.interfaces[0]!.plug.offload;
    const offloads = offloadBits.filter(([, mask]) => (bits & mask) === mask).map(([name]) => name);
    return { outcome: 'works', offloads, privateEtc };
  } catch (error) {
    // Whatever it was is the result; a missing native part is told by another check.
    if (!(error instanceof VdensError)) return { outcome: 'failed', step: 'unknown', errno: (error as Error).message };
    if (error.code === 'ERR_NATIVE') return { outcome: 'not run' };
    return { outcome: 'failed', step: error.syscall ?? 'configuration', errno: error.errno ?? error.message };
  }
}
