/** Graphs in a runtime: their sessions, which graphs that share a model share too, and the numbers in which these graphs differ. */
import type { GraphEntry, ModelUse, SharedGraphs } from '../artifacts/index.js';
import { float32 } from '../files/tensor.js';
import { encodeModel } from '../onnx/encode.js';
import type { OnnxModel } from '../onnx/model.js';
import type { DeviceTensor, Runtime, Session, SessionOptions } from '../runtime/runtime.js';

type Tensors = ReadonlyMap<string, DeviceTensor>;

/** A graph that can be run. */
export class LoadedGraph {
  constructor(
    readonly entry: GraphEntry,
    /** It may run other graphs too. */
    readonly session: Session,
    private readonly names: ReadonlyMap<string, string>,
    private readonly numbers: Tensors,
  ) {}

  /** As `Session.run`, under the names that the graph itself has. */
  async run(feeds: Tensors, into: Tensors, wanted: readonly string[]): Promise<Map<string, DeviceTensor>> {
    const found = await this.session.run(
      new Map([...this.renamed(feeds), ...this.numbers]),
      this.renamed(into),
      wanted.map((name) => this.names.get(name)!),
    );
    return new Map(wanted.map((name) => [name, found.get(this.names.get(name)!)!]));
  }

  private renamed(tensors: Tensors): Map<string, DeviceTensor> {
    return new Map([...tensors].map(([name, tensor]) => [this.names.get(name)!, tensor]));
  }
}

/** All that graphs hold in a runtime. */
export class LoadedGraphs {
  private readonly numbers = new Map<number, DeviceTensor>();

  private constructor(
    private readonly runtime: Runtime,
    private readonly uses: SharedGraphs['uses'],
    private readonly sessions: ReadonlyMap<OnnxModel, Session>,
  ) {}

  /** @param options of each session, given the first graph that it runs */
  static async load(
    runtime: Runtime,
    uses: SharedGraphs['uses'],
    entries: readonly GraphEntry[],
    options: (entry: GraphEntry) => SessionOptions,
  ): Promise<LoadedGraphs> {
    const firsts = new Map<OnnxModel, GraphEntry>();
    for (const entry of entries) {
      const { model } = uses.get(entry.file)!;
      if (!firsts.has(model)) firsts.set(model, entry);
    }
    const sessions = await allOrNone(
      [...firsts].map(async ([model, entry]) => {
        const session = await runtime.createSession(encodeModel(model), options(entry));
        return { model, session, dispose: () => session.dispose() };
      }),
    );
    return new LoadedGraphs(runtime, uses, new Map(sessions.map(({ model, session }) => [model, session])));
  }

  graph(entry: GraphEntry): LoadedGraph {
    const { model, names, numbers }: ModelUse = this.uses.get(entry.file)!;
    const tensors = new Map([...numbers].map(([name, value]) => [name, this.number(value)]));
    return new LoadedGraph(entry, this.sessions.get(model)!, names, tensors);
  }

  dispose(): void {
    for (const session of this.sessions.values()) session.dispose();
    for (const tensor of this.numbers.values()) tensor.dispose();
  }

  private number(value: number): DeviceTensor {
    const tensor = this.numbers.get(value) ?? this.runtime.upload(float32([], [value]));
    this.numbers.set(value, tensor);
    return tensor;
  }
}

/** Waits for all; where one fails, disposes the others and throws why. */
async function allOrNone<T extends { readonly dispose: () => void }>(pending: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(pending);
  const made = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = settled.find((result) => result.status === 'rejected');
  if (!failed) return made;
  for (const { dispose } of made) dispose();
  throw failed.reason;
}
