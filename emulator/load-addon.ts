/**
 * Loads a native addon from build/native (an edge). It lies at the same place for the sources and for what is built of them:
 * below the nearest folder above this code that has it.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvariantError } from './errors.js';

/** The exports of build/native/NAME.node, which the caller knows. @throws InvariantError when it is not built */
export function loadAddon(name: string): unknown {
  const file = join('build/native', `${name}.node`);
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, file))) {
    if (folder === dirname(folder)) throw new InvariantError(`the addon ${name} is not built: run make build`);
    folder = dirname(folder);
  }
  return createRequire(import.meta.url)(join(folder, file));
}
