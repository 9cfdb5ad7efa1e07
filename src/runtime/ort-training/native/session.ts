/** A training session of the C API. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RunError } from '../../../errors.js';
import { decodeOrtCheckpoint, type OrtCheckpoint } from '../../../files/ort-checkpoint/index.js';
import { elementCount, float32, type HostTensor, type NamedTensors } from '../../../files/tensor.js';
import { check, cStrings, inBackground, obtain, OrtFailure, readString } from '../../native/calls.js';
import type { Pointer } from '../../native/functions.js';
import { background } from '../../native/queue.js';
import type { SessionFiles, TrainingSession } from '../session.js';
import { ForwardSession } from './forward.js';
import type { NativeTrainingApi } from './library.js';
import { takeValue, valueOver } from './values.js';

export interface NativeSettings {
  readonly api: NativeTrainingApi;
  /** OrtEnv */
  readonly environment: Pointer;
  /** OrtSessionOptions */
  readonly options: Pointer;
}

type Done = (error: Error | null, status: Pointer | null) => void;

export class NativeTrainingSession implements TrainingSession {
  readonly inputs: readonly string[];
  private readonly outputs: readonly string[];

  private constructor(
    private readonly settings: NativeSettings,
    private readonly files: Pick<SessionFiles, 'name' | 'tensors'>,
    /** Holds the models: the evaluation model is read again when a model is exported. */
    private readonly folder: string,
    private readonly checkpoint: Pointer,
    private readonly session: Pointer,
    private readonly forwards: ForwardSession | null,
  ) {
    const { training } = settings.api;
    this.inputs = this.names(
      'TrainingSessionGetTrainingModelInputCount',
      training.TrainingSessionGetTrainingModelInputName,
    );
    this.outputs = this.names(
      'TrainingSessionGetTrainingModelOutputCount',
      training.TrainingSessionGetTrainingModelOutputName,
    );
  }

  static async create(settings: NativeSettings, files: SessionFiles): Promise<NativeTrainingSession> {
    const { api, environment, options } = settings;
    const folder = await mkdtemp(path.join(tmpdir(), 'hpff-ort-training-'));
    const models = {
      training: files.trainingModel,
      evaluation: files.evaluationModel,
      optimizer: files.optimizerModel,
    };
    const at = (model: keyof typeof models): string => path.join(folder, `${model}.onnx`);
    let checkpoint: Pointer | null = null;
    try {
      for (const [name, bytes] of Object.entries(models)) await writeFile(at(name as keyof typeof models), bytes);
      checkpoint = obtain(api.calls, (out) =>
        api.training.LoadCheckpointFromBuffer(files.checkpoint, files.checkpoint.length, out),
      );
      const state = checkpoint;
      const out = new BigUint64Array(1);
      await called(settings, [out], (done) =>
        api.training.CreateTrainingSession.async(
          environment,
          options,
          state,
          at('training'),
          at('evaluation'),
          at('optimizer'),
          out,
          done,
        ),
      );
      const forwards = files.forwardModel && (await ForwardSession.create(settings, files.forwardModel));
      const { name, tensors } = files;
      return new NativeTrainingSession(settings, { name, tensors }, folder, checkpoint, out[0]!, forwards);
    } catch (cause) {
      if (checkpoint !== null) api.training.ReleaseCheckpointState(checkpoint);
      await rm(folder, { recursive: true, force: true });
      throw failed(files.name, 'create a session', cause);
    }
  }

  async trainStep(feeds: NamedTensors): Promise<NamedTensors> {
    const { api } = this.settings;
    const given = this.inputs.map((name) => feeds.get(name)!);
    const values = given.map((tensor) => valueOver(api, tensor));
    const addresses = BigUint64Array.from(values);
    const found = new BigUint64Array(this.outputs.length);
    try {
      const memory = [...given.map(({ data }) => data), addresses, found];
      await this.attempt('train', memory, (done) =>
        api.training.TrainStep.async(this.session, null, values.length, addresses, found.length, found, done),
      );
    } finally {
      for (const value of values) api.base.ReleaseValue(value);
    }
    return new Map(this.outputs.map((name, i): [string, HostTensor] => [name, takeValue(api, found[i]!)]));
  }

