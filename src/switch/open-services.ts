/** The switches that this process serves in directories, for those who look. */
import type { SwitchService } from './switch-service.ts';

/** {@link SwitchService} puts itself in, and takes itself out. */
export const openServices: Set<SwitchService> = new Set();
