/**
 * Goal: check sequences and multicast filter bits are those of real networks and drivers.
 * Method: published values, and a bit-by-bit division in the order of the wire.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ethernetCrc, multicastFilterBit } from '../../devices/ethernet-crc.js';

/** Most significant bit first, as the standard writes the division. */
function wireCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const feedback = (crc >>> 31) ^ ((byte >> bit) & 1);
      crc = ((crc << 1) ^ (feedback !== 0 ? 0x04c11db7 : 0)) >>> 0;
    }
  }
  return crc;
}

test('the check value of CRC-32', () => {
  expect(~ethernetCrc(new TextEncoder().encode('123456789')) >>> 0).toBe(0xcbf43926);
});

test('a filter bit is what drivers compute: the top six bits of the CRC in wire order', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (address) => {
      expect(multicastFilterBit(address)).toBe(wireCrc(address) >>> 26);
    }),
  );
});
