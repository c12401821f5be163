/**
 * `vde doctor`: whether this machine can run us, and what to do where it cannot.
 */
import { parseArgs } from 'node:util';
import { VdensError } from '../errors.ts';
import { launchPath } from '../system/native-directory.ts';
import { apparmorProfile } from './apparmor-profile.ts';
import { gatherFacts } from './facts.ts';
import { canRun, examine } from './obstacles.ts';
import { formatReport } from './report.ts';
import { runTrial } from './trial.ts';

const help = `Usage: vde doctor [options]

Says whether this machine can run vdens and, for each obstacle, the command that removes it.

Options:
      --json            print the checks as a JSON array
      --print-apparmor  print the AppArmor profile for the helper of vdens, and nothing else
  -h, --help            print this text

Exit status: 0 when vdens can run here, 1 when it cannot.
`;

/** Runs `vde doctor` with these arguments. Resolves with the exit status. @throws {VdensError} `ERR_USAGE` */
export async function doctor(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  if (options['print-apparmor']) {
    process.stdout.write(apparmorProfile(launchPath));
    return 0;
  }
  const checks = examine(gatherFacts(await runTrial()));
  const colour = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  process.stdout.write(`${options.json ? JSON.stringify(checks, null, 2) : formatReport(checks, { colour })}\n`);
  return canRun(checks) ? 0 : 1;
}

interface DoctorOptions {
  readonly help?: boolean;
  readonly json?: boolean;
  readonly 'print-apparmor'?: boolean;
}

function parse(args: readonly string[]): DoctorOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        'print-apparmor': { type: 'boolean' },
      },
    });
    return values;
  } catch (cause) {
    const problem = (cause as Error).message.split('\n')[0]!.split('. ')[0]!;
    throw new VdensError('ERR_USAGE', `${problem}. Options are --json and --print-apparmor; see: vde doctor --help`, {
      cause,
    });
  }
}
