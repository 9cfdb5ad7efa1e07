/** CRC-32C (Castagnoli; RFC 3720, appendix B.4), and its masked form in TFRecord files. */

const REVERSED_POLYNOMIAL = 0x82f63b78;

type Eight<T> = readonly [T, T, T, T, T, T, T, T];

/** `tk[byte]`: what a byte adds to the checksum when k more bytes follow it. Eight such tables take 8 bytes at once. */
const [t0, t1, t2, t3, t4, t5, t6, t7] = makeTables();

function makeTables(): Eight<Uint32Array> {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ REVERSED_POLYNOMIAL : crc >>> 1;
    return crc;
  });
  const all = [first];
  while (all.length < 8) all.push(all.at(-1)!.map((crc) => (crc >>> 8) ^ first[crc & 0xff]!));
  return all as unknown as Eight<Uint32Array>;
}

/** @param previous the checksum of the bytes before these, to go on from */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous >>> 0;
  const whole = bytes.length - (bytes.length % 8);
  let at = 0;
  for (; at < whole; at += 8) {
    const a = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      t7[a & 0xff]! ^
      t6[(a >>> 8) & 0xff]! ^
      t5[(a >>> 16) & 0xff]! ^
      t4[a >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}

/** Rotated and shifted, as TensorFlow stores it: checksums of data that holds checksums stay good. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
