/** What the manual pages of all commands with control sockets say of these. */
import type { Explanation } from './option-table.ts';

const CONTROL_VARIABLE: Explanation = {
  term: '`$VDENS_CONTROL`',
  text: ['With 0, there is no control socket: `vde(1)` does not find the process, and nothing can be asked of it.'],
};

/** Variables that control sockets follow. */
export const CONTROL_ENVIRONMENT: readonly Explanation[] = [
  CONTROL_VARIABLE,
  {
    term: '`$VDENS_RUNTIME_DIR`, `$XDG_RUNTIME_DIR`',
    text: [
      "Where the control socket is, by which `vde(1)` finds the process: in the first, or in `vdens` in the second, or else in `/tmp/vdens-` and the number of the user. The directory is made if need be; one that is open to others, or another user's, is not used.",
    ],
  },
];
