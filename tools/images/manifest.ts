/** The shipped guests: images/manifest.json, and where `make images` puts the built files. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ConfigError } from '../../emulator/errors.js';

const guestSchema = z.object({
  name: z.string(),
  file: z.string(),
  format: z.enum(['multiboot', 'boot-sector']),
  purpose: z.string(),
  shows: z.string().optional(),
  needs: z
    .object({ diskBytes: z.number().optional(), nic: z.boolean().optional(), memory: z.string().optional() })
    .default({}),
  append: z.string().optional(),
  load: z.string().optional(),
  expectedOutput: z.array(z.string()).optional(),
  exitCode: z.number().optional(),
  endless: z.boolean().optional(),
  test: z.boolean().optional(),
});

export type GuestManifest = z.infer<typeof guestSchema>;
export interface ShippedImage extends GuestManifest {
  /** Absolute path of the built image. */
  readonly path: string;
  readonly memory: string | undefined;
}

/** The project's root: the nearest folder above this file that has a package.json. */
export function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** All shipped guests, in the manifest's order. */
export function readManifest(): ShippedImage[] {
  const root = projectRoot();
  const parsed = z.array(guestSchema).parse(JSON.parse(readFileSync(join(root, 'images/manifest.json'), 'utf8')));
  return parsed.map((guest) => ({
    ...guest,
    path: join(root, 'build/images', guest.file),
    memory: guest.needs.memory,
  }));
}

/** The shipped guest of that name, or null when `name` must be a path. @throws ConfigError when it is not built */
export function findShippedImage(name: string): ShippedImage | null {
  if (name.includes('/')) return null;
  const guests = readManifest();
  const found = guests.find((guest) => guest.name === name);
  if (found === undefined && existsSync(name)) return null;
  if (found === undefined) {
    const names = guests.filter((guest) => guest.test !== true).map((guest) => guest.name);
    throw new ConfigError('IMAGE', name, `is neither a file nor one of the shipped guests: ${names.join(', ')}`);
  }
  if (!existsSync(found.path)) throw new ConfigError('IMAGE', name, 'is not built: run `make images`');
  return found;
}
