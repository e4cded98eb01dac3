/**
 * Goal: options of the form key=value say exactly what they mean; anything else is the user's mistake, named with the
 * option, the value and what is allowed.
 * Method: tables of good and bad texts for the parser, --drive, --net and counts; a property that arbitrary text is
 * either read or a ConfigError.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConfigError } from '../../emulator/errors.js';
import { machineConfigSchema } from '../../hypervisor/machine/machine-config.js';
import { parseCount, parseKeyValues } from '../../tools/key-values.js';
import { pairDrives, parseDrive } from '../../tools/replica/drive-options.js';
import { formatNet, parseNet } from '../../tools/replica/net-options.js';

const ALLOWED = { file: null, if: ['virtio', 'ide'], toString: ['on'] };

function parse(text: string): Record<string, string> {
  return parseKeyValues('--x', text, ALLOWED);
}

describe('parseKeyValues', () => {
  test('reads keys and values in any order', () => {
    expect(parse('file=a')).toEqual({ file: 'a' });
    expect(parse('if=ide,file=/tmp/a b')).toEqual({ if: 'ide', file: '/tmp/a b' });
  });

  test('a value may be empty, or hold further equal signs', () => {
    expect(parse('file=')).toEqual({ file: '' });
    expect(parse('file=a=b=c')).toEqual({ file: 'a=b=c' });
  });

  test.each([
    ['', '"" is not one of file=, if=, toString='],
    ['file', '"file" is not one of file=, if=, toString='],
    ['=a', '"=a" is not one of'],
    ['file=a,', '"" is not one of'],
    ['size=3', '"size=3" is not one of'],
    ['File=a', '"File=a" is not one of'],
    [' file=a', '" file=a" is not one of'],
    ['if=scsi', 'if must be virtio or ide, not "scsi"'],
    ['if=', 'if must be virtio or ide, not ""'],
    ['file=a,file=b', 'file is given twice'],
    ['__proto__=a', '"__proto__=a" is not one of'],
    ['constructor=a', '"constructor=a" is not one of'],
  ])('refuses "%s": %s', (text, reason) => {
    expect(() => parse(text)).toThrow(ConfigError);
    expect(() => parse(text)).toThrow(`--x ${text}: ${reason}`);
  });

  test('a key that every object inherits is read like any other', () => {
    expect(parse('toString=on')).toEqual({ toString: 'on' });
    expect(() => parse('toString=on,toString=on')).toThrow('toString is given twice');
  });

  test('any text is either read back or the user’s mistake', () => {
    const part = fc.oneof(fc.string(), fc.constantFrom('file=a', 'if=ide', 'if=x', '=', ''));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
        const text = parts.join(',');
        try {
          const written = Object.entries(parse(text)).map(([key, value]) => `${key}=${value}`);
          expect(written.join(',')).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
    );
  });
});

describe('parseCount', () => {
  test('takes whole numbers within the bounds, both included', () => {
    expect(parseCount('--n', '1', 1, 10)).toBe(1);
    expect(parseCount('--n', '10', 1, 10)).toBe(10);
    expect(parseCount('--n', '0010', 1, 10)).toBe(10);
    expect(parseCount('--n', '9007199254740991', 0, Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
  });

  test.each(['0', '11', '', ' 1', '1 ', '-1', '+1', '1.0', '1e1', '0x5', 'five', '9007199254740992', '1'.repeat(17)])(
    'refuses "%s"',
    (text) => {
      expect(() => parseCount('--n', text, 1, 10)).toThrow(
        new ConfigError('--n', text, 'must be a whole number from 1 to 10'),
      );
    },
  );

  test('refuses a number that is not exact', () => {
    expect(() => parseCount('--n', '9007199254740992', 0, Number.MAX_SAFE_INTEGER)).toThrow(ConfigError);
  });
});

describe('--drive', () => {
  const shared = { shared: true, backupReads: false };
  test.each([
    ['file=disk.img', { path: 'disk.img', kind: 'virtio', readonly: false, ...shared }],
    ['file=disk.img,if=ide', { path: 'disk.img', kind: 'ide', readonly: false, ...shared }],
    ['file=disk.img,readonly=off,shared=on', { path: 'disk.img', kind: 'virtio', readonly: false, ...shared }],
    ['file=a,backup-reads=on', { path: 'a', kind: 'virtio', readonly: false, shared: true, backupReads: true }],
    ['file=a,shared=off', { path: 'a', kind: 'virtio', readonly: false, shared: false, backupReads: false }],
    ['readonly=on,file=/a b/c=d.img', { path: '/a b/c=d.img', kind: 'virtio', readonly: true, ...shared }],
  ])('%s', (text, drive) => {
    expect(parseDrive(text)).toEqual(drive);
  });

  test.each([
    ['readonly=on', 'needs file=PATH or nbd://HOST:PORT/EXPORT'],
    ['file=', 'needs file=PATH or nbd://HOST:PORT/EXPORT'],
    ['disk.img', '"disk.img" is not one of file=, if=, shared=, readonly=, backup-reads='],
    ['file=a,if=scsi', 'if must be virtio or ide, not "scsi"'],
    ['file=a,shared=maybe', 'shared must be on or off, not "maybe"'],
    ['file=a,readonly=yes', 'readonly must be on or off, not "yes"'],
    ['file=a,file=b', 'file is given twice'],
  ])('refuses %s: %s', (text, reason) => {
    expect(() => parseDrive(text)).toThrow(new ConfigError('--drive', text, reason));
  });
});

describe('the drives of a pair', () => {
  const reads = (texts: string[], logAlone = false): boolean[] => {
    const boot = parseDrive('file=boot.img');
    return pairDrives([boot, ...texts.map(parseDrive)], texts, logAlone).map(({ backupReads }) => backupReads);
  };

  test('the backup reads a disk that nobody writes, unless an option says otherwise or the log must do alone', () => {
    expect(reads(['file=a', 'file=b,readonly=on', 'readonly=on,file=c,if=ide'])).toEqual([false, false, true, true]);
    expect(reads(['backup-reads=off,file=a,readonly=on', 'file=b,backup-reads=on'])).toEqual([false, false, true]);
    expect(reads(['file=a,readonly=on,shared=off'])).toEqual([false, false]);
    expect(reads(['file=a,readonly=on', 'file=b,backup-reads=on'], true)).toEqual([false, false, true]);
  });
});

describe('--net', () => {
  test('has a switch, or a cable that ends nowhere', () => {
    const nic = { kind: 'virtio', mac: '52:54:00:86:00:01', romfile: null };
    expect(parseNet('switch=unix:/run/s', 0)).toEqual({ ...nic, switch: 'unix:/run/s' });
    expect(parseNet('model=ne2k,romfile=a.rom', 0)).toEqual({ ...nic, switch: null, kind: 'ne2k', romfile: 'a.rom' });
  });

  test('is written as it is read', () => {
    for (const text of [
      'model=ne2k,mac=52:54:00:86:00:02',
      'switch=tcp://a:1,model=virtio,mac=52:54:00:86:00:02,romfile=r',
    ]) {
      expect(formatNet(parseNet(text, 0))).toBe(text);
    }
  });

  test('each NIC has a MAC of its own unless one is given', () => {
    const macs = [0, 1, 2, 3].map((index) => parseNet('model=virtio', index).mac);
    expect(new Set(macs).size).toBe(4);
    expect(parseNet('mac=52:54:00:12:34:56', 3).mac).toBe('52:54:00:12:34:56');
  });

  test('a MAC in capitals is the same MAC', () => {
    expect(parseNet('mac=52:54:00:AB:CD:EF', 0).mac).toBe('52:54:00:ab:cd:ef');
  });

  test('every MAC that it accepts is one a machine may have', () => {
    const schema = machineConfigSchema.shape.nics;
    for (const nic of [parseNet('model=virtio', 3), parseNet('mac=FE:ff:ff:ff:ff:ff', 0)]) {
      expect(schema.safeParse([{ kind: nic.kind, mac: nic.mac }]).success).toBe(true);
    }
  });

  test.each([
    ['mac=53:54:00:12:34:56', 'a multicast address'],
    ['mac=52:54:00:12:34', 'too short'],
    ['mac=52:54:00:12:34:56:78', 'too long'],
    ['mac=52-54-00-12-34-56', 'other separators'],
    ['mac=52:54:00:12:34:5g', 'no hex'],
    ['mac=', 'empty'],
  ])('refuses %s: %s', (text) => {
    expect(() => parseNet(text, 0)).toThrow(ConfigError);
    expect(() => parseNet(text, 0)).toThrow(`--net ${text}: mac must be six hex bytes with an even first one`);
  });

  test('refuses a model that is not there', () => {
    expect(() => parseNet('model=e1000', 0)).toThrow('model must be virtio or ne2k or ne2k-isa, not "e1000"');
    expect(() => parseNet('model=ne2k-isa,romfile=a', 0)).toThrow('romfile is for NICs on the PCI bus');
  });
});
