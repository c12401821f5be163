/**
 * The `vde_plug` command: a cable between two networks, or between a network and the VDE stream, until a signal or an
 * end of it ends it.
 */

import { userInfo } from 'node:os';
import { basename } from 'node:path';
import { VdensError } from '../errors.ts';
import { requireGroupId } from '../locator/group-id.ts';
import { printAbout } from './about.ts';
import { type FrameObserver, openCommandEnd, openNetworkEnd, openStreamEnd, requireStream } from './cable-ends.ts';
import { usageStatusOf } from './option-table.ts';
import { reportError } from './report-error.ts';
import { isUsageError, needsDirectory, type RunningEnd, runCable } from './run-cable.ts';
import { SessionLog } from './session-log.ts';
import { writeErrorLine } from './standard-streams.ts';
import { interpretVdePlugArguments, type JoinRequest, VDE_PLUG_TABLE, type VdePlugAction } from './vde-plug-options.ts';

const NAME = 'vde_plug';
/** As the original: a network could not be opened. */
const STATUS_FAILURE = 1;
const STATUS_USAGE = usageStatusOf(VDE_PLUG_TABLE);
/** As env(1) has it: there is no such command, or it is no program. */
const STATUS_NOT_FOUND = 127;
const STATUS_NOT_EXECUTABLE = 126;
/** Of users in this group, whose login shell we are, addresses are logged, too. */
const ADDRESS_LOG_GROUP = 'vdeplug_iplog';

/**
 * Runs `vde_plug`.
 *
 * @param argv - the words after the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 0 && isLoginShell()) return refuseLogin();
  try {
    return await act(interpretVdePlugArguments(argv));
  } catch (error) {
    await reportError(NAME, error);
    return isUsageError(error) ? STATUS_USAGE : STATUS_FAILURE;
  }
}

async function act(request: VdePlugAction): Promise<number> {
  switch (request.action) {
    case 'help':
    case 'version':
      return printAbout(request.action, VDE_PLUG_TABLE);
    case 'refuse-login':
      return refuseLogin();
    case 'join':
      return join(request);
  }
}

async function join(request: JoinRequest): Promise<number> {
  const { first, other, daemon, pidFile } = request;
  if (other.kind === 'stream') requireStream(VDE_PLUG_TABLE);
  const log = request.log === 'nothing' ? undefined : openLog(request.log !== 'login');
  const observer = log !== undefined && (await logsAddresses(request)) ? log.see.bind(log) : undefined;
  const { description, reconnect } = request;
  try {
    return await runCable({
      name: NAME,
      ends: [
        (signal) => openNetworkEnd(NAME, first.word, { description, reconnect, access: first.access, signal }),
        (signal) => openOther(request, observer, signal),
      ],
      daemon,
      keepDirectory: needsDirectory(first.word) || (other.kind === 'network' && needsDirectory(other.word)),
      pidFile: pidFile === undefined ? undefined : { path: pidFile, exclusive: false },
      log,
    });
  } catch (error) {
    const status = statusOfMissing(request, error);
    if (status === undefined) throw error;
    await reportError(NAME, error);
    return status;
  }
}

async function openOther(
  { other, description, reconnect }: JoinRequest,
  observer: FrameObserver | undefined,
  signal: AbortSignal,
): Promise<RunningEnd> {
  switch (other.kind) {
    case 'network':
      return openNetworkEnd(NAME, other.word, { description, reconnect, access: other.access, signal });
    case 'stream':
      return openStreamEnd(observer);
    case 'command':
      return openCommandEnd(other.command, observer);
  }
}

/** The status of a command that could not be started; `undefined` when that is not the error. */
function statusOfMissing({ other }: JoinRequest, error: unknown): number | undefined {
  if (other.kind !== 'command' || !(error instanceof VdensError) || error.value !== other.command[0]) return undefined;
  if (error.errno === 'ENOENT') return STATUS_NOT_FOUND;
  return error.errno === 'EACCES' ? STATUS_NOT_EXECUTABLE : undefined;
}

/** @param isAskedFor - whether somebody wants to know that there is no log */
function openLog(isAskedFor: boolean): SessionLog {
  return new SessionLog(NAME, (message) => {
    if (isAskedFor) writeErrorLine(`${NAME}: ${message}`);
  });
}

async function logsAddresses({ log }: JoinRequest): Promise<boolean> {
  if (log !== 'login') return log === 'addresses';
  const group = await requireGroupId(NAME, ADDRESS_LOG_GROUP).catch(() => undefined);
  return group !== undefined && (process.getegid?.() === group || process.getgroups?.().includes(group) === true);
}

/**
 * Whether somebody logs in who has us as a shell. A script does not see the hyphen before its name (execve(2)), by
 * which a shell knows a login; that it is to run nothing, and is the shell, says the same.
 */
function isLoginShell(): boolean {
  const { SHELL = '' } = process.env;
  return [SHELL, shellOfUser()].some((shell) => basename(shell) === NAME);
}

function shellOfUser(): string {
  try {
    return userInfo().shell ?? '';
  } catch {
    return ''; // An id without a name.
  }
}

function refuseLogin(): number {
  writeErrorLine(`${NAME}: this is no login shell: the one command it runs is ${NAME}`);
  openLog(false).fail();
  return STATUS_USAGE;
}
