/** The training API of a shared library that the user names. */
import { availableParallelism } from 'node:os';
import { trainingRuntime } from '../../../lower/index.js';
import { check, obtain } from '../../native/calls.js';
import type { Pointer } from '../../native/functions.js';
import type { TrainingLibrary } from '../session.js';
import { loadTrainingLibrary, type NativeTrainingApi } from './library.js';
import { NativeTrainingSession } from './session.js';

/** OrtLoggingLevel: errors reach us as statuses. */
const LOG_FATAL = 4;

/**
 * @param threads of each session; default: all cores
 * @throws InputError as `loadTrainingLibrary`
 */
export function openNativeTraining(file: string, threads = availableParallelism()): TrainingLibrary {
  const api = loadTrainingLibrary(file);
  const environment = obtain(api.calls, (out) => api.base.CreateEnv(LOG_FATAL, 'hpff', out));
  const options = sessionOptions(api, threads);
  return {
    name: `ONNX Runtime ${trainingRuntime} in ${api.path}`,
    version: trainingRuntime,
    threads,
    complete: true,
    createSession: async (files) => NativeTrainingSession.create({ api, environment, options }, files),
    dispose: () => {
      api.base.ReleaseSessionOptions(options);
      api.base.ReleaseEnv(environment);
    },
  };
}

function sessionOptions({ base, calls }: NativeTrainingApi, threads: number): Pointer {
  const options = obtain(calls, (out) => base.CreateSessionOptions(out));
  check(calls, base.SetSessionLogSeverityLevel(options, LOG_FATAL));
  check(calls, base.SetIntraOpNumThreads(options, threads));
  check(calls, base.SetInterOpNumThreads(options, 1));
  return options;
}
