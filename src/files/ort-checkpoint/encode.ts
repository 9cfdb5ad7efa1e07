/** Encoding a checkpoint of ONNX Runtime's training API. */
import { Builder, type Offset } from 'flatbuffers';
import { UsageError } from '../../errors.js';
import { elementCount, type HostTensor, type NamedTensors } from '../tensor.js';
import {
  CHECKPOINT,
  DATA_TYPES,
  GROUP,
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

/** Flatbuffers address with signed 32 bits. */
const MAX_BYTES = 2 ** 31 - 1;

/** What tables take beside the data: names, shapes, offsets. */
const BYTES_PER_TENSOR = 256;

/**
 * The bytes of a checkpoint file, the same for the same content.
 * @throws UsageError for more than 2 GiB, and for tensors whose data do not fill their shapes
 */
export function encodeOrtCheckpoint({ trainable, frozen, optimizer, properties }: OrtCheckpoint): Uint8Array {
  const all = [trainable, frozen, ...(optimizer?.moments.values() ?? [])].flatMap((tensors) => [...tensors]);
  const expected = all.reduce((sum, [name, { data }]) => sum + data.byteLength + name.length, 0);
  if (expected + BYTES_PER_TENSOR * all.length > MAX_BYTES) {
    throw new UsageError('ORT_CHECKPOINT_TOO_LARGE', `checkpoint of ${expected} bytes: the format holds 2 GiB`);
  }
  const builder = new Builder(expected + BYTES_PER_TENSOR * (all.length + 4));
  const moduleState = table(builder, MODULE_STATE.fields, {
    [MODULE_STATE.trainable]: tensorVector(builder, trainable),
    [MODULE_STATE.frozen]: tensorVector(builder, frozen),
  });
  const groups = optimizer ? vector(builder, [optimizerGroup(builder, optimizer)]) : 0;
  const bag = properties.size > 0 ? propertyBag(builder, properties) : 0;
  builder.startObject(CHECKPOINT.fields);
  builder.addFieldInt32(CHECKPOINT.version, VERSION, 0);
  builder.addFieldOffset(CHECKPOINT.moduleState, moduleState, 0);
  builder.addFieldOffset(CHECKPOINT.optimizerGroups, groups, 0);
  builder.addFieldOffset(CHECKPOINT.propertyBag, bag, 0);
  builder.finish(builder.endObject(), IDENTIFIER);
  return builder.asUint8Array().slice();
}

/** A table whose fields are offsets, by their places. */
function table(builder: Builder, fields: number, offsets: Readonly<Record<number, Offset>>): Offset {
  builder.startObject(fields);
  for (const [place, offset] of Object.entries(offsets)) builder.addFieldOffset(Number(place), offset, 0);
  return builder.endObject();
}

function vector(builder: Builder, offsets: readonly Offset[]): Offset {
  builder.startVector(4, offsets.length, 4);
  for (const offset of [...offsets].reverse()) builder.addOffset(offset);
  return builder.endVector();
}

const tensorVector = (builder: Builder, tensors: NamedTensors): Offset =>
  vector(
    builder,
    Array.from(tensors, ([name, tensor]) => tensorTable(builder, name, tensor)),
  );

function tensorTable(builder: Builder, name: string, { dtype, shape, data }: HostTensor): Offset {
  const code = Object.entries(DATA_TYPES).find(([, known]) => known === dtype)?.[0];
  if (code === undefined || data.length !== elementCount(shape)) {
    throw new UsageError(
      'ORT_CHECKPOINT_TENSOR',
      `checkpoint: tensor '${name}' has ${data.length} elements of ${dtype}`,
    );
  }
  const bytes = builder.createByteVector(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  builder.startVector(8, shape.length, 8);
  for (const dim of [...shape].reverse()) builder.addInt64(BigInt(dim));
  const dims = builder.endVector();
  const label = builder.createString(name);
  builder.startObject(TENSOR.fields);
  builder.addFieldOffset(TENSOR.name, label, 0);
  builder.addFieldOffset(TENSOR.shape, dims, 0);
  builder.addFieldInt32(TENSOR.dataType, Number(code), 0);
  builder.addFieldOffset(TENSOR.rawData, bytes, 0);
  // -1 (none) is the schema's default.
  builder.addFieldInt64(TENSOR.externalOffset, -1n, -1n);
  return builder.endObject();
}

function optimizerGroup(builder: Builder, { step, initialLearningRate, moments }: OptimizerState): Offset {
  const states = Array.from(moments, ([parameter, tensors]) => {
    const kept = tensorVector(builder, tensors);
    return table(builder, PARAMETER_STATE.fields, {
      [PARAMETER_STATE.parameter]: builder.createString(parameter),
      [PARAMETER_STATE.moments]: kept,
    });
  });
  const [name, all] = [builder.createString(GROUP), vector(builder, states)];
  builder.startObject(OPTIMIZER_GROUP.fields);
  builder.addFieldOffset(OPTIMIZER_GROUP.name, name, 0);
  builder.addFieldInt64(OPTIMIZER_GROUP.step, BigInt(step), 0n);
  builder.addFieldFloat32(OPTIMIZER_GROUP.initialLearningRate, initialLearningRate, 0);
  builder.addFieldOffset(OPTIMIZER_GROUP.states, all, 0);
  return builder.endObject();
}

function propertyBag(builder: Builder, properties: OrtCheckpoint['properties']): Offset {
  const lists: Record<number, Offset[]> = {
    [PROPERTY_BAG.ints]: [],
    [PROPERTY_BAG.floats]: [],
    [PROPERTY_BAG.strings]: [],
  };
  for (const [key, value] of properties) {
    const name = builder.createString(key);
    const text = typeof value === 'string' ? builder.createString(value) : 0;
    builder.startObject(PROPERTY.fields);
    builder.addFieldOffset(PROPERTY.name, name, 0);
    if (typeof value === 'bigint') builder.addFieldInt64(PROPERTY.value, value, 0n);
    else if (typeof value === 'number') builder.addFieldFloat32(PROPERTY.value, value, 0);
    else builder.addFieldOffset(PROPERTY.value, text, 0);
    const kind =
      typeof value === 'bigint'
        ? PROPERTY_BAG.ints
        : typeof value === 'number'
          ? PROPERTY_BAG.floats
          : PROPERTY_BAG.strings;
    lists[kind]!.push(builder.endObject());
  }
  const vectors = Object.entries(lists).map(([place, list]) => [place, vector(builder, list)] as const);
  return table(builder, PROPERTY_BAG.fields, Object.fromEntries(vectors));
}
