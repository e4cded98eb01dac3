/** The shipped guests: our own in images/manifest.json, others in folders of images/; and where their files are built. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { ConfigError } from '../../emulator/errors.js';

const guestSchema = z.object({
  name: z.string(),
  file: z.string(),
  format: z.enum(['multiboot', 'boot-sector', 'linux']),
  /** Linux: the initial RAM disk and the unpacked payload, beside `file`. */
  initrd: z.string().optional(),
  payload: z.string().optional(),
  purpose: z.string(),
  shows: z.string().optional(),
  needs: z
    .object({
      diskBytes: z.number().optional(),
      driveKind: z.enum(['virtio', 'ide']).default('virtio'),
      nic: z.boolean().optional(),
      memory: z.string().optional(),
    })
    .prefault({}),
  append: z.string().optional(),
  load: z.string().optional(),
  expectedOutput: z.array(z.string()).optional(),
  exitCode: z.number().optional(),
  endless: z.boolean().optional(),
  test: z.boolean().optional(),
  /** The command that builds it. */
  build: z.string().default('make images'),
});

const MANIFESTS = ['images/manifest.json', 'images/linux/manifest.json'];

export type GuestManifest = z.infer<typeof guestSchema>;
export interface ShippedImage extends GuestManifest {
  /** Absolute path of the built image. */
  readonly path: string;
  readonly initrdPath: string | undefined;
  readonly payloadPath: string | undefined;
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
  const built = (file: string): string => join(root, 'build/images', file);
  return MANIFESTS.flatMap((file) =>
    z.array(guestSchema).parse(JSON.parse(readFileSync(join(root, file), 'utf8'))),
  ).map((guest) => ({
    ...guest,
    path: built(guest.file),
    initrdPath: guest.initrd === undefined ? undefined : built(guest.initrd),
    payloadPath: guest.payload === undefined ? undefined : built(guest.payload),
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
  if (!existsSync(found.path)) throw new ConfigError('IMAGE', name, `is not built: run \`${found.build}\``);
  return found;
}
