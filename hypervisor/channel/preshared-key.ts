/**
 * TLS settings for two ends that share a 32-byte key and nothing else: no certificates, no names.
 *
 * TLS 1.3 with an external pre-shared key and a fresh Diffie-Hellman exchange (psk_dhe_ke): each end proves
 * that it has the key by its binder or Finished message, and recorded traffic stays secret if the key leaks
 * later. One version and one cipher suite on both ends, so there is nothing to negotiate down to.
 * Source: RFC 8446, sections 2.2, 4.2.9 and 4.2.11.
 */
import type { ConnectionOptions, PeerCertificate, TlsOptions } from 'node:tls';

const IDENTITY = 'ft86-channel-1';
/** An external key is used with the hash of the suite, SHA-256 unless agreed otherwise (section 4.2.11). */
const CIPHER_SUITE = 'TLS_AES_128_GCM_SHA256';
const VERSION = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: CIPHER_SUITE } as const;
/** A client that does not finish its handshake by then is dropped. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

export function serverTlsOptions(key: Uint8Array): TlsOptions {
  return {
    ...VERSION,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    pskCallback: (_socket, identity) => (identity === IDENTITY ? key : null),
  };
}

export function clientTlsOptions(key: Uint8Array): ConnectionOptions {
  return {
    ...VERSION,
    pskCallback: () => ({ psk: key, identity: IDENTITY }),
    // Called only when the server showed a certificate instead of the key: whoever signed it, it is not our peer.
    checkServerIdentity: (_host: string, certificate: PeerCertificate | undefined) =>
      certificate !== undefined && Object.keys(certificate).length > 0
        ? new Error('the server showed a certificate instead of the key')
        : undefined,
  };
}
