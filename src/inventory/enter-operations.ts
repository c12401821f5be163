/** Tells others how to get into the namespaces of this process; the kernel then lets in who made them, and nobody else. */
import type { Operations } from '../control/operation.ts';
import { quote, VdensError } from '../errors.ts';
import type { Inventory } from './inventory.ts';
import { NamespaceItem } from './namespace-item.ts';

/** The answer to `enter`. */
export interface EnterAnswer {
  /** A process in the namespaces. */
  readonly pid: number;
  /** Ambient capabilities of commands, as a hexadecimal mask. */
  readonly capabilities: string;
  /** What the kernel calls the network namespace: by it, whoever enters sees that the pid is still the same process's. */
  readonly identity: string;
}

/** `enter`: `link` says which namespace, where there are several. */
export function enterOperations(inventory: Inventory): Operations {
  return {
    enter: ({ link }): EnterAnswer => {
      const { pid, capabilities, identity = '' } = chooseNamespace(inventory, link).namespace;
      return { pid, capabilities: capabilities.toString(16), identity };
    },
  };
}

function chooseNamespace({ items, name }: Inventory, link: unknown): NamespaceItem {
  const all = items.filter((item) => item instanceof NamespaceItem);
  const [found, another] = link === undefined ? all : all.filter((item) => item.links().some(({ id }) => id === link));
  if (found === undefined) {
    const text =
      all.length === 0
        ? `${name} has no namespace that could be entered`
        : `no namespace of ${name} has an interface ${quote(String(link))}`;
    throw new VdensError('ERR_NAMESPACE', `${text}. See what there is with: vde ls`);
  }
  if (another === undefined || link !== undefined) return found;
  const [example = 'vde0'] = all.flatMap((item) => item.links().map(({ id }) => id));
  throw new VdensError(
    'ERR_NAMESPACE',
    `${name} has ${all.length} namespaces. Say which by an interface, as in ${name}:${example}`,
  );
}
