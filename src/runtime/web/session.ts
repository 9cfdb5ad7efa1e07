/** A graph loaded into onnxruntime-web, and its runs. */
import { RunError, UsageError } from '../../errors.js';
import { type DType, elementCount } from '../../files/tensor.js';
import { bindRun, type BoundRun, type Signature } from '../binding.js';
import { arrays, describe } from '../layout.js';
import type { DeviceTensor, Session } from '../runtime.js';
import type { Ort, OrtData, OrtSession, OrtTensor } from './ort.js';
import { type TensorOwner, WebTensor } from './tensor.js';

/** What a session needs of the runtime that it belongs to. */
export interface SessionOwner {
  readonly ort: Ort;
  readonly tensors: TensorOwner;
  /** Calls of ONNX Runtime, one after another. */
  readonly inTurn: <T>(call: () => Promise<T>) => Promise<T>;
  /** To be called when the session is released: when it is disposed, or when its last run has ended thereafter. */
  closed(): void;
}

const NOTHING: ReadonlyMap<string, DeviceTensor> = new Map();

export class WebSession implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly #owner: SessionOwner;
  readonly #signature: Signature<WebTensor>;
  #session: OrtSession | undefined;
  #runs = 0;

  constructor(
    owner: SessionOwner,
    session: OrtSession,
    readonly name: string,
  ) {
    this.#owner = owner;
    this.#session = session;
    this.inputs = [...session.inputNames];
    this.outputs = [...session.outputNames];
    this.#signature = {
      session: name,
      device: owner.tensors.device,
      inputs: new Set(this.inputs),
      outputs: new Set(this.outputs),
      kind: 'web',
      isOwn: (tensor) => tensor instanceof WebTensor,
    };
  }

  async run(
    feeds: ReadonlyMap<string, DeviceTensor>,
    into: ReadonlyMap<string, DeviceTensor> = NOTHING,
    wanted: readonly string[] = this.outputs,
  ): Promise<Map<string, DeviceTensor>> {
    const session = this.#session;
    if (!session) throw new UsageError('RUNTIME_DISPOSED', `session '${this.name}' was used after it was disposed`);
    const bound = bindRun(this.#signature, feeds, into, wanted);
    const giveBack = lend(bound);
    this.#runs++;
    try {
      return this.#results(bound, await this.#execute(session, bound));
    } finally {
      giveBack();
      this.#runs--;
      if (!this.#session && this.#runs === 0) this.#release(session);
    }
  }

  dispose(): void {
    const session = this.#session;
    if (!session) return;
    this.#session = undefined;
    if (this.#runs === 0) this.#release(session);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #execute(
    session: OrtSession,
    { inputs, outputs }: BoundRun<WebTensor>,
  ): Promise<Readonly<Record<string, OrtTensor>>> {
    const { ort, inTurn } = this.#owner;
    try {
      // Taken now: a tensor may be disposed of before its turn comes.
      const feeds = Object.fromEntries(
        inputs.map(({ dtype, data, shape }, i) => [this.inputs[i]!, new ort.Tensor(dtype, data as never, shape)]),
      );
      return await inTurn(async () => session.run(feeds as Record<string, never>, outputs));
    } catch (cause) {
      throw new RunError('RUN_FAILED', `session '${this.name}': ${messageOf(cause)}`, { cause });
    }
  }

  #results(
    { outputs, targets }: BoundRun<WebTensor>,
    made: Readonly<Record<string, OrtTensor>>,
  ): Map<string, DeviceTensor> {
    const checked = outputs.map((name, i) => this.#checked(name, made[name]!, targets[i]));
    return new Map(
      outputs.map((name, i) => {
        const { dtype, shape, data } = checked[i]!;
        const target = targets[i];
        target?.replace(data);
        return [name, target ?? new WebTensor(this.#owner.tensors, dtype, shape, data)];
      }),
    );
  }

  #checked(
    name: string,
    { type, dims, data }: OrtTensor,
    target: WebTensor | undefined,
  ): { readonly dtype: DType; readonly shape: readonly number[]; readonly data: OrtData } {
    if (!Object.hasOwn(arrays, type)) {
      throw new RunError(
        'OUTPUT_TYPE',
        `session '${this.name}': output '${name}' is no tensor of a type that hpff moves`,
      );
    }
    const [dtype, shape] = [type as DType, [...dims]];
    if (target && (target.dtype !== dtype || elementCount(target.shape) !== elementCount(shape))) {
      throw new RunError(
        'RUN_FAILED',
        `session '${this.name}': output '${name}' is ${describe(dtype, shape)}, to be written into ${describe(target.dtype, target.shape)}`,
      );
    }
    return { dtype, shape, data: data as OrtData };
  }

  /** Nobody can be told of a failure here. */
  #release(session: OrtSession): void {
    this.#owner.closed();
    this.#owner.inTurn(async () => session.release()).catch(() => undefined);
  }
}

/** Holds every tensor for one run, or none if one of them cannot be had. @returns what gives them back */
function lend({ inputs, targets }: BoundRun<WebTensor>): () => void {
  const held: (() => void)[] = [];
  const giveBack = (): void => held.forEach((release) => release());
  const written = new Set(targets);
  try {
    for (const target of targets) if (target) held.push(target.lendForWriting());
    for (const input of new Set(inputs)) if (!written.has(input)) held.push(input.lendForReading());
  } catch (error) {
    giveBack();
    throw error;
  }
  return giveBack;
}

/** One line. */
export function messageOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/\s*\n\s*/g, ' ');
}
