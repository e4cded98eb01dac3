/** Edge: compares two files byte by byte. */
import { open } from 'node:fs/promises';

const PIECE_BYTES = 1 << 20;

export async function sameContent(pathA: string, pathB: string): Promise<boolean> {
  await using a = await open(pathA, 'r');
  await using b = await open(pathB, 'r');
  const [pieceA, pieceB] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)];
  for (let at = 0; ; at += PIECE_BYTES) {
    const [readA, readB] = await Promise.all([a.read(pieceA, 0, PIECE_BYTES, at), b.read(pieceB, 0, PIECE_BYTES, at)]);
    if (readA.bytesRead !== readB.bytesRead) return false;
    if (readA.bytesRead === 0) return true;
    if (Buffer.compare(pieceA.subarray(0, readA.bytesRead), pieceB.subarray(0, readB.bytesRead)) !== 0) return false;
  }
}
