/**
 * Goal: clients get addresses of their own, keep them, give them back and are refused what is not theirs, as RFC 2131
 * says for each state of a client; nobody can make the server throw or hand an address out twice.
 * Method: tables of a client's states with the time passed in; random clients against the invariant.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DhcpServer, type DhcpAnswer } from '../../../hypervisor/network/dhcp-server.js';
import {
  OPTION,
  addressOption,
  decodeDhcp,
  encodeDhcp,
  fourBytes,
  type DhcpMessage,
  type DhcpType,
} from '../../../hypervisor/network/dhcp.js';
import { BROADCAST_MAC } from '../../../hypervisor/network/ethernet.js';
import { BROADCAST_IPV4, formatIpv4, parseIpv4 } from '../../../hypervisor/network/ipv4.js';

const SERVER = parseIpv4('', '10.86.0.1');
const HOUR_MS = 3_600_000;

function address(text: string): number {
  return parseIpv4('', text);
}

function newServer(options: { prefixBits?: number; bootFile?: string; ip?: string } = {}): DhcpServer {
  const { prefixBits = 24, bootFile = null, ip = '10.86.0.1' } = options;
  return new DhcpServer({ ip: address(ip), prefixBits, bootFile });
}

/** A client with its own view of the exchange. */
class Client {
  readonly mac: Uint8Array;
  readonly server: DhcpServer;
  nowMs = 0;
  last: DhcpAnswer | null = null;

  constructor(server: DhcpServer, number: number) {
    this.server = server;
    this.mac = Uint8Array.of(0x52, 0x54, 0, 0, number >> 8, number);
  }

  /** Send a message; `options` are addresses. Returns what came back. */
  send(type: DhcpType, fields: Partial<DhcpMessage> = {}, options: Record<number, string> = {}): DhcpMessage | null {
    const message: DhcpMessage = {
      ...{ op: 'request', type, transaction: 7, seconds: 0, broadcast: false, clientIp: 0, yourIp: 0 },
      ...{ nextServerIp: 0, relayIp: 0, clientMac: this.mac, bootFile: '' },
      options: new Map(Object.entries(options).map(([code, text]) => [Number(code), fourBytes(address(text))])),
      ...fields,
    };
    this.last = this.server.receive(encodeDhcp(message), this.nowMs);
    return this.last === null ? null : decodeDhcp(this.last.payload);
  }

  discover(options: Record<number, string> = {}): string | null {
    const offer = this.send('discover', {}, options);
    return offer === null ? null : formatIpv4(offer.yourIp);
  }

  /** Choose an offer. Returns ack or nak and the address. */
  select(ip: string, server = '10.86.0.1'): string | null {
    return said(this.send('request', {}, { [OPTION.requestedAddress]: ip, [OPTION.serverIdentifier]: server }));
  }

  obtain(): string {
    const ip = this.discover();
    expect(this.select(ip!)).toBe(`ack ${ip!}`);
    return ip!;
  }

  renew(ip: string): string | null {
    return said(this.send('request', { clientIp: address(ip) }));
  }

  reboot(ip: string): string | null {
    return said(this.send('request', {}, { [OPTION.requestedAddress]: ip }));
  }
}

function said(message: DhcpMessage | null): string | null {
  return message === null ? null : `${message.type} ${formatIpv4(message.yourIp)}`;
}

