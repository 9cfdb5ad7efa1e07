/** Loading a model into a session. */
import { InputError, RunError, UsageError } from '../../errors.js';
import type { SessionOptions } from '../runtime.js';
import { check, inBackground, obtain, OrtFailure } from './calls.js';
import type { OpenDevice } from './devices/index.js';
import type { Pointer } from './functions.js';
import { profilePrefix } from './profile.js';
import { background } from './queue.js';
import { NativeSession } from './session.js';
import type { SessionOwner } from './session.js';

/** How the runtime wants its sessions. */
export interface SessionSettings {
  /** OrtEnv */
  readonly environment: Pointer;
  readonly memoryPattern: boolean;
  /** Threads of a pool of the session's own; undefined to use the environment's. */
  readonly ownThreads: number | undefined;
}

/**
 * Loads a model without blocking the event loop; its bytes must not change meanwhile.
 * @throws InputError if ONNX Runtime refuses the model; UsageError for unknown options
 */
export async function loadSession(
  owner: SessionOwner,
  settings: SessionSettings,
  model: Uint8Array,
  options: SessionOptions,
): Promise<NativeSession> {
  const { api } = owner;
  const native = nativeOptions(owner, settings, options);
  const out = new BigUint64Array(1);
  owner.opened();
  try {
    if (owner.device?.oneThread) {
      check(api, api.CreateSessionFromArray(settings.environment, model, model.byteLength, native, out));
    } else {
      await background.add(() =>
        inBackground(api, [model, out], (done) =>
          api.CreateSessionFromArray.async(settings.environment, model, model.byteLength, native, out, done),
        ),
      );
    }
    return new NativeSession(owner, out[0] as Pointer, options.name, options.profileFolder !== undefined);
  } catch (cause) {
    owner.closed();
    throw cause instanceof OrtFailure ? refusal(options.name, cause) : cause;
  } finally {
    api.ReleaseSessionOptions(native);
  }
}

/** GraphOptimizationLevel */
const OPTIMIZATION = { disabled: 0, basic: 1, extended: 2, all: 99 } as const;

function nativeOptions({ api, device }: SessionOwner, settings: SessionSettings, options: SessionOptions): Pointer {
  const { name, optimization = 'disabled', profileFolder } = options;
  if (!Object.hasOwn(OPTIMIZATION, optimization)) {
    const allowed = Object.keys(OPTIMIZATION).join(', ');
    throw new UsageError('SESSION_OPTION', `session '${name}': optimization is '${optimization}'; allowed: ${allowed}`);
  }
  const native = obtain(api, (out) => api.CreateSessionOptions(out));
  check(api, api.SetSessionLogId(native, name));
  if (profileFolder !== undefined) check(api, api.EnableProfiling(native, profilePrefix(profileFolder)));
  check(api, api.SetSessionGraphOptimizationLevel(native, OPTIMIZATION[optimization]));
  check(api, settings.memoryPattern ? api.EnableMemPattern(native) : api.DisableMemPattern(native));
  check(api, api.AddSessionConfigEntry(native, 'session.use_env_allocators', '1'));
  if (settings.ownThreads === undefined) {
    check(api, api.DisablePerSessionThreads(native));
  } else {
    check(api, api.SetIntraOpNumThreads(native, settings.ownThreads));
    check(api, api.SetInterOpNumThreads(native, 1));
  }
  prepareFor(device, native, name);
  return native;
}

function prepareFor(device: OpenDevice | undefined, native: Pointer, name: string): void {
  try {
    device?.prepare(native);
  } catch (cause) {
    if (!(cause instanceof OrtFailure)) throw cause;
    throw new RunError('DEVICE_FAILED', `session '${name}': the device takes no session: ${cause.message}`, { cause });
  }
}

function refusal(name: string, cause: OrtFailure): InputError | UsageError {
  // What ONNX Runtime says where the environment has no pool, because other code made it first.
  if (cause.message.includes('CreateEnvWithGlobalThreadPools')) {
    return new UsageError(
      'RUNTIME_ENVIRONMENT',
      `session '${name}': the ONNX Runtime environment of this process was made by other code; create the hpff runtime first`,
      { cause },
    );
  }
  return new InputError('MODEL_REJECTED', `session '${name}': ONNX Runtime refused the model: ${cause.message}`, {
    cause,
  });
}
