/** `ft86 switch`: the virtual network that outlives replicas. */
import type { Argv, CommandModule } from 'yargs';
import { openKey } from '../replica/surroundings.js';
import { runSwitch } from '../switch/switch-process.js';
import { printJson, say, withJson } from './common.js';
import { serverStop, tellParent } from './server-stop.js';

interface SwitchArguments {
  readonly listen: readonly string[];
  readonly uplink: readonly string[];
  readonly key: string | undefined;
  readonly pcap: string | undefined;
  readonly json: boolean;
}

const options = (argv: Argv) =>
  withJson(argv)
    .option('listen', {
      type: 'string',
      array: true,
      default: ['tcp://127.0.0.1:8610'],
      describe: 'where ports connect: tcp://HOST:PORT or unix:PATH',
    })
    .option('uplink', {
      type: 'string',
      array: true,
      default: [],
      describe:
        'host[:udp=HOSTPORT:GUESTIP:GUESTPORT][,tftp=DIR][,bootfile=NAME]: a virtual host that gives addresses by DHCP, with UDP ports of this machine forwarded; passt[:tcp=HOSTPORT:GUESTPORT][,udp=HOSTPORT:GUESTPORT]: this machine’s network through passt; tap:NAME: an interface of this machine, for root; dgram:LOCAL,REMOTE: frames as datagrams between two UDP addresses of this machine, e.g. to QEMU’s -netdev dgram',
    })
    .option('key', { type: 'string', describe: 'key file; without it ports are on loopback or UNIX sockets only' })
    .option('pcap', { type: 'string', describe: 'write all frames to this file, for Wireshark, tshark or tcpdump' })
    .example(
      '$0 switch --uplink host:udp=7000:10.86.0.2:7',
      'datagrams to 127.0.0.1:7000 reach the guest’s echo server',
    )
    .example('$0 switch --uplink passt:tcp=8080:80', 'http://127.0.0.1:8080/ is the guest’s web server')
    .example('$0 switch --uplink tap:ft0', 'the interface ft0 is on the guests’ network (root)')
    .example('$0 switch --uplink dgram:127.0.0.1:7001,127.0.0.1:7002', 'a QEMU guest is on the same network')
    .example(
      '$0 switch --uplink host:tftp=boot,bootfile=start.ipxe',
      'guests boot from files of the folder boot',
    ) as unknown as Argv<SwitchArguments>;

export const switchCommand: CommandModule<object, SwitchArguments> = {
  command: 'switch',
  describe: 'run the virtual network',
  builder: options,
  handler: async (args) => {
    const result = await runSwitch(
      {
        listen: args.listen,
        uplinks: args.uplink,
        key: openKey(args.key),
        pcap: args.pcap ?? null,
        onReady: (ready) => {
          if (tellParent(ready)) return;
          for (const address of ready.listen) say(`ft86: the switch listens at ${address}`);
          for (const forward of ready.forwards) {
            say(
              `ft86: ${forward.protocol} ${forward.host}:${forward.port} goes to ${forward.guestIp}:${forward.guestPort}`,
            );
          }
        },
        log: process.send === undefined ? say : () => undefined,
      },
      serverStop(),
    );
    if (args.json) printJson(result);
    if (process.connected) process.disconnect();
  },
};