  async optimizerStep(): Promise<void> {
    await this.attempt('update', [], (done) =>
      this.settings.api.training.OptimizerStep.async(this.session, null, done),
    );
  }

  async lazyResetGrad(): Promise<void> {
    this.now('reset its gradients', ({ training }) => training.LazyResetGrad(this.session));
  }

  setLearningRate(rate: number): void {
    this.now('set its learning rate', ({ training }) => training.SetLearningRate(this.session, rate));
  }

  async forward(feeds: NamedTensors): Promise<NamedTensors> {
    const all = new Map([...(await this.readTensors()), ...feeds]);
    try {
      return await this.forwards!.run(all);
    } catch (cause) {
      throw failed(this.files.name, 'run forward', cause);
    }
  }

  async readTensors(): Promise<NamedTensors> {
    const { api } = this.settings;
    const size = this.files.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const flat = float32([size], new Float32Array(size));
    const buffer = valueOver(api, flat);
    try {
      this.now('read its parameters', ({ training }) => training.CopyParametersToBuffer(this.session, buffer, false));
    } finally {
      api.base.ReleaseValue(buffer);
    }
    let at = 0;
    return new Map(
      this.files.tensors.map(({ name, shape }): [string, HostTensor] => {
        const elements = flat.data.slice(at, (at += elementCount(shape)));
        return [name, float32(shape, elements)];
      }),
    );
  }

  async readCheckpoint(): Promise<OrtCheckpoint> {
    const file = path.join(this.folder, 'checkpoint');
    this.now('save a checkpoint', ({ training }) => training.SaveCheckpoint(this.checkpoint, file, true));
    return decodeOrtCheckpoint(await readFile(file), file);
  }

  async exportModel(file: string, outputs: readonly string[]): Promise<void> {
    const { memory, addresses } = cStrings(outputs);
    const names = BigUint64Array.from(addresses);
    await this.attempt('export a model', [memory, names], (done) =>
      this.settings.api.training.ExportModelForInferencing.async(
        this.session,
        path.resolve(file),
        names.length,
        names,
        done,
      ),
    );
  }

  async dispose(): Promise<void> {
    const { training } = this.settings.api;
    this.forwards?.dispose();
    training.ReleaseTrainingSession(this.session);
    training.ReleaseCheckpointState(this.checkpoint);
    await rm(this.folder, { recursive: true, force: true });
  }

  private names(
    count: 'TrainingSessionGetTrainingModelInputCount' | 'TrainingSessionGetTrainingModelOutputCount',
    name: NativeTrainingApi['training']['TrainingSessionGetTrainingModelInputName'],
  ): string[] {
    const { base, calls, training } = this.settings.api;
    const allocator = obtain(calls, (out) => base.GetAllocatorWithDefaultOptions(out));
    const length = Number(obtain(calls, (out) => training[count](this.session, out)));
    return Array.from({ length }, (_, i) => {
      const address = obtain(calls, (out) => name(this.session, i, allocator, out));
      const text = readString(address);
      check(calls, base.AllocatorFree(allocator, address));
      return text;
    });
  }

  private now(what: string, call: (api: NativeTrainingApi) => Pointer | null): void {
    const { api } = this.settings;
    try {
      check(api.calls, call(api));
    } catch (cause) {
      throw failed(this.files.name, what, cause);
    }
  }

  private async attempt(
    what: string,
    memory: readonly NodeJS.ArrayBufferView[],
    call: (done: Done) => void,
  ): Promise<void> {
    try {
      await called(this.settings, memory, call);
    } catch (cause) {
      throw failed(this.files.name, what, cause);
    }
  }
}

/** Runs a call in the background. @param memory what it reads and fills */
async function called(
  { api }: NativeSettings,
  memory: readonly NodeJS.ArrayBufferView[],
  call: (done: Done) => void,
): Promise<void> {
  await background.add(async () => inBackground(api.calls, memory, call));
}

function failed(name: string, what: string, cause: unknown): unknown {
  if (!(cause instanceof OrtFailure)) return cause;
  return new RunError('TRAINING_SESSION', `${name}: ONNX Runtime could not ${what}: ${cause.message}`, { cause });
}
