/** Elementwise operators on blocked maps: any layout will do, as long as all operands have the same. */
import { sameShape, type Value } from '../../graph/index.js';
import { f } from '../emitter.js';
import { mapShape } from './layout.js';
import type { BlockedRule, BlockedRules } from './rules.js';
import type { BlockedWriter } from './writer.js';

/** Whether both are maps of one shape of which at least one is blocked. */
function alike(writer: BlockedWriter, a: Value, b: Value): boolean {
  return mapShape(a) !== null && sameShape(a.shape, b.shape) && (writer.isBlocked(a) || writer.isBlocked(b));
}

const binary =
  <O extends 'Sub' | 'Mul'>(opType: O): BlockedRule<O> =>
  (writer, node) => {
    const [a, b] = node.inputs as [Value, Value];
    if (alike(writer, a, b)) {
      writer.setBlocked(node.outputs[0]!, writer.emit.op(opType, [writer.asBlocked(a), writer.asBlocked(b)]));
      return true;
    }
    if (opType !== 'Mul' || b.shape.length > 0 || !writer.isBlocked(a)) return false;
    writer.setBlocked(node.outputs[0]!, writer.emit.op(opType, [writer.asBlocked(a), writer.plain(b)]));
    return true;
  };

export const elementwiseRules: BlockedRules = {
  /** A held-back operand takes the other as its sum; if it takes a ReLU too, it stays held back for it. */
  Add: (writer, node) => {
    const [a, b] = node.inputs as [Value, Value];
    if (!alike(writer, a, b)) return false;
    const [sum] = node.outputs as [Value];
    const held = writer.takeDeferred(a);
    const other = held ? b : a;
    const result = held ?? writer.takeDeferred(b);
    if (!result?.absorbs.includes('sum')) {
      writer.setBlocked(sum, writer.emit.op('Add', [writer.asBlocked(a), writer.asBlocked(b)]));
      return true;
    }
    const addend = writer.asBlocked(other);
    writer.defer(sum, {
      absorbs: result.absorbs.filter((kind) => kind === 'relu'),
      write: (extra) => result.write({ ...extra, sum: addend }),
    });
    return true;
  },
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  Relu: (writer, node) => {
    const [x] = node.inputs as [Value];
    const plain = writer.takeDeferredPlain(x);
    if (plain) {
      writer.setPlain(node.outputs[0]!, plain({ relu: true }));
      return true;
    }
    if (!mapShape(x) || !writer.isBlocked(x)) return false;
    const held = writer.takeDeferred(x);
    const name = held ? held.write({ relu: true }) : writer.emit.op('Relu', [writer.asBlocked(x)]);
    writer.setBlocked(node.outputs[0]!, name);
    return true;
  },
  ReluGrad: (writer, node) => {
    const [cotangent, y] = node.inputs as [Value, Value];
    if (!alike(writer, cotangent, y)) return false;
    const mask = writer.emit.op('HardSigmoid', [writer.asBlocked(y)], { alpha: f(1e30), beta: f(0) });
    const held = writer.takeDeferred(cotangent);
    const masked = held?.absorbs.includes('mask')
      ? held.write({ mask })
      : writer.emit.op('Mul', [held?.write({}) ?? writer.asBlocked(cotangent), mask]);
    writer.setBlocked(node.outputs[0]!, masked);
    return true;
  },
};
