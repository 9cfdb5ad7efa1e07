/** Differentiation: every rule against central differences, and the walk that applies them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradients } from '../src/grad/index.js';
import { gradientRules } from '../src/grad/rules/index.js';
import {
  adaptiveAveragePool,
  add,
  batchNormInference,
  batchNormTrain,
  binaryCrossEntropy,
  conv,
  Graph,
  linear,
  mul,
  type OpName,
  relu,
  reluGrad,
  sub,
  type Value,
} from '../src/graph/index.js';
import { shapeRules } from '../src/graph/operators.js';
import { Random } from '../src/random.js';
import { type BuiltCase, build, casesOf, draw, operatorCases } from './operators/index.js';
import { expectClose } from './reference/compare.js';
import { evaluate } from './reference/evaluate.js';

const RUNS = 25;
const STEP = 1e-5;
const TOLERANCE = 1e-6;

const operators = Object.keys(shapeRules) as OpName[];
const withRule = operators.filter((op) => gradientRules[op] !== null);
const withoutRule = operators.filter((op) => gradientRules[op] === null);

/** Outputs that a rule differentiates, where not all; the rest are statistics on the side. */
const differentiableOutputs: Partial<Record<OpName, number>> = { BatchNormTrain: 1 };

type Feeds = Map<string, Float64Array | BigInt64Array>;

/**
 * Compares Σ over elements of gradient·direction with the difference quotient of Σ output·seed along that direction, for each of
 * `variables` (all graph inputs), with random seeds and directions.
 */
function checkGradients(outputs: readonly Value[], variables: readonly Value[], feeds: Feeds, random: Random): void {
  const { graph } = outputs[0]!;
  const all: Feeds = new Map(feeds);
  const seeds = outputs.map((output, i) => {
    const seed = graph.input(`seed${i}`, 'float32', output.shape);
    all.set(`seed${i}`, draw('nonzero', elements(output), random));
    return { output, cotangent: seed };
  });
  const cotangents = gradients(seeds, variables);
  const loss = (at: Feeds): number => {
    const values = evaluate(outputs, at);
    return values.reduce((sum, value, i) => sum + dot(value, all.get(`seed${i}`) as Float64Array), 0);
  };
  evaluate(cotangents, all).forEach((gradient, i) => {
    const variable = variables[i]!;
    expect(cotangents[i]!.shape).toEqual(variable.shape);
    const direction = draw('nonzero', gradient.length, random) as Float64Array;
    const moved = (step: number): Feeds => {
      const point = all.get(nameOf(variable)) as Float64Array;
      return new Map(all).set(
        nameOf(variable),
        point.map((x, at) => x + step * direction[at]!),
      );
    };
    const quotient = (loss(moved(STEP)) - loss(moved(-STEP))) / (2 * STEP);
    const magnitude = gradient.reduce((sum, g, at) => sum + Math.abs(g * direction[at]!), 0);
    const error = Math.abs(dot(gradient, direction) - quotient);
    expect(error, `gradient of ${variable.toString()}`).toBeLessThanOrEqual(TOLERANCE * Math.max(1, magnitude));
  });
}

const elements = (value: Value): number => value.shape.reduce<number>((product, dim) => product * (dim as number), 1);
const nameOf = (value: Value): string => (value.source.kind === 'input' ? value.source.name : '');
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

const seedOf = (output: Value) => ({
  output,
  cotangent: output.graph.constant({
    dtype: 'float32',
    shape: output.shape as number[],
    data: new Float32Array(elements(output)).fill(1),
  }),
});

/** A few of the variables, at least one. */
const chosen = (variables: readonly Value[], mask: number): Value[] => {
  const some = variables.filter((_, i) => mask & (1 << i));
  return some.length > 0 ? some : [...variables];
};

describe('gradient rules', () => {
  it('exist, or are said not to, for every operator, and every operator has random cases', () => {
    expect(Object.keys(gradientRules).sort()).toEqual([...operators].sort());
    expect(Object.keys(operatorCases).sort()).toEqual([...operators].sort());
  });

  it.each(withRule)('%s agrees with central differences', (op) => {
    fc.assert(
      fc.property(casesOf(op), fc.nat(), fc.nat(15), (operatorCase, seed, mask) => {
        const built = build(op, operatorCase as never, seed);
        expect(built.graph.nodes.map((node) => node.op)).toContain(op);
        const outputs = built.outputs.slice(0, differentiableOutputs[op]);
        if (built.variables.length === 0) {
          // Nothing of it can be differentiated: it must let no gradient through.
          expect(() => gradients([seedOf(outputs[0]!)], built.inputs.slice(0, 1))).toThrow(/no seed depends on x0/);
          return;
        }
        checkGradients(outputs, chosen(built.variables, mask), built.feeds, new Random(seed, 'gradients'));
      }),
      { numRuns: RUNS },
    );
  });

  it.each(withoutRule)('%s is itself a gradient: the error names it', (op) => {
    const [operatorCase] = fc.sample(casesOf(op), 1);
    const { outputs, variables }: BuiltCase = build(op, operatorCase as never, 0);
    expect(() => gradients([seedOf(outputs[0]!)], variables)).toThrow(`operator ${op} has no gradient rule`);
  });

  it('agree with central differences through a stack of layers', () => {
    const graph = new Graph('stack');
    const random = new Random(1, 'stack');
    const feeds: Feeds = new Map();
    const input = (name: string, shape: number[]): Value => {
      const value = graph.input(name, 'float32', shape);
      feeds.set(name, draw('signed', elements(value), random));
      return value;
    };
    const x = input('x', [3, 2, 7, 6]);
    const parameters = {
      weight: input('weight', [4, 2, 3, 3]),
      gamma: input('gamma', [4]),
      beta: input('beta', [4]),
      fc: input('fc', [5, 16]),
      bias: input('bias', [5]),
    };
    const h = relu(
      batchNormTrain(conv(x, parameters.weight, { stride: 2, padding: 1 }), parameters.gamma, parameters.beta).y,
    );
    const pooled = adaptiveAveragePool(h, [2, 2]);
    const flat = graph.apply('Reshape', [pooled], { shape: [3, 16] })[0]!;
    const targets = input('targets', [3, 5]);
    const loss = binaryCrossEntropy(linear(flat, parameters.fc, parameters.bias), targets);
    checkGradients([loss], [x, ...Object.values(parameters)], feeds, random);
  });
});

