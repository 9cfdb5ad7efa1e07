/** Writing a model in the ONNX file format. */
import onnxProto from 'onnx-proto';
import type { onnx } from 'onnx-proto';
import { UsageError } from '../errors.js';
import { elementCount } from '../files/tensor.js';
import { byteLength, codeOf } from './element-types.js';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from './model.js';
import { quote, quoteShape } from './quote.js';

const { ModelProto, AttributeProto } = onnxProto.onnx;
const { AttributeType } = AttributeProto;

/** Protocol buffers cannot be larger: lengths are signed 32-bit in most readers, ONNX's among them. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * The bytes of an `.onnx` file. The same model gives the same bytes: attributes, opsets and metadata are written in the order
 * of their names, all else in the model's order. Tensor data is copied once, into the result.
 * @throws UsageError for what cannot be written: a fraction where ONNX has an integer, data that do not fill a tensor's shape,
 *   parts that were not carried when the model was read, more than 2 GiB
 */
export function encodeModel(model: OnnxModel): Uint8Array {
  if (model.notCarried?.length) {
    throw unwritable(`the model: ${model.notCarried.join(', ')} were not carried when it was read`);
  }
  const writer = ModelProto.encode({
    irVersion: integer(model.irVersion, 'irVersion'),
    opsetImport: sorted(model.opsets).map(([domain, version]) => ({
      domain,
      version: integer(version, `opset version of domain ${quote(domain)}`),
    })),
    producerName: model.producerName || undefined,
    producerVersion: model.producerVersion || undefined,
    metadataProps: sorted(model.metadata ?? {}).map(([key, value]) => ({ key, value })),
    graph: graphProto(model.graph),
  });
  if (writer.len > MAX_BYTES) {
    throw new UsageError('ONNX_TOO_LARGE', `ONNX model is ${writer.len} bytes; the format allows at most ${MAX_BYTES}`);
  }
  return ownBytes(writer.finish());
}

/** The bytes in memory of their own: in Node the writer gives a Buffer, and small ones share theirs with others. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes);
}

function graphProto(graph: OnnxGraph): onnx.IGraphProto {
  return {
    name: graph.name,
    node: graph.nodes.map(nodeProto),
    input: graph.inputs.map(valueInfoProto),
    output: graph.outputs.map(valueInfoProto),
    initializer: graph.initializers.map(tensorProto),
    valueInfo: graph.valueInfos?.map(valueInfoProto),
  };
}

function nodeProto(node: OnnxNode): onnx.INodeProto {
  return {
    name: node.name || undefined,
    domain: node.domain || undefined,
    opType: node.opType,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: sorted(node.attributes).map(([name, attribute]) => attributeProto(name, attribute, node)),
  };
}

function attributeProto(name: string, attribute: OnnxAttribute, node: OnnxNode): onnx.IAttributeProto {
  const where = `attribute ${quote(name)} of node ${quote(node.name)} (${node.opType})`;
  switch (attribute.type) {
    case 'int':
      return { name, type: AttributeType.INT, i: integer(attribute.value, where) };
    case 'float':
      return { name, type: AttributeType.FLOAT, f: attribute.value };
    case 'string':
      return { name, type: AttributeType.STRING, s: utf8(attribute.value) };
    case 'ints':
      return { name, type: AttributeType.INTS, ints: attribute.value.map((value) => integer(value, where)) };
    case 'floats':
      return { name, type: AttributeType.FLOATS, floats: [...attribute.value] };
    case 'strings':
      return { name, type: AttributeType.STRINGS, strings: attribute.value.map(utf8) };
    case 'tensor':
      return { name, type: AttributeType.TENSOR, t: tensorProto(attribute.value) };
    case 'graph':
      return { name, type: AttributeType.GRAPH, g: graphProto(attribute.value) };
    case 'other':
      throw unwritable(`${where}: ${attribute.kind} was not carried when the model was read`);
  }
}

function tensorProto(tensor: OnnxTensor): onnx.ITensorProto {
  const where = `tensor ${quote(tensor.name)} ${quoteShape(tensor.shape)}`;
  const code = codeOf(tensor);
  const dims = tensor.shape.map((dim) => size(dim, where));
  const expected = byteLength(code, elementCount(dims));
  if (tensor.bytes.byteLength !== expected) {
    throw unwritable(`${where}: has ${tensor.bytes.byteLength} bytes of data, needs ${expected ?? 'a numeric type'}`);
  }
  return { name: tensor.name || undefined, dataType: code, dims, rawData: tensor.bytes };
}

function valueInfoProto(value: OnnxValueInfo): onnx.IValueInfoProto {
  if (value.container === 'other')
    throw unwritable(`value ${quote(value.name)}: its type was not carried when it was read`);
  const code = codeOf(value);
  if (code === 0) return { name: value.name };
  const tensorType = { elemType: code, shape: shapeProto(value) };
  const type = value.container === 'sequence' ? { sequenceType: { elemType: { tensorType } } } : { tensorType };
  return { name: value.name, type };
}

function shapeProto(value: OnnxValueInfo): onnx.ITensorShapeProto | undefined {
  if (value.shape === null) return undefined;
  return {
    dim: value.shape.map((dim) => {
      if (dim === null) return {};
      return typeof dim === 'string'
        ? { dimParam: dim }
        : { dimValue: size(dim, `shape of value ${quote(value.name)}`) };
    }),
  };
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Entries in the order of their names (by code unit, so that it depends on no locale). */
function sorted<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function integer(value: number, where: string): number {
  if (!Number.isSafeInteger(value)) throw unwritable(`${where}: ${value} is not an integer within ±2^53`);
  return value;
}

function size(value: number, where: string): number {
  if (integer(value, where) < 0) throw unwritable(`${where}: dimension ${value} is negative`);
  return value;
}

function unwritable(what: string): UsageError {
  return new UsageError('ONNX_UNWRITABLE', `cannot write ${what}`);
}
