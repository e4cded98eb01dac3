/**
 * The disk server: raw files as NBD exports. It outlives replicas.
 *
 *   clients -> listeners -> NbdConnection -> ExportFile
 */
import { createServer, type Server, type Socket } from 'node:net';
import { basename } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';
import { formatAddress, parseAddress, requireLocalWithoutKey } from '../../hypervisor/channel/address.js';
import { bindServer, peerName } from '../../hypervisor/channel/bind-server.js';
import { noCounters, type DiskServerCounters } from './counters.js';
import { EpochKeeper } from './epoch-keeper.js';
import { ExportFile } from './export-file.js';
import { NbdConnection, type NbdHost } from './nbd-connection.js';

const CONNECTIONS_MAX = 64;
const KEEP_ALIVE_MS = 10_000;
const EXPORTS_MAX = 256;
const JSON_VERSION = 1;
const NAME_PATTERN = /^[^\s=/,]{1,255}$/;

export interface DiskServerOptions {
  /** `FILE` or `NAME=FILE`; the first is the default export. */
  readonly files: readonly string[];
  readonly readonly: boolean;
  /** Where the epochs that pairs have won are kept; undefined: next to the first file, FILE.epochs. */
  readonly epochs: string | undefined;
  /** Addresses: `tcp://HOST:PORT` (0: any free port) or `unix:PATH`; at least one. */
  readonly listen: readonly string[];
  readonly key: Uint8Array | null;
  /** Told once, when everything is bound. */
  readonly onReady: (ready: DiskServerReady) => void;
  /** One line about a client that came, or was closed. */
  readonly log: (message: string) => void;
}

export interface DiskServerReady {
  readonly version: number;
  readonly listen: readonly string[];
  readonly exports: readonly { readonly name: string; readonly bytes: number }[];
}

/** The JSON result. */
export interface DiskServerResult extends DiskServerCounters {
  readonly version: number;
  readonly stop: 'stopped';
  readonly seconds: number;
}

/**
 * Serve until `signal` is aborted (the command aborts it on SIGTERM and SIGINT); then finish what is pending.
 * @throws ConfigError when an option is malformed, or an address needs a key
 * @throws ReplicaError naming the address that cannot be bound
 */
export async function runDiskServer(options: DiskServerOptions, signal: AbortSignal): Promise<DiskServerResult> {
  const start = performance.now();
  const counters = noCounters();
  const exports: ExportFile[] = [];
  const servers: Server[] = [];
  const connections = new Set<NbdConnection>();
  try {
    for (const [name, path] of namedFiles(options.files)) {
      exports.push(await ExportFile.open(name, path, options.readonly));
    }
    const host: NbdHost = {
      exports,
      key: options.key,
      counters,
      log: options.log,
      epochs: new EpochKeeper(epochsDirectory(options)),
    };
    const bound: string[] = [];
    for (const text of options.listen) {
      const { server, address } = await listenAt(text, host, connections);
      servers.push(server);
      bound.push(address);
    }
    options.onReady({
      version: JSON_VERSION,
      listen: bound,
      exports: exports.map(({ name, bytes }) => ({ name, bytes })),
    });
    await aborted(signal);
  } finally {
    for (const server of servers) server.close();
    for (const connection of connections) connection.end();
    await Promise.all([...connections].map((connection) => connection.closed));
    for (const file of exports) await file.close();
  }
  return { version: JSON_VERSION, stop: 'stopped', seconds: (performance.now() - start) / 1000, ...counters };
}

function epochsDirectory({ epochs, files }: DiskServerOptions): string {
  const first = files[0] ?? '';
  return epochs ?? `${first.slice(first.indexOf('=') + 1)}.epochs`;
}

/** Name and path of each export. @throws ConfigError */
function namedFiles(files: readonly string[]): Map<string, string> {
  const named = new Map<string, string>();
  if (files.length > EXPORTS_MAX)
    throw new ConfigError('disk-server', `${files.length} files`, `at most ${EXPORTS_MAX}`);
  for (const text of files) {
    const at = text.indexOf('=');
    const [name, path] = at < 0 ? [basename(text), text] : [text.slice(0, at), text.slice(at + 1)];
    if (!NAME_PATTERN.test(name) || path === '') {
      throw new ConfigError('disk-server', text, 'must be FILE or NAME=FILE; a name has no blanks, commas and slashes');
    }
    if (named.has(name))
      throw new ConfigError('disk-server', text, `there is an export "${name}" already; use NAME=FILE`);
    named.set(name, path);
  }
  return named;
}

async function listenAt(
  text: string,
  host: NbdHost,
  connections: Set<NbdConnection>,
): Promise<{ readonly server: Server; readonly address: string }> {
  const address = parseAddress('--listen', text);
  requireLocalWithoutKey('--listen', text, address, host.key);
  const server = createServer((socket: Socket) => {
    socket.setNoDelay(true);
    // A client whose host has gone is not kept for ever.
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    host.counters.connections++;
    const connection = new NbdConnection(socket, peerName(socket, address), host);
    connections.add(connection);
    void connection.closed.then(() => connections.delete(connection));
  });
  server.maxConnections = CONNECTIONS_MAX;
  return { server, address: formatAddress(await bindServer(server, address)) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}
