/** Graphs in a runtime: their sessions, which graphs that share a model share too, and the numbers in which these graphs differ. */
import type { GraphEntry, SharedGraphs } from '../artifacts/index.js';
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

/** Graphs with all that they hold in a runtime. The models are not kept. */
export class LoadedGraphs {
  private constructor(
    /** In the order of the entries that were loaded. */
    readonly graphs: readonly LoadedGraph[],
    private readonly owned: readonly { dispose(): void }[],
  ) {}

  get byFile(): ReadonlyMap<string, LoadedGraph> {
    return new Map(this.graphs.map((graph) => [graph.entry.file, graph]));
  }

  /** @param options of each session, given the first graph that it runs */
  static async load(
    runtime: Runtime,
    uses: SharedGraphs['uses'],
    entries: readonly GraphEntry[],
    options: (entry: GraphEntry) => SessionOptions,
  ): Promise<LoadedGraphs> {
    const sessions = await loadModels(runtime, uses, entries, options);
    const numbers = new Map<number, DeviceTensor>();
    const owned = (): { dispose(): void }[] => [...sessions.values(), ...numbers.values()];
    const upload = (value: number): DeviceTensor => {
      const tensor = numbers.get(value) ?? runtime.upload(float32([], [value]));
      numbers.set(value, tensor);
      return tensor;
    };
    try {
      const graphs = entries.map((entry) => {
        const { model, names, numbers: own } = uses.get(entry.file)!;
        const tensors = new Map([...own].map(([name, value]) => [name, upload(value)]));
        return new LoadedGraph(entry, sessions.get(model)!, names, tensors);
      });
      return new LoadedGraphs(graphs, owned());
    } catch (error) {
      for (const each of owned()) each.dispose();
      throw error;
    }
  }

  dispose(): void {
    for (const each of this.owned) each.dispose();
  }
}

/** A session for each model; all or none. */
async function loadModels(
  runtime: Runtime,
  uses: SharedGraphs['uses'],
  entries: readonly GraphEntry[],
  options: (entry: GraphEntry) => SessionOptions,
): Promise<Map<OnnxModel, Session>> {
  const firsts = new Map<OnnxModel, GraphEntry>();
  for (const entry of entries) {
    const { model } = uses.get(entry.file)!;
    if (!firsts.has(model)) firsts.set(model, entry);
  }
  const settled = await Promise.allSettled(
    [...firsts].map(async ([model, entry]) => runtime.createSession(encodeModel(model), options(entry))),
  );
  const made = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = settled.find((result) => result.status === 'rejected');
  if (!failed) return new Map([...firsts.keys()].map((model, i) => [model, made[i]!]));
  for (const session of made) session.dispose();
  throw failed.reason;
}
