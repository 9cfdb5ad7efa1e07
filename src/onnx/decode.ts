/**
 * Reading a model in the ONNX file format. The files may come from anywhere: what is malformed is refused with its place, and
 * what these types do not hold is refused or named in the result. Whether a model that could be read also makes sense is
 * checkModel's matter.
 */
import { decodeTensor } from './decode-tensor.js';
import type { ReadExternal } from './decode-tensor.js';
import { dtypeOf } from './element-types.js';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from './model.js';
import { quote } from './quote.js';
import { Message, utf8 } from './wire.js';

export interface DecodeOptions {
  /** Reads tensors that are kept outside the model file; without it they are refused. */
  readonly readExternal?: ReadExternal;
}

/**
 * The model in the bytes of an `.onnx` file. Tensor data are views of `bytes` where the file has them in that form, so they
 * may lie at any alignment.
 * @param where the file's name, for error messages
 * @throws InputError ONNX_INVALID for what is not ONNX, ONNX_UNSUPPORTED for string and sparse tensors and for
 *   external data where `options` give no reader
 */
export function decodeModel(bytes: Uint8Array, where: string, options: DecodeOptions = {}): OnnxModel {
  const message = Message.parse(bytes, where);
  if (bytes.length === 0) message.fail('the file is empty');
  return new Decoder(options.readExternal).model(message);
}

/** Fields that are documentation or hints: left out without a word. */
const IGNORED = {
  ModelProto: [4, 5, 6], // domain, model_version, doc_string
  GraphProto: [10, 16], // doc_string, metadata_props
  NodeProto: [6, 9], // doc_string, metadata_props
  AttributeProto: [13], // doc_string
  TensorProto: [12, 13, 16], // doc_string, external_data of a tensor that has its data here, metadata_props
  ValueInfoProto: [3, 4], // doc_string, metadata_props
  TypeProto: [6], // denotation
  Dimension: [3], // denotation
} as const;

const FIELD_NAMES: Readonly<Record<string, string>> = {
  'ModelProto 20': 'training_info',
  'ModelProto 25': 'functions',
  'GraphProto 14': 'quantization_annotation',
};

/** An attribute's type code → its name, the number of the field that holds its value, and that field's name. */
const ATTRIBUTE_TYPES: Readonly<Record<number, readonly [type: string, field: number, name: string]>> = {
  1: ['FLOAT', 2, 'f'],
  2: ['INT', 3, 'i'],
  3: ['STRING', 4, 's'],
  4: ['TENSOR', 5, 't'],
  5: ['GRAPH', 6, 'g'],
  6: ['FLOATS', 7, 'floats'],
  7: ['INTS', 8, 'ints'],
  8: ['STRINGS', 9, 'strings'],
  9: ['TENSORS', 10, 'tensors'],
  10: ['GRAPHS', 11, 'graphs'],
  11: ['SPARSE_TENSOR', 22, 'sparse_tensor'],
  12: ['SPARSE_TENSORS', 23, 'sparse_tensors'],
  13: ['TYPE_PROTO', 14, 'tp'],
  14: ['TYPE_PROTOS', 15, 'type_protos'],
};

/** Decodes one model, noting what is not carried. */
class Decoder {
  private readonly notCarried = new Set<string>();

  constructor(private readonly readExternal: ReadExternal | undefined) {}

  model(message: Message): OnnxModel {
    const graph = message.message(7, 'graph') ?? message.fail('it has no graph');
    if (!message.has(1)) message.fail('it has no ir_version');
    const model = {
      irVersion: message.safeInteger(1, 'ir_version'),
      opsets: this.opsets(message),
      producerName: message.string(2, 'producer_name'),
      producerVersion: message.string(3, 'producer_version'),
      metadata: this.metadata(message),
      graph: this.graph(graph),
    };
    // Functions are not carried, but their tensors are held to the same rules as all others.
    for (const body of message.messages(25, 'functions')) {
      for (const node of body.messages(7, 'node')) this.node(node);
      this.notCarried.add('functions');
    }
    this.noteRest(message, 'ModelProto');
    return this.notCarried.size === 0 ? model : { ...model, notCarried: [...this.notCarried].sort() };
  }