describe('a DHCP server', () => {
  test('offers and gives addresses of the upper half, each client one of its own', () => {
    const server = newServer();
    expect([1, 2, 3].map((number) => new Client(server, number).obtain())).toEqual([
      '10.86.0.128',
      '10.86.0.129',
      '10.86.0.130',
    ]);
    expect(server.counters).toMatchObject({ offers: 3, acknowledgements: 3, refusals: 0, ignored: 0 });
  });

  test('says the mask, the router, the times and who it is', () => {
    const offer = new Client(newServer({ prefixBits: 20 }), 1).send('discover')!;
    const addresses = [OPTION.subnetMask, OPTION.router, OPTION.broadcastAddress, OPTION.serverIdentifier].map((code) =>
      formatIpv4(addressOption(offer, code)!),
    );
    expect(addresses).toEqual(['255.255.240.0', '10.86.0.1', '10.86.15.255', '10.86.0.1']);
    const times = [OPTION.leaseSeconds, OPTION.renewalSeconds, OPTION.rebindingSeconds];
    expect(times.map((code) => addressOption(offer, code))).toEqual([3600, 1800, 3150]);
    expect([offer.op, offer.type, offer.transaction, offer.nextServerIp, offer.bootFile]).toEqual([
      ...['reply', 'offer', 7, 0, ''],
    ]);
  });

  test('names the next server and the boot file in both places when there is one', () => {
    const offer = new Client(newServer({ bootFile: 'boot.ipxe' }), 1).send('discover')!;
    expect([offer.nextServerIp, offer.bootFile]).toEqual([SERVER, 'boot.ipxe']);
    const texts = [OPTION.serverName, OPTION.bootFile].map((code) => Buffer.from(offer.options.get(code)!).toString());
    expect(texts).toEqual(['10.86.0.1', 'boot.ipxe']);
  });

  test('tells iPXE, and nobody else, not to wait for another server', () => {
    const options = new Map<number, Uint8Array>([[OPTION.ipxe, Uint8Array.of(177, 1, 1)]]);
    const client = new Client(newServer(), 1);
    expect([...client.send('discover', { options })!.options.get(OPTION.ipxe)!]).toEqual([176, 1, 1]);
    expect(client.send('discover')!.options.has(OPTION.ipxe)).toBe(false);
  });

  test('answers to the MAC until the client has an address, by broadcast where it asks for that or is refused', () => {
    const client = new Client(newServer(), 1);
    client.send('discover');
    expect(client.last).toMatchObject({ mac: client.mac, ip: address('10.86.0.128'), port: 68 });
    client.send('discover', { broadcast: true });
    expect(client.last).toMatchObject({ mac: BROADCAST_MAC, ip: BROADCAST_IPV4 });
    client.select('10.86.0.128');
    client.renew('10.86.0.128');
    expect(client.last).toMatchObject({ mac: client.mac, ip: address('10.86.0.128') });
    client.renew('10.86.0.129');
    expect(client.last).toMatchObject({ mac: BROADCAST_MAC, ip: BROADCAST_IPV4 });
  });

  test('gives a client what it had, and what it asks for when that is free', () => {
    const server = newServer();
    const [a, b, c] = [new Client(server, 1), new Client(server, 2), new Client(server, 3)];
    const first = a.obtain();
    a.send('release', { clientIp: address(first) });
    expect(b.discover()).toBe('10.86.0.129');
    expect(a.discover()).toBe(first);
    expect(c.discover({ [OPTION.requestedAddress]: '10.86.0.200' })).toBe('10.86.0.200');
    for (const taken of [first, '10.86.0.1', '10.86.0.5', '10.99.0.1', '10.86.0.255']) {
      expect(new Client(server, 9).discover({ [OPTION.requestedAddress]: taken })).toBe('10.86.0.130');
    }
  });

  test('knows a client by its identifier, whatever its MAC, and gives the identifier back', () => {
    const server = newServer();
    const options = new Map<number, Uint8Array>([[OPTION.clientIdentifier, Uint8Array.of(0, 1, 2, 3)]]);
    const offers = [1, 2].map((number) => new Client(server, number).send('discover', { options })!);
    expect(offers.map(({ yourIp }) => formatIpv4(yourIp))).toEqual(['10.86.0.128', '10.86.0.128']);
    expect([...offers[0]!.options.get(OPTION.clientIdentifier)!]).toEqual([0, 1, 2, 3]);
  });

  test.each([
    ['selecting another address than the offered one', (c: Client) => c.select('10.86.0.140'), 'nak 0.0.0.0'],
    ['selecting another server', (c: Client) => c.select('10.86.0.128', '10.86.0.3'), null],
    ['rebooting with its address', (c: Client) => c.reboot('10.86.0.128'), 'ack 10.86.0.128'],
    ['rebooting with another address', (c: Client) => c.reboot('10.86.0.129'), 'nak 0.0.0.0'],
    ['rebooting in another network', (c: Client) => c.reboot('192.168.1.5'), 'nak 0.0.0.0'],
    ['renewing its address', (c: Client) => c.renew('10.86.0.128'), 'ack 10.86.0.128'],
    ['renewing another address', (c: Client) => c.renew('10.86.0.129'), 'nak 0.0.0.0'],
    ['asking for no address at all', (c: Client) => said(c.send('request')), null],
  ])('a client that holds an address and is %s gets its answer', (_, act, expected) => {
    const client = new Client(newServer(), 1);
    client.obtain();
    expect(act(client)).toBe(expected);
  });

  test.each([
    ['renewing a free address', (c: Client) => c.renew('10.86.0.150'), 'ack 10.86.0.150'],
    ['renewing an address that another has', (c: Client) => c.renew('10.86.0.128'), 'nak 0.0.0.0'],
    ['renewing an address that is never given', (c: Client) => c.renew('10.86.0.7'), 'nak 0.0.0.0'],
    ['rebooting', (c: Client) => c.reboot('10.86.0.150'), null],
    ['rebooting in another network', (c: Client) => c.reboot('10.87.0.150'), 'nak 0.0.0.0'],
    ['selecting without an offer', (c: Client) => c.select('10.86.0.150'), 'nak 0.0.0.0'],
  ])('a client unknown after a restart and %s gets its answer', (_, act, expected) => {
    const server = newServer();
    new Client(server, 1).obtain();
    expect(act(new Client(server, 2))).toBe(expected);
  });

  test('tells a client with a fixed address the rest, without a lease', () => {
    const answer = new Client(newServer(), 1).send('inform', { clientIp: address('10.86.0.2') })!;
    expect(said(answer)).toBe('ack 0.0.0.0');
    expect(answer.options.has(OPTION.leaseSeconds)).toBe(false);
    expect(addressOption(answer, OPTION.router)).toBe(SERVER);
  });

  test('an address found in use is given to nobody for ten minutes', () => {
    const server = newServer({ prefixBits: 29 });
    const client = new Client(server, 1);
    client.obtain();
    client.send('decline', {}, { [OPTION.requestedAddress]: '10.86.0.4' });
    expect(client.discover()).toBe('10.86.0.5');
    expect(new Client(server, 2).discover()).toBe('10.86.0.6');
    const late = new Client(server, 3);
    expect(late.discover({ [OPTION.requestedAddress]: '10.86.0.4' })).toBeNull();
    late.nowMs = 600_000;
    expect(late.discover({ [OPTION.requestedAddress]: '10.86.0.4' })).toBe('10.86.0.4');
    expect(server.counters).toMatchObject({ declined: 1, exhausted: 1 });
  });

  test('an offer not taken, a lease run out and one given back are free again, the oldest first', () => {
    const server = newServer({ prefixBits: 29 });
    const clients = [1, 2, 3, 4].map((number) => new Client(server, number));
    const [a, b, c, d] = clients as [Client, Client, Client, Client];
    a.obtain();
    b.discover();
    c.obtain();
    expect(d.discover()).toBeNull();
    d.nowMs = 30_000;
    expect(d.obtain()).toBe('10.86.0.5');
    const late = new Client(server, 5);
    late.nowMs = 40_000;
    c.nowMs = 40_000;
    c.send('release', { clientIp: address('10.86.0.6') });
    expect(late.obtain()).toBe('10.86.0.6');
    late.nowMs = HOUR_MS;
    expect(new Client(server, 6).discover()).toBeNull();
    b.nowMs = HOUR_MS;
    expect(b.obtain()).toBe('10.86.0.4');
  });

  test('a renewal keeps a lease, and a stranger cannot release or decline it', () => {
    const server = newServer({ prefixBits: 30 });
    const [owner, stranger] = [new Client(server, 1), new Client(server, 2)];
    expect(owner.obtain()).toBe('10.86.0.2');
    stranger.send('release', { clientIp: address('10.86.0.2') });
    stranger.send('decline', {}, { [OPTION.requestedAddress]: '10.86.0.2' });
    owner.nowMs = HOUR_MS - 1;
    owner.renew('10.86.0.2');
    stranger.nowMs = HOUR_MS + 1;
    expect(stranger.discover()).toBeNull();
    expect(server.counters).toMatchObject({ releases: 0, declined: 0, ignored: 2 });
  });

  test('gives its own address to nobody, also as the last of two', () => {
    expect(new Client(newServer({ prefixBits: 30, ip: '10.86.0.2' }), 1).discover()).toBe('10.86.0.1');
    const server = newServer({ ip: '10.86.0.128' });
    expect(new Client(server, 1).discover({ [OPTION.requestedAddress]: '10.86.0.128' })).toBe('10.86.0.129');
  });

  test('ignores what is damaged, relayed, from a server or from a group address, and counts it', () => {
    const server = newServer();
    const client = new Client(server, 1);
    expect(server.receive(new Uint8Array(300), 0)).toBeNull();
    expect(client.send('discover', { relayIp: SERVER })).toBeNull();
    expect(client.send('offer', { op: 'reply' })).toBeNull();
    expect(client.send('offer')).toBeNull();
    expect(client.send('inform')).toBeNull();
    expect(client.send('discover', { clientMac: BROADCAST_MAC })).toBeNull();
    expect(server.counters).toMatchObject({ ignored: 6, offers: 0 });
  });

  test('random messages never throw, and no address is acknowledged to two clients within a lease', () => {
    const step = fc.record({
      client: fc.integer({ min: 1, max: 6 }),
      type: fc.constantFrom<DhcpType>('discover', 'request', 'request', 'release', 'decline', 'inform'),
      requested: fc.option(fc.integer({ min: 3, max: 8 })),
      ciaddr: fc.option(fc.integer({ min: 3, max: 8 })),
      toUs: fc.boolean(),
      pauseMs: fc.constantFrom(0, 0, 0, 31_000, HOUR_MS),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const server = newServer({ prefixBits: 29 });
        const owners = new Map<number, { client: number; untilMs: number }>();
        let nowMs = 0;
        for (const { client: number, type, requested, ciaddr, toUs, pauseMs } of steps) {
          nowMs += pauseMs;
          const client = new Client(server, number);
          client.nowMs = nowMs;
          const options: Record<number, string> = {};
          if (requested !== null) options[OPTION.requestedAddress] = `10.86.0.${requested}`;
          if (toUs) options[OPTION.serverIdentifier] = '10.86.0.1';
          const clientIp = ciaddr === null ? 0 : address(`10.86.0.${ciaddr}`);
          const answer = client.send(type, { clientIp }, options);
          for (const [ip, owner] of owners) {
            const gone = type === 'release' ? clientIp === ip : type === 'decline';
            if (owner.client === number && gone) owners.delete(ip);
          }
          if (answer === null || answer.yourIp === 0) continue;
          const owner = owners.get(answer.yourIp);
          expect(owner === undefined || owner.client === number || owner.untilMs <= nowMs).toBe(true);
          if (answer.type === 'ack') owners.set(answer.yourIp, { client: number, untilMs: nowMs + HOUR_MS });
        }
      }),
    );
  });
});
