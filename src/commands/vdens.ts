/**
 * The `vdens` command: options in, library calls, exit status out.
 *
 * Without a network there is nothing to move afterwards, so this process becomes the helper that makes the
 * namespaces; with one it stays and moves the frames (run-networks.ts).
 *
 * `vdens no true` is to start about as fast as Node.js alone, and every module costs the better part of a
 * millisecond: what not every run needs is imported where it is needed.
 */
import { realpathSync } from 'node:fs';
import { commandCapabilities } from '../namespace/capabilities.ts';
import { commandArguments, type EtcFile, namespaceArguments } from '../system/launch-arguments.ts';
import { interpretVdensArguments, VDENS_TABLE, type VdensRequest } from './vdens-options.ts';

const NAME = 'vdens';

/** Runs the command line. Resolves with the exit status, unless this process became another program. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    if (args[0] === '--explain-launch-failure') return await explainFailure(args.slice(1));
    const action = await interpretVdensArguments(args, process.env);
    switch (action.action) {
      case 'help':
      case 'version': {
        const { printAbout } = await import('./about.ts');
        return await printAbout(action.action, VDENS_TABLE);
      }
      case 'run':
        return isDecided(action) ? await becomeCommand(action) : await runWithNetworks(action);
    }
  } catch (error) {
    return await report(error);
  }
}

/** Whether nothing is left to do for us when the command runs. */
function isDecided({ networks, up, name }: VdensRequest): boolean {
  return networks.length === 0 && !up && name === undefined;
}

async function report(error: unknown): Promise<number> {
  const { reportError } = await import('./report-error.ts');
  return reportError(NAME, error);
}

/** The command to run: the one given, else the user's shell. */
async function commandOf({ command }: VdensRequest): Promise<readonly string[]> {
  if (command !== undefined) return command;
  const { userShell } = await import('./user-shell.ts');
  return [await userShell()];
}

/** Never returns, unless it fails. */
async function becomeCommand(request: VdensRequest): Promise<number> {
  // Here, because it fails where there is no native build, and that is to be reported.
  const { errnoName, launchPath, native } = await import('../system/native.ts');
  const args = [
    launchPath,
    '-g',
    '-x',
    realpathSync(process.argv[1]!),
    ...namespaceArguments({
      taps: [],
      root: request.root,
      mounts: request.sysAdmin,
      hostname: request.hostname,
      etc: await etcFilesOf(request),
    }),
    ...commandArguments(commandCapabilities(request.sysAdmin), 0n, await commandOf(request)),
  ];
  const result = native.becomeProgram(launchPath, args);
  const { helperError } = await import('../system/launch-error.ts');
  throw helperError(launchPath, errnoName(result));
}

async function etcFilesOf(request: VdensRequest): Promise<readonly EtcFile[]> {
  if (request.hostname === undefined && request.resolvConf === undefined) return [];
  const { etcFiles } = await import('../namespace/etc-files.ts');
  return etcFiles({ hostname: request.hostname, ...resolvConfOptions(request) });
}

async function runWithNetworks(request: VdensRequest): Promise<number> {
  const { runNetworks } = await import('./run-networks.ts');
  return runNetworks(
    {
      interfaces: request.interfaces.map((one) => ({ ...one, auto: request.autoTimeoutMs !== undefined })),
      up: request.up,
      gateways: request.gateways.map(({ address }) => address),
      hostname: request.hostname,
      root: request.root,
      sysAdmin: request.sysAdmin,
      ...resolvConfOptions(request),
    },
    request.interfaces.map(({ network }) => network),
    await commandOf(request),
    { reconnect: request.reconnect, autoTimeoutMs: request.autoTimeoutMs, name: request.name },
  );
}

function resolvConfOptions({ resolvConf }: VdensRequest): { nameServers?: readonly string[]; resolvConf?: string } {
  if (resolvConf === undefined) return {};
  return resolvConf.kind === 'file' ? { resolvConf: resolvConf.path } : { nameServers: resolvConf.addresses };
}

/** The helper runs us like this when it failed and nobody listens on a control socket. */
async function explainFailure([step = '', errno = '0', subject = '']: readonly string[]): Promise<number> {
  const { launchError } = await import('../system/launch-error.ts');
  return report(launchError(step, Number(errno), subject));
}