describe('adaptiveAveragePool', () => {
  const sizes = fc.record({
    height: fc.integer({ min: 1, max: 9 }),
    width: fc.integer({ min: 1, max: 9 }),
    rows: fc.integer({ min: 1, max: 4 }),
    columns: fc.integer({ min: 1, max: 4 }),
  });

  it('averages the windows of the definition, even and uneven, and is differentiated right', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), ({ height, width, rows, columns }, seed) => {
        const graph = new Graph('adaptive');
        const random = new Random(seed, 'adaptive');
        const x = graph.input('x', 'float32', [2, 2, height, width]);
        const elementsOfX = draw('signed', elements(x), random) as Float64Array;
        const y = adaptiveAveragePool(x, [rows, columns]);
        const feeds: Feeds = new Map([['x', elementsOfX]]);

        const expected: number[] = [];
        for (let image = 0; image < 4; image++)
          for (let row = 0; row < rows; row++)
            for (let column = 0; column < columns; column++) {
              const pixels: number[] = [];
              for (let h = Math.floor((row * height) / rows); h < Math.ceil(((row + 1) * height) / rows); h++)
                for (
                  let w = Math.floor((column * width) / columns);
                  w < Math.ceil(((column + 1) * width) / columns);
                  w++
                )
                  pixels.push(elementsOfX[(image * height + h) * width + w]!);
              expected.push(pixels.reduce((sum, pixel) => sum + pixel, 0) / pixels.length);
            }
        expect(y.shape).toEqual([2, 2, rows, columns]);
        expectClose(evaluate([y], feeds)[0]!, expected, 1e-6, 'averages');
        checkGradients([y], [x], feeds, random);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('gradients', () => {
  it('adds up what flows into a value that is used twice', () => {
    const graph = new Graph('twice');
    const x = graph.input('x', 'float32', [3]);
    const y = add(mul(x, x), sub(mul(x, 3), x));
    const [dx] = gradients([seedOf(y)], [x]);
    const [result] = evaluate([dx!], new Map([['x', Float64Array.of(1, -2, 5)]]));
    expect([...result!]).toEqual([4, -2, 12]);
  });

  it('adds up the seeds, also two for one output', () => {
    const graph = new Graph('seeds');
    const x = graph.input('x', 'float32', [2]);
    const y = mul(x, 3);
    const z = mul(y, x);
    const [dx] = gradients([seedOf(y), seedOf(y), seedOf(z)], [x]);
    const [result] = evaluate([dx!], new Map([['x', Float64Array.of(1, 2)]]));
    expect([...result!]).toEqual([3 + 3 + 6, 3 + 3 + 12]);
  });

  it('gives the whole cotangent of a value inside, though gradients pass through it', () => {
    const graph = new Graph('inside');
    const x = graph.input('x', 'float32', [2]);
    const h = mul(x, 2);
    const y = mul(h, h);
    const [dh, dx] = gradients([seedOf(y)], [h, x]);
    const results = evaluate([dh!, dx!], new Map([['x', Float64Array.of(1, 3)]]));
    expect(results.map((values) => [...values])).toEqual([
      [4, 12],
      [8, 24],
    ]);
  });

  it('gives the seed itself for an output that is asked for', () => {
    const graph = new Graph('itself');
    const x = graph.input('x', 'float32', [2]);
    const seed = seedOf(x);
    expect(gradients([seed], [x])).toEqual([seed.cotangent]);
    expect(graph.nodes).toHaveLength(0);
  });

  it('can be taken twice from one graph, and of gradients where rules allow', () => {
    const graph = new Graph('second');
    const x = graph.input('x', 'float32', [2]);
    const y = mul(mul(x, x), x);
    const [first] = gradients([seedOf(y)], [x]);
    const [again] = gradients([seedOf(y)], [x]);
    const [second] = gradients([seedOf(first!)], [x]);
    const results = evaluate([first!, again!, second!], new Map([['x', Float64Array.of(1, 2)]]));
    expect(results.map((values) => [...values])).toEqual([
      [3, 12],
      [3, 12],
      [6, 12],
    ]);
  });

  it('emits nothing for a lower part whose parameters are not asked for', () => {
    const graph = new Graph('pruning');
    const x = graph.input('x', 'float32', [2, 3]);
    const lower = graph.input('lower', 'float32', [3, 3]);
    const upper = graph.input('upper', 'float32', [3, 3]);
    const zero = graph.input('zero', 'float32', [3]);
    const h = graph.scoped('lower', () => relu(linear(x, lower, zero)));
    const y = graph.scoped('upper', () => relu(linear(h, upper, zero)));
    const seed = seedOf(y);
    const before = graph.nodes.length;
    gradients([seed], [upper]);
    const emitted = graph.nodes.slice(before);
    expect(emitted.map(({ op }) => op)).toEqual(['ReluGrad', 'MatMul']);
    expect(emitted.every(({ scope }) => scope === 'upper')).toBe(true);
    gradients([seed], [upper, lower]);
    expect(graph.nodes.slice(before).some(({ scope }) => scope === 'lower')).toBe(true);
  });

  it('enters no branch that no seed depends on', () => {
    const graph = new Graph('branches');
    const x = graph.input('x', 'float32', [2]);
    const y = mul(x, 2);
    graph.scoped('side', () => reluGrad(x, relu(x)));
    const seed = seedOf(y);
    const before = graph.nodes.length;
    gradients([seed], [x]);
    expect(graph.nodes.slice(before).map(({ op }) => op)).toEqual(['Mul']);
  });

  it('keeps the scope of a node for its gradient', () => {
    const graph = new Graph('scopes');
    const x = graph.input('x', 'float32', [2]);
    const y = graph.scoped('outer', () => graph.scoped('inner', () => relu(x)));
    const seed = seedOf(y);
    const before = graph.nodes.length;
    graph.scoped('update', () => gradients([seed], [x]));
    expect(graph.nodes.slice(before).map(({ scope }) => scope)).toEqual(['update/outer/inner']);
  });

  describe('refuses', () => {
    const graph = new Graph('net');
    const x = graph.input('x', 'float32', [2, 3]);
    const other = graph.input('other', 'float32', [3]);

    it('an operator without a rule, naming it and where it is', () => {
      const y = graph.scoped('head', () => reluGrad(relu(x), relu(x)));
      expect(() => gradients([seedOf(y)], [x])).toThrow('net/head: operator ReluGrad has no gradient rule');
      const unscoped = reluGrad(relu(x), relu(x));
      expect(() => gradients([seedOf(unscoped)], [x])).toThrow('net: operator ReluGrad has no gradient rule');
    });

    it('an input that no seed depends on', () => {
      expect(() => gradients([seedOf(relu(x))], [other])).toThrow('no seed depends on other: float32[3]');
      // It depends on the input, but is not what the seed is on.
      const y = relu(x);
      mul(y, other);
      expect(() => gradients([seedOf(y)], [other])).toThrow('no seed depends on other: float32[3]');
    });

    it('a cotangent of another shape', () => {
      const y = mul(x, 2);
      expect(() => gradients([{ output: y, cotangent: other }], [x])).toThrow(
        /cotangent other: float32\[3\] does not fit %\d+: float32\[2, 3\]/,
      );
    });

    it('no seeds, and values of another graph', () => {
      expect(() => gradients([], [x])).toThrow('gradients: at least one seed is needed');
      const foreign = new Graph('foreign').input('z', 'float32', [2, 3]);
      expect(() => gradients([seedOf(relu(x))], [foreign])).toThrow(
        'gradients: z: float32[2, 3] belongs to graph foreign',
      );
      expect(() => gradients([seedOf(relu(x)), seedOf(foreign)], [x])).toThrow(/belongs to graph foreign/);
      expect(() => gradients([{ output: relu(x), cotangent: foreign }], [x])).toThrow(/belongs to graph foreign/);
    });

    it('the statistics of batch normalisation, and its parameters where they are held fixed', () => {
      const [gamma, beta] = [graph.input('gamma', 'float32', [3]), graph.input('beta', 'float32', [3])];
      const { mean } = graph.scoped('bn', () => batchNormTrain(x, gamma, beta));
      expect(() => gradients([seedOf(mean)], [x])).toThrow(
        'net/bn: BatchNormTrain: only y can be differentiated, not its statistics',
      );
      const y = graph.scoped('bn', () => batchNormInference(x, gamma, beta, other, other));
      expect(() => gradients([seedOf(y)], [gamma])).toThrow('net/bn: BatchNormInference: only x can be differentiated');
    });

    it('the targets of binary cross-entropy', () => {
      const loss = graph.scoped('loss', () => binaryCrossEntropy(x, mul(x, 2)));
      expect(() => gradients([seedOf(loss)], [x])).toThrow(
        'net/loss: BinaryCrossEntropy: targets cannot be differentiated',
      );
    });
  });
});
