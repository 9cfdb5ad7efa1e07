/**
 * The training API of onnxruntime-web 1.19.2, in Node. It sets no learning rate, reads no optimizer state, and writes neither checkpoints nor models.
 *
 * It has a function that reads parameters, `getContiguousParameters`, which must not be called: it frees memory of its stack as if it were of its heap, and what is
 * computed later hangs or is wrong. So parameters come out of a model in the evaluation model's place, which also runs the forward pass by itself.
 */
import { RunError } from '../../errors.js';
import { elementCount, float32, type HostTensor, type NamedTensors } from '../../files/tensor.js';
import { trainingRuntime } from '../../lower/index.js';
import type { SessionFiles, TrainingLibrary, TrainingSession } from './session.js';
import { loadWebApi, type WebApi, type WebTensor, type WebTensors, type WebTrainingSession } from './web-api.js';

/** 3: errors only. ONNX Runtime warns of shapes of its own optimizers. */
const sessionOptions = { logSeverityLevel: 3 };

/** @throws InputError `TRAINING_PACKAGE` */
export function openWebTraining(): TrainingLibrary {
  const api = loadWebApi();
  api.env.logLevel = 'error';
  // Its threads are workers that keep a process alive.
  api.env.wasm.numThreads = 1;
  return {
    name: `onnxruntime-web ${trainingRuntime} (WebAssembly, one thread)`,
    version: `${trainingRuntime} (WebAssembly)`,
    threads: 1,
    complete: false,
    createSession: async (files) => WebSession.create(api, files),
    dispose: () => {},
  };
}

class WebSession implements TrainingSession {
  /** What the probe model was given last, to run it again. */
  private given: NamedTensors = new Map();

  private constructor(
    private readonly api: WebApi,
    private readonly files: Pick<SessionFiles, 'name' | 'tensors'>,
    private readonly session: WebTrainingSession,
  ) {}

  static async create(api: WebApi, files: SessionFiles): Promise<WebSession> {
    const { name, tensors } = files;
    const models = {
      checkpointState: files.checkpoint,
      trainModel: files.trainingModel,
      evalModel: files.probeModel(),
      optimizerModel: files.optimizerModel,
    };
    const session = await attempt(name, 'create a session', async () =>
      api.TrainingSession.create(models, sessionOptions),
    );
    return new WebSession(api, { name, tensors }, session);
  }

  get inputs(): readonly string[] {
    return this.session.trainingInputNames;
  }

  async trainStep(feeds: NamedTensors): Promise<NamedTensors> {
    const given = this.record(this.inputs, feeds);
    return fromWeb(await this.attempt('train', async () => this.session.runTrainStep(given)));
  }

  async optimizerStep(): Promise<void> {
    await this.attempt('update', async () => this.session.runOptimizerStep());
  }

  async lazyResetGrad(): Promise<void> {
    await this.attempt('reset its gradients', async () => this.session.lazyResetGrad());
  }

  async forward(feeds: NamedTensors): Promise<NamedTensors> {
    this.given = feeds;
    return (await this.probe()).made;
  }

  async readTensors(): Promise<NamedTensors> {
    const { held } = await this.probe();
    let at = 0;
    return new Map(
      this.files.tensors.map(({ name, shape }): [string, HostTensor] => {
        const elements = held.slice(at, (at += elementCount(shape)));
        return [name, float32(shape, elements)];
      }),
    );
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }

  /** Its outputs come under the names of the training model's, by their places: the package takes the wrong list. */
  private async probe(): Promise<{ held: Float32Array; made: NamedTensors }> {
    const { evalInputNames, evalOutputNames, trainingOutputNames } = this.session;
    const feeds = this.record(evalInputNames, this.given);
    const found = fromWeb(await this.attempt('run its probe', async () => this.session.runEvalStep(feeds)));
    const [held, ...made] = evalOutputNames.map((name, i) => [name, found.get(trainingOutputNames[i]!)!] as const);
    return { held: held![1].data as Float32Array, made: new Map(made) };
  }

  private record(names: readonly string[], tensors: NamedTensors): WebTensors {
    return Object.fromEntries(
      names.map((name): [string, WebTensor] => {
        const { dtype, data, shape } = tensors.get(name)!;
        return [name, new this.api.Tensor(dtype, data, shape)];
      }),
    );
  }

  private async attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    return attempt(this.files.name, what, work);
  }
}

function fromWeb(tensors: WebTensors): NamedTensors {
  return new Map(
    Object.entries(tensors).map(([name, { type, dims, data }]) => [
      name,
      { dtype: type as HostTensor['dtype'], shape: dims, data: data as Float32Array },
    ]),
  );
}

/** Failures as errors; the build has C++ exceptions that reach JavaScript as bare numbers. */
async function attempt<T>(name: string, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : `it broke off (exception ${String(cause)})`;
    throw new RunError(
      'TRAINING_SESSION',
      `${name}: onnxruntime-web ${trainingRuntime} could not ${what}: ${reason.replace(/\s+/g, ' ')}`,
      { cause },
    );
  }
}
