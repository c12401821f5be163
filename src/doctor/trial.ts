/**
 * The trial: does it work, really?
 *
 * Sysctls and files only hint at what a kernel will allow, so the real helper makes a real namespace with
 * a TAP interface and a private /etc, we configure it, and run `true` inside. Takes some milliseconds and
 * leaves nothing behind.
 */
import { VdensError } from '../errors.ts';

/** What a TAP of this kernel takes over from us, each a flag of TUNSETOFFLOAD (linux/if_tun.h). */
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

const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
/** Linux 6.2 */
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;

const offloadFlags: readonly (readonly [Offload, number])[] = [
  ['checksum', TUN_F_CSUM],
  ['TSO', TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6],
  ['USO', TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6],
];

const TAP = 'vdens0';

/** Makes a namespace, tries what `vdens` does in it, and closes it. Never throws. */
export async function runTrial(): Promise<Trial> {
  const complete = await tryOnce(true);
  // Private files in /etc are needed for some options only.
  return complete.outcome === 'failed' && ['mountns', 'etc'].includes(complete.step) ? tryOnce(false) : complete;
}

async function tryOnce(privateEtc: boolean): Promise<Trial> {
  try {
    // Loaded here, because the native parts may be what is missing.
    const [{ NamespaceHolder, runInside }, { Rtnetlink }, { descriptorTransport }, { native }] = await Promise.all([
      import('../system/launcher.ts'),
      import('../system/rtnetlink.ts'),
      import('../system/netlink-transport.ts'),
      import('../system/native.ts'),
    ]);
    const { holder, netlink, taps } = await NamespaceHolder.start({
      taps: [TAP],
      root: false,
      mounts: privateEtc,
      hostname: 'trial',
      etc: privateEtc ? [{ name: 'resolv.conf', text: '' }] : [],
    });
    try {
      const rtnetlink = new Rtnetlink(descriptorTransport(netlink));
      await rtnetlink.setUp('lo', true);
      await rtnetlink.setUp(TAP, true);
      const tap = taps[0]!;
      const offloads = offloadFlags.filter(([, flags]) => native.tapSetOffload(tap, flags) === 0);
      const command = runInside(holder.pid, 0n, ['true'], { stdio: 'ignore' });
      const status = await new Promise<number | null>((resolve) => {
        command.on('error', () => resolve(null));
        command.on('exit', resolve);
      });
      if (status !== 0) return { outcome: 'failed', step: 'join', errno: `exit status ${status}` };
      return { outcome: 'works', offloads: offloads.map(([name]) => name), privateEtc };
    } finally {
      for (const descriptor of [netlink, ...taps]) native.closeDescriptor(descriptor);
      await holder.close();
    }
  } catch (error) {
    // Whatever it was is the result; a missing native part is told by another check.
    if (!(error instanceof VdensError)) return { outcome: 'failed', step: 'unknown', errno: (error as Error).message };
    if (error.code === 'ERR_NATIVE') return { outcome: 'not run' };
    return { outcome: 'failed', step: error.syscall ?? 'unknown', errno: error.errno ?? error.message };
  }
}