  private opsets(message: Message): Record<string, number> {
    const opsets = new Map<string, number>();
    for (const opset of message.messages(8, 'opset_import')) {
      const domain = domainName(opset.string(1, 'domain'));
      if (opsets.has(domain)) opset.fail(`domain ${quote(domain)} is imported twice`);
      opsets.set(domain, opset.safeInteger(2, 'version'));
      this.noteRest(opset, 'OperatorSetIdProto');
    }
    return Object.fromEntries(opsets);
  }

  private metadata(message: Message): Record<string, string> {
    const metadata = new Map<string, string>();
    for (const entry of message.messages(14, 'metadata_props')) {
      const key = entry.string(1, 'key');
      if (metadata.has(key)) entry.fail(`metadata key ${quote(key)} is given twice`);
      metadata.set(key, entry.string(2, 'value'));
      this.noteRest(entry, 'StringStringEntryProto');
    }
    return Object.fromEntries(metadata);
  }

  private graph(message: Message): OnnxGraph {
    if (message.has(15)) message.refuse('sparse_initializer holds sparse tensors');
    const graph = {
      name: message.string(2, 'name'),
      nodes: Array.from(message.messages(1, 'node'), (node) => this.node(node)),
      inputs: Array.from(message.messages(11, 'input'), (value) => this.valueInfo(value)),
      outputs: Array.from(message.messages(12, 'output'), (value) => this.valueInfo(value)),
      initializers: Array.from(message.messages(5, 'initializer'), (tensor) => this.tensor(tensor)),
      valueInfos: Array.from(message.messages(13, 'value_info'), (value) => this.valueInfo(value)),
    };
    this.noteRest(message, 'GraphProto');
    return graph;
  }

  private node(message: Message): OnnxNode {
    const attributes = new Map<string, OnnxAttribute>();
    for (const attribute of message.messages(5, 'attribute')) {
      const name = attribute.string(1, 'name');
      if (attributes.has(name)) attribute.fail(`attribute ${quote(name)} is given twice`);
      attributes.set(name, this.attribute(attribute, name));
    }
    const node = {
      name: message.string(3, 'name'),
      domain: domainName(message.string(7, 'domain')),
      opType: message.string(4, 'op_type'),
      inputs: message.strings(1, 'input'),
      outputs: message.strings(2, 'output'),
      attributes: Object.fromEntries(attributes),
    };
    if (node.opType === '') message.fail('the node has no op_type');
    this.noteRest(message, 'NodeProto');
    return node;
  }

  private attribute(message: Message, name: string): OnnxAttribute {
    const what = `attribute ${quote(name)}`;
    if (name === '') message.fail('the attribute has no name');
    if (message.string(21, 'ref_attr_name') !== '') return { type: 'other', kind: 'a reference to an attribute' };
    const code = message.safeInteger(20, 'type');
    const type = ATTRIBUTE_TYPES[code] ?? message.fail(`${what} has type ${code}, must be 1 to 14`);
    for (const [, field, fieldName] of Object.values(ATTRIBUTE_TYPES)) {
      if (field !== type[1] && message.has(field)) {
        message.fail(`${what} of type ${type[0]} has a value in ${fieldName}, must have it in ${type[2]}`);
      }
    }
    const attribute = this.attributeValue(message, code, type, what);
    this.noteRest(message, 'AttributeProto');
    return attribute;
  }

  /** The value in the field that belongs to the type; an absent number is 0 and an absent string '', as in all of protobuf. */
  private attributeValue(
    message: Message,
    code: number,
    [typeName, field, name]: readonly [string, number, string],
    what: string,
  ): OnnxAttribute {
    switch (code) {
      case 1:
        return { type: 'float', value: message.float(field, name) ?? 0 };
      case 2:
        return integers([message.integer(field, name) ?? 0n], typeName, ([value]) => ({
          type: 'int',
          value: value as number,
        }));
      case 3: {
        const text = utf8(message.bytes(field, name) ?? new Uint8Array(0));
        return text === undefined ? { type: 'other', kind: 'bytes' } : { type: 'string', value: text };
      }
      case 4:
        return { type: 'tensor', value: this.tensor(message.message(field, name) ?? absent(message, what, name)) };
      case 5:
        return { type: 'graph', value: this.graph(message.message(field, name) ?? absent(message, what, name)) };
      case 6:
        return { type: 'floats', value: message.floats(field, name) };
      case 7:
        return integers(message.int64List(field, name), typeName, (value) => ({ type: 'ints', value }));
      case 8: {
        const texts = message.bytesList(field, name).map(utf8);
        const value = texts.filter((text) => text !== undefined);
        return value.length < texts.length ? { type: 'other', kind: 'lists of bytes' } : { type: 'strings', value };
      }
      default:
        this.checkInside(message, code, field, name);
        return { type: 'other', kind: typeName };
    }
  }

