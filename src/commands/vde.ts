/**
 * The `vde` command. What a subcommand needs is loaded only when it is called: each module takes about a millisecond.
 */
import type { ParsedOptions } from './parse-options.ts';
import { writeOutput } from './standard-streams.ts';
import type { VdeAction } from './vde-options.ts';

/** `vde doctor` found an obstacle. */
const STATUS_OBSTACLE = 1;
const DEFAULT_COLUMNS = 80;

/**
 * Runs `vde`. Its result goes to standard output, a problem to standard error as one line.
 *
 * @param argv - the words after the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(await interpret(argv));
  } catch (error) {
    const { reportError } = await import('./report-error.ts');
    return await reportError('vde', error);
  }
}

/**
 * `vde ls` is to be there at once, also for the completion of names: it does without the other tables, and processes are
 * asked before anything is loaded that is for their answers.
 */
async function interpret(argv: readonly string[]): Promise<VdeAction> {
  if (argv[0] === 'ls') {
    (await import('./seen-processes.ts')).askAhead();
    return (await import('./vde-ls-options.ts')).interpretList(argv.slice(1));
  }
  return (await import('./vde-options.ts')).interpretVdeArguments(argv);
}

async function act(request: VdeAction): Promise<number> {
  switch (request.action) {
    case 'help':
      await writeOutput(
        (await import('./help.ts')).formatHelp(request.table, process.stdout.columns ?? DEFAULT_COLUMNS),
      );
      return 0;
    case 'version':
      await writeOutput(`vde ${(await import('./version.ts')).version()}\n`);
      return 0;
    case 'doctor':
      return request.printAppArmor ? printProfile() : reportChecks(request.json);
    case 'capture':
    case 'record': {
      const { captureFrames, recordFrames } = await import('./vde-capture.ts');
      return request.action === 'capture' ? captureFrames(request) : recordFrames(request);
    }
    case 'console': {
      const { openConsole } = await import('./console.ts');
      return openConsole(request);
    }
    case 'exec': {
      const { execInside } = await import('./vde-exec.ts');
      return execInside(request);
    }
    case 'forward': {
      const { forward } = await import('./vde-forward.ts');
      return forward(request);
    }
    case 'explain': {
      const { explainWay } = await import('./vde-explain.ts');
      return explainWay(request);
    }
    case 'impair': {
      const { impair } = await import('./vde-tc.ts');
      return impair(request);
    }
    case 'ls': {
      const { listRunning } = await import('./vde-ls.ts');
      return listRunning(request);
    }
    case 'top': {
      const { showTop } = await import('./vde-top.ts');
      return showTop(request);
    }
    case 'switch':
      return serve(request.options);
  }
}

async function serve(options: ParsedOptions): Promise<number> {
  const [{ readSwitchRequest }, { serveSwitch }] = await Promise.all([
    import('./switch-options.ts'),
    import('./serve-switch.ts'),
  ]);
  return serveSwitch(await readSwitchRequest(options));
}

async function printProfile(): Promise<number> {
  const [{ apparmorProfile }, { launchPath }] = await Promise.all([
    import('../doctor/apparmor-profile.ts'),
    import('../system/native-directory.ts'),
  ]);
  await writeOutput(apparmorProfile(launchPath));
  return 0;
}

async function reportChecks(asJson: boolean): Promise<number> {
  const [{ examineMachine }, { canRun }, { formatReport }] = await Promise.all([
    import('../doctor/doctor.ts'),
    import('../doctor/obstacles.ts'),
    import('../doctor/report.ts'),
  ]);
  const checks = await examineMachine();
  const colour = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  await writeOutput(`${asJson ? JSON.stringify(checks, null, 2) : formatReport(checks, { colour })}\n`);
  return canRun(checks) ? 0 : STATUS_OBSTACLE;
}
