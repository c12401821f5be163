/**
 * `vde explain`: does a frame from A reach B? The processes on the way are asked over their control sockets; nothing has
 * to be installed in a namespace.
 */
import { connectControl } from '../control/client.ts';
import { VdensError } from '../errors.ts';
import { formatExplanation } from '../inventory/explain/explanation.ts';
import { type AskedProcess, addressOf, gatherFacts, type Question } from '../inventory/explain/gather.ts';
import { explain } from '../inventory/explain/reasoning.ts';
import type { RunningProcess } from '../inventory/explain/world.ts';
import { type FoundPlace, findPlace, type ListedProcess, listProcesses } from '../inventory/find-process.ts';
import { writeOutput } from './standard-streams.ts';
import type { ExplainAction } from './vde-explain-options.ts';

/** It does not get there, or no answer comes back. */
const STATUS_DOES_NOT_REACH = 1;
/** A process that has not said what it runs for so long is stopped, or has too much to do. */
const STATUS_TIMEOUT_MS = 500;
/** How long other answers may take. */
const ANSWER_TIMEOUT_MS = 3000;

/**
 * Prints what was found out.
 *
 * @returns the exit status
 * @throws VdensError when A or B is nothing that runs, or cannot be asked
 */
export async function explainWay(request: Extract<ExplainAction, { action: 'explain' }>): Promise<number> {
  const { a, b, json, isProbed } = request;
  // A name is looked for before anything is asked: what is wrong with it is said at once.
  const from = findPlace(a);
  const address = addressOf(b);
  const to = address === undefined ? findPlace(b) : undefined;
  const listed = await look();
  const question: Question = {
    a,
    b,
    isProbed,
    processes: listed,
    from: pick(listed, from),
    target: address ?? { kind: 'process', ...pick(listed, to!) },
    look,
  };
  const facts = await gatherFacts(question);
  const explanation = explain(facts);
  const colour = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  const text = json ? JSON.stringify(explanation, null, 2) : formatExplanation(explanation, { colour });
  await writeOutput(`${text}\n`);
  return explanation.reaches ? 0 : STATUS_DOES_NOT_REACH;
}

async function look(): Promise<readonly RunningProcess[]> {
  const listed = await listProcesses({ timeoutMs: STATUS_TIMEOUT_MS });
  return listed.filter(({ pid }) => pid !== undefined).map(running);
}

function running({ name, path, pid, answer }: ListedProcess): RunningProcess {
  return {
    name,
    pid: pid!,
    status: 'items' in answer ? answer : undefined,
    ask: async (operation, fields, timeoutMs = ANSWER_TIMEOUT_MS) => {
      const control = await connectControl(path, { timeoutMs, what: name });
      try {
        return await control.request(operation, fields ?? {});
      } finally {
        control.close();
      }
    },
  };
}

function pick(listed: readonly RunningProcess[], { found: { pid, name }, link }: FoundPlace): AskedProcess {
  const process = listed.find((each) => each.pid === pid);
  if (process !== undefined) return { process, link };
  const message = `${name}: it ended just now. See what runs: vde ls`;
  throw new VdensError('ERR_PATH', message, { value: name, errno: 'ENOENT' });
}
