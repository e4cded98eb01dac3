/** The `ft86` command, behind what tools/launch has started. */
import { adoptEarly, type EarlyReplicas } from './pair/early-replicas.js';

/** Run the command that the process was started with. */
export function main(early: EarlyReplicas): void {
  adoptEarly(early);
  void import('./command-line.js').then(async ({ runCommandLine }) => runCommandLine());
}
