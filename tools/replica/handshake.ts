/** What two replicas tell each other before the first entry, and why one refuses the other. */
import { ENGINE_VERSION } from '../../emulator/vcpu.js';
import { ConfigError, DecodeError } from '../../emulator/errors.js';
import { CHANNEL_PROTOCOL, decodeMessage, type Hello } from '../../hypervisor/channel/messages.js';
import type { Resume } from '../../hypervisor/channel/resume-messages.js';
import { decodeHeader, encodeHeader, type LogHeader } from '../../hypervisor/log/header.js';
import { machineConfigSchema, type MachineConfig } from '../../hypervisor/machine/machine-config.js';
import { FT86_VERSION } from '../version.js';

/** The log header of this build for a machine. */
export function logHeader(config: MachineConfig, firstSeq: number, firstIcount: number): LogHeader {
  const { image, imageSha256, ...machine } = config;
  return {
    ft86Version: FT86_VERSION,
    engine: 'unicorn',
    engineVersion: ENGINE_VERSION,
    arch: process.arch,
    image,
    imageSha256,
    machine,
    firstSeq,
    firstIcount,
  };
}

export function machineHeader(config: MachineConfig, firstSeq: number, firstIcount: number): Uint8Array {
  return encodeHeader(logHeader(config, firstSeq, firstIcount));
}

/** The machine that a header describes. @throws ConfigError when it is not one this build can be, DecodeError on damage */
export function configOfHeader(bytes: Uint8Array): MachineConfig {
  const header = decodeHeader(bytes);
  const own = { ft86Version: FT86_VERSION, engine: 'unicorn', engineVersion: ENGINE_VERSION, arch: process.arch };
  for (const field of ['ft86Version', 'engine', 'engineVersion', 'arch'] as const) {
    if (header[field] !== own[field]) {
      throw new ConfigError(field, header[field], `the primary has it, this replica has ${own[field]}`);
    }
  }
  const parsed = machineConfigSchema.safeParse({
    ...header.machine,
    image: header.image,
    imageSha256: header.imageSha256,
  });
  if (!parsed.success) throw new DecodeError('bad-header', 0, `machine configuration: ${parsed.error.message}`);
  return parsed.data;
}

/** Examine a connection's first message: what a joiner or a backup says first, or the reason to refuse it. */
export function refusesFirst(bytes: Uint8Array): string | Hello | Resume {
  try {
    const message = decodeMessage(bytes);
    if (message.type === 'hello') return refusesHello(message.hello);
    if (message.type === 'resume') return refusesProtocol(message.resume) ?? message.resume;
    return `a joining backup says hello first, not ${message.type}`;
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}

function refusesProtocol({ protocol }: { readonly protocol: number }): string | null {
  return protocol === CHANNEL_PROTOCOL ? null : `protocol: the backup has ${protocol}, the primary ${CHANNEL_PROTOCOL}`;
}

function refusesHello(hello: Hello): string | Hello {
  const refusal = refusesProtocol(hello);
  if (refusal !== null) return refusal;
  if (hello.engine !== ENGINE_VERSION)
    return `engineVersion: the backup has ${hello.engine}, the primary ${ENGINE_VERSION}`;
  if (hello.arch !== process.arch) return `arch: the backup has ${hello.arch}, the primary ${process.arch}`;
  return hello;
}

/** The first message of a joiner. */
export function ownHello(replicaId: string): Hello {
  return { protocol: CHANNEL_PROTOCOL, replicaId, engine: ENGINE_VERSION, arch: process.arch };
}
