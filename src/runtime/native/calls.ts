/** Calling the C API: failures as exceptions, results through out-parameters. */
import koffi from 'koffi';
import type { OrtFunctions, Pointer } from './functions.js';

/** A call that ONNX Runtime refused. Callers turn it into an error that says what was being done. */
export class OrtFailure extends Error {
  override readonly name = 'OrtFailure';

  /** @param code an `OrtErrorCode` */
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** Throws the failure that a status stands for, and releases it; null is success. */
export function check(api: OrtFunctions, status: Pointer | null): void {
  if (status === null) return;
  const failure = new OrtFailure(api.GetErrorCode(status), readable(api.GetErrorMessage(status)));
  api.ReleaseStatus(status);
  throw failure;
}

/** The out-parameter of a synchronous call. One array serves all: nothing else runs before it is read. */
const out = new BigUint64Array(1);

/** The pointer or count that a call puts into its out-parameter. */
export function obtain(api: OrtFunctions, call: (out: BigUint64Array) => Pointer | null): Pointer {
  out[0] = 0n;
  check(api, call(out));
  return out[0];
}

/**
 * Runs `call` on one of libuv's threads.
 * @param memory what the call reads and fills; kept from the collector until it has returned
 */
export async function inBackground(
  api: OrtFunctions,
  memory: readonly NodeJS.ArrayBufferView[],
  call: (done: (error: Error | null, status: Pointer | null) => void) => void,
): Promise<void> {
  const status = await new Promise<Pointer | null>((resolve, reject) => {
    call((error, result) => {
      void memory;
      if (error) reject(error);
      else resolve(result);
    });
  });
  check(api, status);
}

/** A NUL-terminated string in native memory. */
export function readString(address: Pointer): string {
  return koffi.decode.string(address);
}

/** NUL-terminated copies of strings, and the address of each; valid as long as `memory` is alive. */
export function cStrings(texts: readonly string[]): { memory: Buffer; addresses: Pointer[] } {
  const encoded = texts.map((text) => Buffer.from(`${text}\0`));
  const memory = Buffer.concat(encoded);
  const start = memory.length === 0 ? 0n : koffi.address(memory);
  let offset = 0;
  const addresses = encoded.map((text) => {
    const address = start + BigInt(offset);
    offset += text.length;
    return address;
  });
  return { memory, addresses };
}

/** A message of ONNX Runtime as one line, without the places in its sources that it names. */
function readable(message: string): string {
  return message
    .replace(/\s+/g, ' ')
    .replace(/\S+\.(?:cc|h):\d+ .*?\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : /g, '')
    .replace(/\S+\.(?:cc|h):\d+ /g, '')
    .trim();
}
