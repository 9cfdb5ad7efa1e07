/** Every operator in standard ONNX, run by ONNX Runtime in Node and in the form that browsers have, against the float64 reference. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpName } from '../src/graph/index.js';
import { cut, lower, portable } from '../src/lower/index.js';
import { findProblems } from '../src/onnx/check.js';
import { type BuiltCase, build, casesOf, operatorCases } from './operators/index.js';
import { expectClose } from './reference/compare.js';
import { evaluate } from './reference/evaluate.js';
import { runInWeb, runOnnx } from './run-onnx.js';

const RUNS = 50;
/** On the web: the same graphs, by kernels of another build. */
const WEB_RUNS = 5;

function modelOf({ outputs }: BuiltCase) {
  const named = outputs.map((value, i) => ({ name: `y${i}`, value }));
  return lower(
    cut('case', named, () => true, String),
    portable,
  );
}

async function compare(built: BuiltCase, run = runOnnx): Promise<void> {
  const feeds = new Map(
    built.inputs.map((value, i) => [
      `x${i}`,
      { shape: value.shape as readonly number[], data: built.feeds.get(`x${i}`)! },
    ]),
  );
  const actual = await run(modelOf(built), feeds);
  const expected = evaluate(built.outputs, built.feeds);
  built.outputs.forEach((output, i) => {
    const { shape, data } = actual.get(`y${i}`)!;
    expect(shape).toEqual(output.shape);
    expectClose(data, expected[i]!, 2e-5, `output ${i}`);
  });
}

describe('the portable lowering', () => {
  it.each(Object.keys(operatorCases) as OpName[])('computes %s', async (op) => {
    await fc.assert(
      fc.asyncProperty(casesOf(op), fc.nat(), async (operatorCase, seed) => {
        await compare(build(op, operatorCase as never, seed));
      }),
      { numRuns: RUNS },
    );
  });

  it.each(Object.keys(operatorCases) as OpName[])('computes %s on onnxruntime-web', async (op) => {
    await fc.assert(
      fc.asyncProperty(casesOf(op), fc.nat(), async (operatorCase, seed) => {
        await compare(build(op, operatorCase as never, seed), runInWeb);
      }),
      { numRuns: WEB_RUNS },
    );
  });

  // Found at random, kept for good: outputs that see padding only.
  it('computes the gradients of a convolution whose padding is wider than its kernel', async () => {
    const geometry = { strides: [1, 1], pads: [0, 2, 0, 1], groups: 1 } as const;
    const kernel = [1, 1] as const;
    const [x, weight, y] = [{ shape: [1, 1, 1, 1] }, { shape: [1, 1, 1, 1] }, { shape: [1, 1, 1, 4] }].map(
      ({ shape }) => ({ shape, values: 'signed' }) as const,
    );
    await compare(build('ConvInputGrad', { attributes: { ...geometry, inputSize: [1, 1] }, inputs: [y!, weight!] }, 1));
    await compare(build('ConvWeightGrad', { attributes: { ...geometry, kernel }, inputs: [x!, y!] }, 1));
  });

  it('computes the filter gradient of a convolution whose windows reach no input', async () => {
    const attributes = { strides: [3, 1], pads: [3, 0, 0, 0], groups: 1, kernel: [2, 1] } as const;
    const one = { shape: [1, 1, 1, 1], values: 'signed' } as const;
    await compare(build('ConvWeightGrad', { attributes, inputs: [one, one] }, 1));
  });

  it('computes the gradients of a strided convolution that leaves rows and columns unread', async () => {
    const geometry = { strides: [3, 2], pads: [1, 0, 0, 0], groups: 2 } as const;
    const [x, weight, y] = [{ shape: [2, 4, 7, 6] }, { shape: [6, 2, 2, 3] }, { shape: [2, 6, 3, 2] }].map(
      ({ shape }) => ({ shape, values: 'signed' }) as const,
    );
    await compare(build('ConvInputGrad', { attributes: { ...geometry, inputSize: [7, 6] }, inputs: [y!, weight!] }, 1));
    await compare(build('ConvWeightGrad', { attributes: { ...geometry, kernel: [2, 3] }, inputs: [x!, y!] }, 1));
  });

  it.each(Object.keys(operatorCases) as OpName[])('writes %s as a valid model of ai.onnx operators only', (op) => {
    fc.assert(
      fc.property(casesOf(op), (operatorCase) => {
        const model = modelOf(build(op, operatorCase as never, 0));
        expect(findProblems(model)).toEqual([]);
        expect(Object.keys(model.opsets)).toEqual(['']);
        for (const node of model.graph.nodes) expect(node.domain).toBe('');
      }),
      { numRuns: 5 },
    );
  });
});
