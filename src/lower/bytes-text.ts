/** Bytes as text, to compare them by. */

const decoder = new TextDecoder('latin1');

/** A text that other bytes do not give: Latin-1 has a character of its own for each. */
export const bytesText = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  decoder.decode(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
