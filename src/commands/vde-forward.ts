/** `vde forward`: the forwards of a gateway, while it runs. */
import { printable, quote, VdensError } from '../errors.ts';
import { type ControlForward, parseForwards } from '../gateway/control-message.ts';
import { connectToProcess } from '../inventory/find-process.ts';
import type { ForwardSpec } from './forward-spec.ts';
import { writeOutput } from './standard-streams.ts';
import { formatColumns, type TableColumn } from './text-table.ts';
import type { ForwardJob } from './vde-forward-options.ts';

/** A forward, and the network of its gateway. */
interface Forward extends ControlForward {
  readonly gateway: string;
}

type Control = Awaited<ReturnType<typeof connectToProcess>>;

const COLUMNS: readonly TableColumn<Forward>[] = [
  { title: 'number', value: ({ id }) => String(id) },
  { title: 'protocol', isText: true, value: ({ protocol }) => protocol },
  { title: 'host', isText: true, value: ({ hostAddress, hostPort }) => place(hostAddress, hostPort) },
  { title: 'guest', isText: true, value: ({ guestAddress, guestPort }) => place(guestAddress, guestPort) },
  { title: 'gateway', isText: true, value: ({ gateway }) => printable(gateway) },
];

/**
 * Does what was asked for, and prints the forwards that were added, are there, or were removed.
 *
 * @returns the exit status
 * @throws VdensError when it cannot be done; forwards that came before on the command line are done then
 */
export async function forward(job: ForwardJob): Promise<number> {
  const control = await connectToProcess(job.name);
  const done: Forward[] = [];
  try {
    if (job.does === 'list') done.push(...(await list(control, job)));
    for (const spec of job.does === 'list' ? [] : job.forwards) {
      done.push(job.does === 'add' ? await add(control, job, spec) : await remove(control, job, spec));
    }
  } finally {
    control.close();
    // What was done is said although the rest cannot be.
    if (done.length > 0 || job.json) await print(done, job);
  }
  return 0;
}

async function print(forwards: readonly Forward[], { json }: ForwardJob): Promise<void> {
  const lines = json ? [JSON.stringify(forwards, null, 2)] : formatColumns(COLUMNS, forwards, undefined);
  await writeOutput(`${lines.join('\n')}\n`);
}

async function list(control: Control, { gateway }: ForwardJob): Promise<readonly Forward[]> {
  const { gateways } = await control.request('forwards', { ...(gateway !== undefined && { gateway }) });
  if (!Array.isArray(gateways)) throw noAnswer();
  return gateways.flatMap((one: { network?: unknown }) => forwardsIn(one));
}

async function add(control: Control, job: ForwardJob, spec: ForwardSpec): Promise<Forward> {
  const { text: _typed, protocol = job.protocol ?? 'tcp', hostPort = 0, ...rest } = spec;
  return change(control, job, { do: 'add', protocol, hostPort, ...rest });
}

async function remove(control: Control, job: ForwardJob, spec: ForwardSpec): Promise<Forward> {
  const all = await list(control, job);
  const [found, other] = meant(all, spec, job.protocol);
  if (found === undefined) {
    const remedy = 'See which there are: vde forward';
    throw new VdensError('ERR_USAGE', `there is no forward ${quote(spec.text)}. ${remedy} ${job.name}`, {
      value: spec.text,
    });
  }
  if (other !== undefined) {
    const numbers = `${found.id} (${found.gateway}) and ${other.id} (${other.gateway})`;
    throw new VdensError('ERR_USAGE', `${quote(spec.text)} may mean ${numbers}. Write the number, or --gateway`, {
      value: spec.text,
    });
  }
  return change(control, { ...job, gateway: found.gateway }, { do: 'remove', id: found.id });
}

/** A number alone is that of a forward, or else a port of the host. */
function meant(all: readonly Forward[], spec: ForwardSpec, usual: 'udp' | undefined): readonly Forward[] {
  const { hostAddress, hostPort, guestAddress, guestPort } = spec;
  const protocol = spec.protocol ?? usual;
  const isNumber = hostPort === undefined && guestAddress === undefined;
  if (isNumber && protocol === undefined) {
    const numbered = all.filter(({ id }) => id === guestPort);
    if (numbered.length > 0) return numbered;
  }
  const fits = (one: Forward): boolean =>
    (protocol === undefined || one.protocol === protocol) &&
    (isNumber ? one.hostPort === guestPort : one.hostPort === hostPort && one.guestPort === guestPort) &&
    (hostAddress === undefined || one.hostAddress === hostAddress) &&
    (guestAddress === undefined || one.guestAddress === guestAddress);
  return all.filter(fits);
}

async function change(control: Control, { gateway }: ForwardJob, wanted: object): Promise<Forward> {
  const answer = await control.request('forwards', { ...(gateway !== undefined && { gateway }), change: wanted });
  const [changed] = forwardsIn(answer);
  if (changed === undefined) throw noAnswer();
  return changed;
}

function forwardsIn(answer: Readonly<Record<string, unknown>>): readonly Forward[] {
  const { network } = answer;
  const forwards = parseForwards(answer);
  if (forwards === undefined || typeof network !== 'string') throw noAnswer();
  return forwards.map((one) => ({ ...one, gateway: network }));
}

function noAnswer(): VdensError {
  return new VdensError('ERR_NETWORK_OPEN', 'it does not say which forwards there are. Is it of another version?');
}

function place(address: string, port: number): string {
  return address.includes(':') ? `[${printable(address)}]:${port}` : `${printable(address)}:${port}`;
}
