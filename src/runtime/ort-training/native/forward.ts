/** An ordinary session of a training library, for forward passes by themselves. */
import type { NamedTensors } from '../../../files/tensor.js';
import { check, cStrings, inBackground, obtain, readString } from '../../native/calls.js';
import type { Pointer } from '../../native/functions.js';
import { background } from '../../native/queue.js';
import type { NativeTrainingApi } from './library.js';
import type { NativeSettings } from './session.js';
import { takeValue, valueOver } from './values.js';

export class ForwardSession {
  private constructor(
    private readonly api: NativeTrainingApi,
    private readonly session: Pointer,
    private readonly inputs: readonly string[],
    private readonly outputs: readonly string[],
  ) {}

  static async create({ api, environment, options }: NativeSettings, model: Uint8Array): Promise<ForwardSession> {
    const { base, calls } = api;
    const out = new BigUint64Array(1);
    await background.add(async () =>
      inBackground(calls, [model, out], (done) =>
        base.CreateSessionFromArray.async(environment, model, model.byteLength, options, out, done),
      ),
    );
    const session = out[0]!;
    const inputs = namesOf(api, session, base.SessionGetInputCount, base.SessionGetInputName);
    const outputs = namesOf(api, session, base.SessionGetOutputCount, base.SessionGetOutputName);
    return new ForwardSession(api, session, inputs, outputs);
  }

  async run(tensors: NamedTensors): Promise<NamedTensors> {
    const { api, session, inputs, outputs } = this;
    const given = inputs.map((name) => tensors.get(name)!);
    const values = given.map((tensor) => valueOver(api, tensor));
    const found = new BigUint64Array(outputs.length);
    const [named, wanted] = [cStrings(inputs), cStrings(outputs)];
    const feeds = BigUint64Array.from(values);
    const names = [BigUint64Array.from(named.addresses), BigUint64Array.from(wanted.addresses)] as const;
    const memory = [...given.map(({ data }) => data), named.memory, wanted.memory, ...names, feeds, found];
    try {
      await background.add(async () =>
        inBackground(api.calls, memory, (done) =>
          api.base.Run.async(session, null, names[0], feeds, feeds.length, names[1], found.length, found, done),
        ),
      );
    } finally {
      for (const value of values) api.base.ReleaseValue(value);
    }
    return new Map(outputs.map((name, i) => [name, takeValue(api, found[i]!)]));
  }

  dispose(): void {
    this.api.base.ReleaseSession(this.session);
  }
}

function namesOf(
  { base, calls }: NativeTrainingApi,
  session: Pointer,
  count: NativeTrainingApi['base']['SessionGetInputCount'],
  name: NativeTrainingApi['base']['SessionGetInputName'],
): string[] {
  const allocator = obtain(calls, (out) => base.GetAllocatorWithDefaultOptions(out));
  return Array.from({ length: Number(obtain(calls, (out) => count(session, out))) }, (_, i) => {
    const address = obtain(calls, (out) => name(session, i, allocator, out));
    const text = readString(address);
    check(calls, base.AllocatorFree(allocator, address));
    return text;
  });
}
