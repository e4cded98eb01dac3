/** Goal: a setting is what its newest entry says, unknown ones are passed on, and nothing that is not one is accepted.
 *  Method: entries in order; every form that the command line takes, and near misses. */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { parseSetting, Settings } from '../../../hypervisor/ft/settings.js';

describe('settings', () => {
  test('are as a replica was started before any entry, then what the newest says', () => {
    const settings = new Settings();
    expect([settings.paused, settings.digestNs, settings.controls()]).toEqual([false, null, []]);
    for (const text of ['paused=on', 'digest-ms=50', 'paused=off', 'digest-ms=20']) settings.set(parseSetting(text));
    expect([settings.paused, settings.digestNs]).toEqual([false, 20e6]);
    settings.set(parseSetting('digest-ms=default'));
    expect(settings.digestNs).toBeNull();
  });

  test('can be said again to a backup that joins later, with those that mean nothing here', () => {
    const settings = new Settings();
    settings.set({ op: 'configure', setting: 'of-a-newer-version', value: '7' });
    settings.set(parseSetting('paused=on'));
    const copy = new Settings();
    for (const control of settings.controls()) copy.set(control);
    expect(copy.paused).toBe(true);
    expect(copy.controls()).toEqual(settings.controls());
  });
});

test.each([
  '',
  'paused',
  'paused=',
  'paused=1',
  'digest-ms=9',
  'digest-ms=3600001',
  'digest-ms=1e3',
  'lag-ms=5',
  '=on',
])('refuses %j', (text) => {
  expect(() => parseSetting(text)).toThrow(ConfigError);
});

test('saved settings are restored, those of a newer version included; anything else is refused', () => {
  const settings = new Settings();
  settings.set({ op: 'configure', setting: 'paused', value: 'on' });
  settings.set({ op: 'configure', setting: 'of-tomorrow', value: 'x' });
  const restored = Settings.restore(settings.save());
  expect(restored.paused).toBe(true);
  expect(restored.controls()).toEqual(settings.controls());
  for (const bad of [
    null,
    undefined,
    7,
    { paused: true },
    Object.fromEntries(Array.from({ length: 257 }, (_, i) => [i, ''])),
  ]) {
    expect(() => Settings.restore(bad)).toThrow(/settings/);
  }
});
