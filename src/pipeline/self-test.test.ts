/** The self-test of lowerings: it needs all that the blocked lowering writes in its own way, and finds what is wrong. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OpName } from '../graph/index.js';
import { blockedRules } from '../lower/blocked/rules.js';
import type { LoweringRule } from '../lower/lower.js';
import { type Lowering, portable, portableRules, ruleWriter } from '../lower/index.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { chooseLowering } from './choose-lowering.js';
import { selfTest, selfTestGraph } from './self-test.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createNativeRuntime({ threads: 1 });
});
afterAll(() => runtime.dispose());

const ownOperators = Object.keys(blockedRules) as OpName[];

test('it needs every operator that the blocked lowering writes itself', () => {
  const used = new Set(selfTestGraph().test.nodes.map(({ op }) => op));
  expect(ownOperators.filter((op) => !used.has(op))).toEqual([]);
});

test('the chosen lowering is far within the tolerance', async () => {
  const { lowering } = await chooseLowering('auto', runtime);
  expect(await selfTest(runtime, lowering)).toBeLessThan(1e-4);
});

/** The portable lowering, but one operator's first result is a hundredth too large. */
function wrong(op: OpName): Lowering {
  const right = portableRules[op] as LoweringRule<OpName>;
  const rule: LoweringRule<OpName> = (emit, node, inputs) => {
    const [first, ...others] = right(emit, node, inputs);
    return [emit.op('Mul', [first!, emit.floats([1.01])]), ...others];
  };
  return { ...portable, writer: ruleWriter({ ...portableRules, [op]: rule }) };
}

test.each(ownOperators)('it finds a wrong %s', async (op) => {
  expect(await selfTest(runtime, wrong(op))).toBeGreaterThan(2e-3);
});
