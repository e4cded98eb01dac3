/**
 * Goal: an uplink's text is understood, with defaults, or refused by the part at fault.
 * Method: tables.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { formatMac } from '../../../hypervisor/network/ethernet.js';
import { formatIpv4 } from '../../../hypervisor/network/ipv4.js';
import { parseUplink } from '../../../tools/switch/uplink-spec.js';

describe('--uplink', () => {
  test('host has an address and no forwards by itself', () => {
    const spec = parseUplink('host');
    expect([formatIpv4(spec.ip), spec.prefixBits, formatMac(spec.mac)]).toEqual(['10.86.0.1', 24, '02:86:00:00:00:01']);
    expect([spec.forwards, spec.dhcp, spec.tftp, spec.bootFile]).toEqual([[], true, null, null]);
    expect(parseUplink('host:dhcp=off').dhcp).toBe(false);
  });

  test('takes forwards, an address and a MAC', () => {
    const spec = parseUplink('host:udp=0:10.86.0.2:7,ip=192.168.5.1/16,udp=9000:10.86.0.3:8086,mac=02:00:00:00:00:09');
    expect(spec.forwards.map(({ hostPort, guestIp, guestPort }) => [hostPort, formatIpv4(guestIp), guestPort])).toEqual(
      [
        [0, '10.86.0.2', 7],
        [9000, '10.86.0.3', 8086],
      ],
    );
    expect([formatIpv4(spec.ip), spec.prefixBits, formatMac(spec.mac)]).toEqual([
      '192.168.5.1',
      16,
      '02:00:00:00:00:09',
    ]);
  });

  test('takes a directory to serve and a file to start', () => {
    const spec = parseUplink('host:tftp=/srv/boot files,bootfile=ipxe/start.ipxe');
    expect([spec.tftp, spec.bootFile]).toEqual(['/srv/boot files', 'ipxe/start.ipxe']);
    expect(parseUplink('host:bootfile=http://10.86.0.9/a?b=c').bootFile).toBe('http://10.86.0.9/a?b=c');
  });

  test.each([
    ['', /must be host/],
    ['passt:tcp=80:80', /must be host/],
    ['host:', /is not one of udp=/],
    ['host:tcp=1:10.86.0.2:1', /is not one of udp=/],
    ['host:udp=1:2', /HOSTPORT:GUESTIP:GUESTPORT/],
    ['host:udp=70000:10.86.0.2:7', /0 to 65535/],
    ['host:udp=1:10.86.0:7', /IPv4/],
    ['host:udp=1:10.86.0.2:0', /1 to 65535/],
    ['host:ip=10.86.0.1', /8 to 30/],
    ['host:ip=10.86.0.1/31', /8 to 30/],
    ['host:mac=01:00:00:00:00:01', /multicast/],
    ['host:dhcp=10.86.0.9', /dhcp=on\|off/],
    ['host:bootfile=', /1 to 127/],
    [`host:bootfile=${'x'.repeat(128)}`, /1 to 127/],
    ['host:bootfile=a b', /1 to 127/],
    ['host:dhcp=off,bootfile=x', /DHCP, which is off/],
    ['host:mac=02', /MAC address/],
  ])('"%s" is refused', (text, message) => {
    expect(() => parseUplink(text)).toThrow(ConfigError);
    expect(() => parseUplink(text)).toThrow(message);
  });
});
