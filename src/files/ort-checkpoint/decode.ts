/** Decoding a checkpoint of ONNX Runtime's training API. The reader trusts nothing that it has not checked. */
import { InputError } from '../../errors.js';
import { printable, quoted } from '../printable.js';
import { elementCount, type HostTensor, type NamedTensors } from '../tensor.js';
import { FlatBytes, FlatbufferError, type FlatTable } from './flat-table.js';
import {
  CHECKPOINT,
  DATA_TYPES,
  IDENTIFIER,
  MODULE_STATE,
  OPTIMIZER_GROUP,
  type OptimizerState,
  type OrtCheckpoint,
  PARAMETER_STATE,
  PROPERTY,
  PROPERTY_BAG,
  TENSOR,
  VERSION,
} from './format.js';

/**
 * Decodes the content of a checkpoint file.
 *
 * @param where the file's name, for errors
 * @throws InputError `ORT_CHECKPOINT_IDENTIFIER` (it is no such file), `ORT_CHECKPOINT_VERSION`, `ORT_CHECKPOINT_TENSOR`, `ORT_CHECKPOINT_NOMINAL` (it has no
 * data), `ORT_CHECKPOINT_INVALID`
 */
export function decodeOrtCheckpoint(bytes: Uint8Array, where: string): OrtCheckpoint {
  const file = printable(where);
  const found = String.fromCharCode(...bytes.subarray(4, 8));
  if (found !== IDENTIFIER) {
    const problem = bytes.length < 8 ? `is ${bytes.length} bytes long` : `bytes 4 to 7 are ${quoted(found)}`;
    throw new InputError(
      'ORT_CHECKPOINT_IDENTIFIER',
      `${file}: ${problem}, allowed: "${IDENTIFIER}" there, as in a checkpoint of ONNX Runtime's training API`,
    );
  }
  try {
    return readCheckpoint(new FlatBytes(bytes).root(), file);
  } catch (error) {
    if (!(error instanceof FlatbufferError)) throw error;
    throw new InputError('ORT_CHECKPOINT_INVALID', `${file}: the checkpoint is damaged: ${error.message}`, {
      cause: error,
    });
  }
}

function readCheckpoint(root: FlatTable, file: string): OrtCheckpoint {
  const version = root.int32(CHECKPOINT.version);
  if (version !== VERSION) {
    throw new InputError(
      'ORT_CHECKPOINT_VERSION',
      `${file}: found checkpoint version ${version}, allowed: ${VERSION}, that of ONNX Runtime 1.16 to 1.19`,
    );
  }
  const module = root.table(CHECKPOINT.moduleState);
  if (module && (module.uint8(MODULE_STATE.nominal) !== 0 || module.uint8(MODULE_STATE.externalData) !== 0)) {
    const kind = module.uint8(MODULE_STATE.nominal) !== 0 ? 'a nominal checkpoint' : 'data in a file beside it';
    throw new InputError('ORT_CHECKPOINT_NOMINAL', `${file}: found ${kind}, allowed: one that holds its data`);
  }
  const trainable = readTensors(module?.tables(MODULE_STATE.trainable) ?? [], file);
  const frozen = readTensors(module?.tables(MODULE_STATE.frozen) ?? [], file);
  const twice = [...frozen.keys()].find((name) => trainable.has(name));
  if (twice !== undefined) throw invalid(file, `tensor ${quoted(twice)} is there twice`);
  return { trainable, frozen, optimizer: readOptimizer(root, file), properties: readProperties(root, file) };
}

function readTensors(tables: readonly FlatTable[], file: string): NamedTensors {
  const tensors: NamedTensors = new Map();
  for (const table of tables) {
    const name = required(table.text(TENSOR.name), 'a tensor has no name', file);
    if (tensors.has(name)) throw invalid(file, `tensor ${quoted(name)} is there twice`);
    tensors.set(name, readTensor(table, name, file));
  }
  return tensors;
}

function readTensor(table: FlatTable, name: string, file: string): HostTensor {
  const code = table.int32(TENSOR.dataType);
  const dtype = DATA_TYPES[code as keyof typeof DATA_TYPES] as HostTensor['dtype'] | undefined;
  const refuse = (problem: string): InputError =>
    new InputError('ORT_CHECKPOINT_TENSOR', `${file}: tensor ${quoted(name)}: ${problem}`);
  if (dtype === undefined) {
    throw refuse(`found element type ${code}, allowed: ${Object.values(DATA_TYPES).join(', ')}`);
  }
  const shape = (table.int64s(TENSOR.shape) ?? []).map(Number);
  const raw = table.raw(TENSOR.rawData);
  if (raw === null || table.int64(TENSOR.externalOffset, -1n) !== -1n) throw refuse('its data are not in the file');
  const array = ARRAYS[dtype];
  const bytes = elementCount(shape) * array.BYTES_PER_ELEMENT;
  if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0) || bytes !== raw.length) {
    throw refuse(
      `shape [${shape.join(', ')}] of ${dtype} with ${raw.length} bytes of data, allowed: as many as the shape has`,
    );
  }
  // Not `slice`: of a Buffer it is a view of the whole file.
  return { dtype, shape, data: new array(new Uint8Array(raw).buffer) };
}

const ARRAYS = {
  float32: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

function readOptimizer(root: FlatTable, file: string): OptimizerState | null {
  const groups = root.tables(CHECKPOINT.optimizerGroups) ?? [];
  if (groups.length > 1) throw invalid(file, `found ${groups.length} groups of parameters, allowed: 1`);
  const [group] = groups;
  if (!group) return null;
  const step = group.int64(OPTIMIZER_GROUP.step);
  if (step < 0n || step > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(file, `found optimizer step ${step}`);
  const moments = new Map<string, NamedTensors>();
  for (const state of group.tables(OPTIMIZER_GROUP.states) ?? []) {
    const parameter = required(state.text(PARAMETER_STATE.parameter), 'optimizer state has no parameter', file);
    moments.set(parameter, readTensors(state.tables(PARAMETER_STATE.moments) ?? [], file));
  }
  return { step: Number(step), initialLearningRate: group.float32(OPTIMIZER_GROUP.initialLearningRate), moments };
}

function readProperties(root: FlatTable, file: string): OrtCheckpoint['properties'] {
  const properties = new Map<string, number | bigint | string>();
  const bag = root.table(CHECKPOINT.propertyBag);
  const read = (place: number, value: (property: FlatTable) => number | bigint | string): void => {
    for (const property of bag?.tables(place) ?? []) {
      properties.set(required(property.text(PROPERTY.name), 'a property has no name', file), value(property));
    }
  };
  read(PROPERTY_BAG.ints, (property) => property.int64(PROPERTY.value));
  read(PROPERTY_BAG.floats, (property) => property.float32(PROPERTY.value));
  read(PROPERTY_BAG.strings, (property) => required(property.text(PROPERTY.value), 'a property has no value', file));
  return properties;
}

function required<T>(value: T | null, problem: string, file: string): T {
  if (value === null) throw invalid(file, problem);
  return value;
}

const invalid = (file: string, problem: string): InputError =>
  new InputError('ORT_CHECKPOINT_INVALID', `${file}: the checkpoint is damaged: ${problem}`);
