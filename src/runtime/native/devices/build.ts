/** What ONNX Runtime's library was built with. */
import koffi from 'koffi';
import { check, obtain, readString } from '../calls.js';
import type { Pointer } from '../functions.js';
import type { OrtLibrary } from '../library.js';

/** Its execution providers, e.g. `CPUExecutionProvider`. Those in libraries of their own are named whether or not these are there. */
export function providersOf({ api }: OrtLibrary): string[] {
  const count = new Int32Array(1);
  const strings = obtain(api, (out) => api.GetAvailableProviders(out, count));
  const length = count[0] ?? 0;
  const addresses = koffi.decode(strings, 'void *', length) as Pointer[];
  const names = addresses.map(readString);
  check(api, api.ReleaseAvailableProviders(strings, length));
  return names;
}
