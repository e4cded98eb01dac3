/**
 * Goal: an uplink's text is understood, with defaults, or refused by the part at fault.
 * Method: tables.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { formatMac } from '../../../hypervisor/network/ethernet.js';
import { formatIpv4 } from '../../../hypervisor/network/ipv4.js';
import type { HostUplinkSpec } from '../../../tools/switch/host-spec.js';
import type { PasstUplinkSpec } from '../../../tools/switch/passt-spec.js';
import { parseUplink } from '../../../tools/switch/uplink-spec.js';

const parseHost = (text: string): HostUplinkSpec => parseUplink(text) as HostUplinkSpec;
const parsePasst = (text: string): PasstUplinkSpec => parseUplink(text) as PasstUplinkSpec;

describe('--uplink', () => {
  test('host has an address and no forwards by itself', () => {
    const spec = parseHost('host');
    expect([formatIpv4(spec.ip), spec.prefixBits, formatMac(spec.mac)]).toEqual(['10.86.0.1', 24, '02:86:00:00:00:01']);
    expect([spec.forwards, spec.dhcp, spec.tftp, spec.bootFile]).toEqual([[], true, null, null]);
    expect(parseHost('host:dhcp=off').dhcp).toBe(false);
  });

  test('takes forwards, an address and a MAC', () => {
    const spec = parseHost('host:udp=0:10.86.0.2:7,ip=192.168.5.1/16,udp=9000:10.86.0.3:8086,mac=02:00:00:00:00:09');
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
    const spec = parseHost('host:tftp=/srv/boot files,bootfile=ipxe/start.ipxe');
    expect([spec.tftp, spec.bootFile]).toEqual(['/srv/boot files', 'ipxe/start.ipxe']);
    expect(parseHost('host:bootfile=http://10.86.0.9/a?b=c').bootFile).toBe('http://10.86.0.9/a?b=c');
  });

  test('passt forwards ports to the address it gives', () => {
    const spec = parsePasst('passt:tcp=8080:80,udp=0:53,tcp=192.0.2.7/443:8443');
    expect([formatIpv4(spec.ip), spec.prefixBits, formatIpv4(spec.gateway)]).toEqual(['10.86.0.2', 24, '10.86.0.1']);
    expect(spec.forwards).toEqual([
      { protocol: 'tcp', host: '127.0.0.1', hostPort: 8080, guestPort: 80 },
      { protocol: 'udp', host: '127.0.0.1', hostPort: 0, guestPort: 53 },
      { protocol: 'tcp', host: '192.0.2.7', hostPort: 443, guestPort: 8443 },
    ]);
    expect(formatIpv4(parsePasst('passt:ip=192.168.1.9/16,gateway=192.168.7.1').gateway)).toBe('192.168.7.1');
    expect(parsePasst('passt').forwards).toEqual([]);
  });

  test('tap is an interface', () => {
    expect(parseUplink('tap:ft86.0')).toEqual({ kind: 'tap', name: 'ft86.0' });
    expect(parseUplink('tap:fifteen-letters')).toEqual({ kind: 'tap', name: 'fifteen-letters' });
  });

  test('dgram is two addresses of loopback', () => {
    expect(parseUplink('dgram:127.0.0.1:7001,127.1.2.3:7002')).toEqual({
      kind: 'dgram',
      local: { host: '127.0.0.1', port: 7001 },
      remote: { host: '127.1.2.3', port: 7002 },
    });
  });

  test.each([
    ['', /must be host/],
    ['slirp:tcp=80:80', /must be host/],
    ['passt:', /is not one of tcp=/],
    ['passt:tcp=80', /HOSTPORT:GUESTPORT/],
    ['passt:tcp=80:0', /1 to 65535/],
    ['passt:udp=x:1', /0 to 65535/],
    ['passt:tcp=nowhere/80:80', /IPv4/],
    ['passt:ip=10.0.0.1/24', /another address of the network/],
    ['passt:gateway=10.86.0.2', /another address of the network/],
    [`passt:${Array.from({ length: 65 }, () => 'tcp=0:80').join(',')}`, /more than 64/],
    ['tap', /must be tap:NAME/],
    ['tap:', /must be tap:NAME/],
    ['tap:a/b', /must be tap:NAME/],
    ['tap:ft%d', /must be tap:NAME/],
    ['tap:sixteen-letters0', /at most 15/],
    ['dgram', /dgram:LOCAL,REMOTE/],
    ['dgram:127.0.0.1:7001', /dgram:LOCAL,REMOTE/],
    ['dgram:127.0.0.1:7001,127.0.0.1:7002,x', /dgram:LOCAL,REMOTE/],
    ['dgram:127.0.0.1:7001,127.0.0.1:7001', /two addresses/],
    ['dgram:127.0.0.1:0,127.0.0.1:7001', /1 to 65535/],
    ['dgram:127.0.0.1,127.0.0.1:7001', /1 to 65535/],
    ['dgram:192.0.2.7:7001,127.0.0.1:7001', /on loopback/],
    ['dgram:localhost:7001,127.0.0.1:7001', /IPv4/],
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