  /** Lists of tensors and of graphs and sparse tensors are not carried, but what is in them must be valid too. */
  private checkInside(message: Message, code: number, field: number, name: string): void {
    for (const inner of message.messages(field, name)) {
      if (code === 9) this.tensor(inner);
      if (code === 10) this.graph(inner);
      if (code !== 11 && code !== 12) continue;
      for (const part of inner.messages(1, 'values')) this.tensor(part);
      for (const part of inner.messages(2, 'indices')) this.tensor(part);
    }
  }

  private tensor(message: Message): OnnxTensor {
    const tensor = decodeTensor(message, this.readExternal);
    this.noteRest(message, 'TensorProto');
    return tensor;
  }

  private valueInfo(message: Message): OnnxValueInfo {
    const name = message.string(1, 'name');
    const type = message.message(2, 'type');
    this.noteRest(message, 'ValueInfoProto');
    if (type === undefined) return { name, dtype: 'other', elementType: 0, shape: null };
    const tensor = type.message(1, 'tensor_type');
    if (tensor !== undefined) {
      this.noteRest(type, 'TypeProto');
      return this.tensorType(name, tensor);
    }
    const element = type.message(4, 'sequence_type')?.message(1, 'elem_type')?.message(1, 'tensor_type');
    if (element !== undefined) return { ...this.tensorType(name, element), container: 'sequence' };
    return { name, dtype: 'other', elementType: 0, shape: null, container: 'other' };
  }

  private tensorType(name: string, message: Message): OnnxValueInfo {
    const code = message.safeInteger(1, 'elem_type');
    const shapeMessage = message.message(2, 'shape');
    const shape =
      shapeMessage === undefined ? null : Array.from(shapeMessage.messages(1, 'dim'), (dim) => this.dimension(dim));
    this.noteRest(message, 'TypeProto.Tensor');
    const value = { name, dtype: dtypeOf(code), shape };
    return value.dtype === 'other' ? { ...value, elementType: code } : value;
  }

  private dimension(message: Message): number | string | null {
    const symbol = message.string(2, 'dim_param');
    const value = message.has(1) ? message.safeInteger(1, 'dim_value') : null;
    this.noteRest(message, 'Dimension');
    if (symbol !== '')
      return value === null ? symbol : message.fail(`a dimension is both ${value} and ${quote(symbol)}`);
    // Some exporters write -1 for a dimension that is not known.
    return value !== null && value < 0 ? null : value;
  }

  /** Notes the fields of a message that nobody asked for. */
  private noteRest(message: Message, kind: string): void {
    const ignored: readonly number[] = (IGNORED as Readonly<Record<string, readonly number[]>>)[kind] ?? [];
    for (const number of message.notAsked()) {
      if (ignored.includes(number)) continue;
      const field = `${kind} ${number}`;
      this.notCarried.add(FIELD_NAMES[field] ?? field);
    }
  }
}

/** An attribute of integers; those past the safe integers have no place in these types. */
function integers(
  values: readonly bigint[],
  kind: string,
  attribute: (values: number[]) => OnnxAttribute,
): OnnxAttribute {
  const numbers = values.map(Number);
  return numbers.every(Number.isSafeInteger) ? attribute(numbers) : { type: 'other', kind: `${kind} beyond 2^53` };
}

function absent(message: Message, what: string, field: string): never {
  return message.fail(`${what} has no ${field}`);
}

/** 'ai.onnx' and '' are two names of one domain. */
function domainName(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}
