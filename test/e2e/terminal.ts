/** Uses the command line as a person at a terminal does: waits for what the guest shows, then types. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { images, type Run } from './ft86.js';

/** Run `ft86 ARGS --json`; after each text, newer than what was typed last, the keys beside it are typed. */
export function typed(
  args: readonly string[],
  dialogue: readonly (readonly [shown: string, keys: string])[],
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(images, '../../ft86'), ...args, '--json'], { stdio: 'pipe' });
    const steps = [...dialogue];
    let [stdout, stderr, shown] = ['', '', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      shown += text;
      const step = steps[0];
      if (step === undefined || !shown.includes(step[0])) return;
      steps.shift();
      shown = '';
      child.stdin.write(step[1]);
    });
    child.on('error', reject);
    child.on('close', (status, signal) => {
      resolve({ status, signal, stdout, stderr: stderr.replaceAll('\r', '') });
    });
  });
}
