/**
 * Where the C parts lie. Apart from native.ts, so that it can be asked when they are missing.
 *
 * The environment variable VDENS_NATIVE_DIR names another folder (for a build with sanitizers, say).
 */
import { join } from 'node:path';

/** The folder of the native build. */
export const nativeDirectory: string =
  process.env['VDENS_NATIVE_DIR'] ?? join(import.meta.dirname, '..', '..', '..', 'build', 'native');

/** Absolute path of the helper that makes namespaces. */
export const launchPath: string = join(nativeDirectory, 'launch');

/** Absolute path of the helper that opens networks with the originals' library. */
export const foreignPath: string = join(nativeDirectory, 'foreign');

/** Absolute path of the Node-API addon. */
export const addonPath: string = join(nativeDirectory, 'io.node');
