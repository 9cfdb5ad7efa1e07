/** Random ONNX models for property-based tests: any that the types allow and the format can hold, whether they make sense or not. */
import fc from 'fast-check';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from '../src/onnx/model.js';

/** Bytes of an element, for types with a name in hpff. */
const ELEMENT_BYTES = { float32: 4, float64: 8, int64: 8, int32: 4, uint8: 1, bool: 1 } as const;
const FLOAT16 = 10;

const name = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom('__proto__', 'constructor', '0'));
const dtype = fc.constantFrom(...(Object.keys(ELEMENT_BYTES) as (keyof typeof ELEMENT_BYTES)[]));
const named = <T>(value: fc.Arbitrary<T>) => fc.dictionary(name, value, { maxKeys: 4 });
const few = <T>(value: fc.Arbitrary<T>) => fc.array(value, { maxLength: 4 });

const tensor: fc.Arbitrary<OnnxTensor> = fc
  .record({ name, dtype: fc.oneof(dtype, fc.constant('other' as const)), shape: fc.array(fc.nat(3), { maxLength: 4 }) })
  .chain(({ name, dtype, shape }) => {
    const length = shape.reduce((product, dim) => product * dim, dtype === 'other' ? 2 : ELEMENT_BYTES[dtype]);
    const bytes = fc.uint8Array({ minLength: length, maxLength: length });
    return bytes.map((bytes) => ({ name, dtype, shape, bytes, ...(dtype === 'other' && { elementType: FLOAT16 }) }));
  });

const dimension = fc.oneof(
  fc.nat(),
  fc.constant(null),
  name.filter((text) => text !== ''),
);
const shape = fc.option(fc.array(dimension, { maxLength: 4 }));
const valueInfo: fc.Arbitrary<OnnxValueInfo> = fc.oneof(
  fc.record({ name, dtype, shape }),
  fc.record({ name, dtype, shape, container: fc.constant('sequence' as const) }),
  fc.record({ name, shape, dtype: fc.constant('other' as const), elementType: fc.constant(FLOAT16) }),
);

const float = fc.float({ noNaN: true });
const integer = fc.oneof(fc.integer({ min: -3, max: 300 }), fc.maxSafeInteger());
const { attribute, graph } = fc.letrec<{ attribute: OnnxAttribute; graph: OnnxGraph; node: OnnxNode }>((tie) => ({
  attribute: fc.oneof(
    { maxDepth: 2 },
    fc.record({ type: fc.constant('int' as const), value: integer }),
    fc.record({ type: fc.constant('float' as const), value: float }),
    fc.record({ type: fc.constant('string' as const), value: name }),
    fc.record({ type: fc.constant('ints' as const), value: few(integer) }),
    fc.record({ type: fc.constant('floats' as const), value: few(float) }),
    fc.record({ type: fc.constant('strings' as const), value: few(name) }),
    fc.record({ type: fc.constant('tensor' as const), value: tensor }),
    fc.record({ type: fc.constant('graph' as const), value: tie('graph') }),
  ),
  node: fc.record({
    name,
    domain: fc.constantFrom('', 'com.microsoft'),
    opType: name.filter((text) => text !== ''),
    inputs: few(name),
    outputs: few(name),
    attributes: fc.dictionary(
      name.filter((text) => text !== ''),
      tie('attribute'),
      { maxKeys: 3 },
    ),
  }),
  graph: fc.record({
    name,
    nodes: few(tie('node')),
    inputs: few(valueInfo),
    outputs: few(valueInfo),
    initializers: few(tensor),
    valueInfos: few(valueInfo),
  }),
}));

export const arbitraryAttribute = attribute;

export const arbitraryModel: fc.Arbitrary<OnnxModel> = fc.record({
  irVersion: fc.integer({ min: 1, max: 20 }),
  opsets: named(fc.integer({ min: 1, max: 30 })).map(({ 'ai.onnx': _, ...opsets }) => opsets),
  producerName: name,
  producerVersion: name,
  metadata: named(name),
  graph,
});
