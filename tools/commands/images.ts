/** `ft86 images`: the shipped guests. */
import { existsSync } from 'node:fs';
import Table from 'cli-table3';
import type { CommandModule } from 'yargs';
import { readManifest, type ShippedImage } from '../images/manifest.js';
import { JSON_VERSION } from '../replica/result.js';
import { printJson, withJson } from './common.js';

interface ImagesArguments {
  readonly all: boolean;
  readonly json: boolean;
}

export const imagesCommand: CommandModule<object, ImagesArguments> = {
  command: 'images',
  describe: 'list the shipped guests',
  builder: (argv) =>
    withJson(argv)
      .option('all', { type: 'boolean', default: false, describe: 'also those that only tests use' })
      .example('$0 images', 'names, what they show, what they need'),
  handler: (args) => {
    const guests = readManifest().filter((guest) => args.all || guest.test !== true);
    if (args.json) {
      printJson({
        version: JSON_VERSION,
        images: guests.map((guest) => ({ ...guest, built: existsSync(guest.path) })),
      });
      return;
    }
    const table = new Table({
      head: ['guest', 'what it shows', 'needs'],
      style: { head: [], border: [] },
      colWidths: [14, 70, 22],
      wordWrap: true,
    });
    for (const guest of guests) table.push([guest.name, guest.purpose, needs(guest)]);
    process.stdout.write(`${table.toString()}\n`);
  },
};

function needs({ needs: { diskBytes, nic, memory } }: ShippedImage): string {
  const parts = [
    diskBytes === undefined ? '' : `disk ${diskBytes / 1024} KiB`,
    nic === true ? 'NIC' : '',
    memory === undefined ? '' : `memory ${memory}`,
  ];
  return parts.filter((part) => part !== '').join(', ') || '-';
}
