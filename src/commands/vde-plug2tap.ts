/**
 * The `vde_plug2tap` command: a cable between a TAP interface and a network, or the VDE stream, until a signal or an
 * end of it ends it.
 */
import { openHostTap } from '../plugs/host-tap.ts';
import { printAbout } from './about.ts';
import { openNetworkEnd, openStreamEnd, requireStream } from './cable-ends.ts';
import { usageStatusOf } from './option-table.ts';
import { reportError } from './report-error.ts';
import { isUsageError, needsDirectory, runCable } from './run-cable.ts';
import { interpretVdePlug2tapArguments, VDE_PLUG2TAP_TABLE, type VdePlug2tapAction } from './vde-plug2tap-options.ts';

const NAME = 'vde_plug2tap';
/** What the operator of a switch sees. */
const DESCRIPTION = 'vde_plug2tap:';
/** As the original: something could not be opened. */
const STATUS_FAILURE = 1;
const STATUS_USAGE = usageStatusOf(VDE_PLUG2TAP_TABLE);

/**
 * Runs `vde_plug2tap`.
 *
 * @param argv - the words after the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(interpretVdePlug2tapArguments(argv));
  } catch (error) {
    await reportError(NAME, error);
    return isUsageError(error) ? STATUS_USAGE : STATUS_FAILURE;
  }
}

async function act(request: VdePlug2tapAction): Promise<number> {
  switch (request.action) {
    case 'help':
    case 'version':
      return printAbout(request.action, VDE_PLUG2TAP_TABLE);
    case 'join':
      return join(request);
  }
}

async function join(request: Extract<VdePlug2tapAction, { action: 'join' }>): Promise<number> {
  const { name, word, access, reconnect, daemon, pidFile } = request;
  if (word === undefined) requireStream(VDE_PLUG2TAP_TABLE);
  const open = { description: DESCRIPTION, access, reconnect };
  return runCable({
    name: NAME,
    ends: [
      async (signal) =>
        word === undefined ? openStreamEnd(undefined) : openNetworkEnd(NAME, word, { ...open, signal }),
      async () => ({ plug: openHostTap(name, name), heals: false }),
    ],
    daemon,
    keepDirectory: word !== undefined && needsDirectory(word),
    pidFile: pidFile === undefined ? undefined : { path: pidFile, exclusive: true },
    log: undefined,
  });
}
