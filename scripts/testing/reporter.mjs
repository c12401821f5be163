/**
 * A reporter for node:test that writes what happened as lines of JSON, for the runner to read.
 *
 * `start` when a test begins, `end` when it is over (children before their parent), and `done` when the file has run
 * to its end: a file that stops without `done` did not finish its tests.
 */
import { inspect } from 'node:util';

export default async function* report(source) {
  for await (const { type, data } of source) {
    const line = toLine(type, data);
    if (line !== undefined) yield `${JSON.stringify(line)}\n`;
  }
}

function toLine(type, data) {
  if (type === 'test:dequeue') return { event: 'start', name: data.name };
  if (type === 'test:diagnostic') {
    if (/^tests \d+$/.test(data.message)) return { event: 'done' };
    return /^\w+ [\d.]+$/.test(data.message) ? undefined : { event: 'note', text: data.message };
  }
  if (type !== 'test:pass' && type !== 'test:fail') return undefined;
  const error = data.details.error;
  return {
    event: 'end',
    outcome: outcomeOf(type, data),
    name: data.name,
    nesting: data.nesting,
    reason: reasonOf(data),
    isSuite: data.details.type === 'suite',
    isByChildren: error?.failureType === 'subtestsFailed',
    where: data.line === undefined ? undefined : `line ${data.line}`,
    error: error === undefined ? undefined : describe(error),
  };
}

function outcomeOf(type, data) {
  if (data.skip !== undefined || data.todo !== undefined) return 'skipped';
  return type === 'test:pass' ? 'passed' : 'failed';
}

function reasonOf(data) {
  const reason = data.skip ?? data.todo;
  if (reason === undefined) return undefined;
  const kind = data.skip === undefined ? 'to do' : 'skipped';
  return typeof reason === 'string' && reason !== '' ? reason : kind;
}

/** The error that the test threw, whole; node:test wraps it in one of its own. */
function describe(error) {
  const thrown = error.code === 'ERR_TEST_FAILURE' && error.cause !== undefined ? error.cause : error;
  return typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 6 });
}
