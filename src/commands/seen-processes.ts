/** What runs, for those who show it. */
import type { SeenProcess } from './running-report.ts';

export async function seeProcesses(): Promise<readonly SeenProcess[]> {
  return [];
}
