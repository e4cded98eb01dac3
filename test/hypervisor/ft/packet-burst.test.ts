/**
 * Goal: packets that arrive together share one log frame and one interrupt, their answers few frames, and each costs the log its length and 8 bytes at
 * most; those that nobody answers are with the backup in 5 ms.
 * Method: the guest `echo` with either card under a live replica with the product's recorder; a burst is handed in between two steps, and the
 * frames are decoded, and executed by a backup whose machine counts its runs. Measured: 2 bytes for a packet of up to 127 bytes, 3 for others, 1 for
 * the interrupt.
 */
import { describe, expect, test } from '@jest/globals';
import { BackupReplica } from '../../../hypervisor/ft/backup-replica.js';
import { ClockPolicy } from '../../../hypervisor/ft/clock-policy.js';
import { LiveReplica, type LiveStep } from '../../../hypervisor/ft/live-replica.js';
import { OutputGate } from '../../../hypervisor/ft/output-gate.js';
import type { Entry } from '../../../hypervisor/log/entry.js';
import { FrameWriter, decodeFrame } from '../../../hypervisor/log/frame.js';
import type { Machine } from '../../../hypervisor/machine/machine.js';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import { VirtualHost } from '../../../hypervisor/network/virtual-host.js';
import { planMachine } from '../../../tools/replica/machine-options.js';
import { powerOn } from '../../../tools/replica/power-on.js';

const GUEST = { ip: parseIpv4('ip', '10.86.0.2'), port: 7 };
const STEPS_MAX = 10_000;
const BURST = 16;

interface Logged {
  readonly frame: number;
  readonly entry: Entry;
  readonly bytes: number;
}

class Rig {
  readonly log: Logged[] = [];
  readonly backup: BackupReplica;
  /** Runs of the backup's machine. */
  runs = 0;
  readonly host: VirtualHost;
  replies = 0;
  #frames = 0;
  #nowNs = 0;
  readonly #live: LiveReplica;

  private constructor(machine: Machine, backup: Machine) {
    this.backup = new BackupReplica({ machine: backup, firstSeq: 0, console: { offset: 0, bytes: new Uint8Array(0) } });
    const run = backup.run.bind(backup);
    backup.run = (...given) => {
      this.runs++;
      return run(...given);
    };
    this.#live = new LiveReplica({
      machine,
      ...{ clock: new ClockPolicy('icount'), gate: new OutputGate(true), writer: new FrameWriter() },
      host: {
        drives: [],
        submitDisk: () => undefined,
        console: () => undefined,
        sendPacket: (_nic, data) => {
          this.host.receive(data, this.#nowNs / 1e6);
        },
        frame: (bytes) => {
          const { entries, sizes } = decodeFrame(bytes, null);
          this.log.push(...entries.map((entry, i) => ({ frame: this.#frames, entry, bytes: sizes[i]! })));
          this.#frames++;
          this.backup.receive(bytes);
          while (this.backup.step(Infinity) === 'running');
        },
      },
      ...{ until: Infinity, digestNs: Infinity, consoleOffset: 0, onSnapshot: () => undefined },
    });
    this.#live.startLogging();
    this.host = new VirtualHost({
      ...{ mac: Uint8Array.of(2, 0x86, 0, 0, 0, 1), ip: parseIpv4('ip', '10.86.0.1'), prefixBits: 24 },
      transmit: (frame) => {
        this.#live.input({ kind: 'packet', nic: 0, data: frame });
      },
      onUdp: () => this.replies++,
    });
  }

  /** The guest waits, and host and guest know each other. */
  static async ready(model: string): Promise<Rig> {
    const options = { fwCfg: [], optionRom: [], memory: '8M', append: undefined, module: [], format: undefined };
    const more = {
      drive: [],
      net: [`switch=unix:none,model=${model}`],
      clock: 'icount',
      rtc: undefined,
      until: undefined,
    };
    const plan = await planMachine({ image: 'echo', ...options, ...more }, null, null);
    const rig = new Rig(powerOn(plan), powerOn(plan));
    for (let i = 0; i < 50; i++) rig.step();
    rig.send([10]);
    rig.until(1);
    return rig;
  }

  get nowNs(): number {
    return this.#nowNs;
  }

  step(): LiveStep {
    this.#nowNs += 1e6;
    return this.#live.step(this.#nowNs);
  }

  until(replies: number): void {
    for (let i = 0; this.replies < replies; i++) {
      if (i === STEPS_MAX) throw new Error(`${this.replies} replies of ${replies}`);
      this.step();
    }
  }

  send(sizes: readonly number[], port = GUEST.port): void {
    for (const bytes of sizes)
      this.host.sendUdp(9, { ...GUEST, port }, new Uint8Array(bytes).fill(bytes), this.#nowNs / 1e6);
  }
}

describe.each(['virtio', 'ne2k'])('a burst of packets for %s', (model) => {
  test('is one frame and one interrupt, few runs of the backup, and each packet costs its length and 8 bytes at most', async () => {
    const rig = await Rig.ready(model);
    const sizes = Array.from({ length: BURST }, (_, i) => 18 + i * 20);
    const [before, replies, runs] = [rig.log.length, rig.replies, rig.runs];
    rig.send(sizes);
    rig.until(replies + BURST);
    const log = rig.log.slice(before);
    const packets = log.filter(({ entry }) => entry.kind === 'packet');
    expect(packets).toHaveLength(BURST);
    expect(new Set(packets.map(({ frame }) => frame)).size).toBe(1);
    expect(new Set(packets.map(({ entry }) => entry.at)).size).toBe(1);
    for (const { entry, bytes } of packets) {
      if (entry.kind === 'packet') expect(bytes - entry.data.length).toBeLessThanOrEqual(8);
    }
    expect(log.filter(({ entry }) => entry.kind === 'interrupt')).toHaveLength(1);
    const outputs = log.filter(({ entry }) => entry.kind === 'output');
    expect(outputs).toHaveLength(BURST);
    expect(new Set(outputs.map(({ frame }) => frame)).size).toBeLessThanOrEqual(BURST / 4);
    // Clock entries of the card's or the guest's own pace are not the burst's.
    const acting = log.filter(({ entry }) => !['output', 'mark', 'packet'].includes(entry.kind));
    expect(rig.runs - runs).toBeLessThanOrEqual(2 * acting.length + new Set(log.map(({ frame }) => frame)).size);
    expect(rig.backup.executedSeq).toBe(rig.backup.receivedSeq);
  });

  test('that nobody answers waits for others, and a guest that sleeps asks to be stepped again when its time has come', async () => {
    const rig = await Rig.ready(model);
    const packets = (): number => rig.log.filter(({ entry }) => entry.kind === 'packet').length;
    rig.send([10]);
    rig.until(rig.replies + 1);
    const [before, frameNs] = [packets(), rig.nowNs];
    for (let i = 1; i < 5; i++) {
      rig.send([10 + i], GUEST.port + 1);
      const step = rig.step();
      expect(step.kind === 'idle' ? step.untilNs : frameNs).toBeLessThanOrEqual(frameNs + 5e6);
      expect(packets()).toBe(before);
    }
    rig.step();
    expect(packets()).toBe(before + 4);
    expect(rig.backup.executedSeq).toBe(rig.backup.receivedSeq);
  });
});
