import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryModel } from '../../test/onnx-arbitrary.js';
import { exampleModel, floatTensor, int64Tensor, node } from '../../test/onnx-models.js';
import { InputError } from '../errors.js';
import { checkModel, findProblems } from './check.js';
import { decodeModel } from './decode.js';
import { encodeModel } from './encode.js';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxValueInfo } from './model.js';

function withGraph(changes: Partial<OnnxGraph>): OnnxModel {
  const model = exampleModel();
  return { ...model, graph: { ...model.graph, ...changes } };
}

/** x → the nodes → y. */
function withNodes(...nodes: OnnxNode[]): OnnxModel {
  return withGraph({ nodes, inputs: [value('x'), value('z')], outputs: [value('y')], initializers: [] });
}

function value(name: string, shape: OnnxValueInfo['shape'] = ['N', 4]): OnnxValueInfo {
  return { name, dtype: 'float32', shape };
}

const relu = (name: string, input: string, output: string) => node(name, 'Relu', [input], [output]);

const inner: OnnxGraph = {
  name: 'inner',
  nodes: [relu('inside', 'x', 'i')],
  inputs: [],
  outputs: [{ name: 'i', dtype: 'other', elementType: 0, shape: null }],
  initializers: [],
};

function withInner(changes: Partial<OnnxGraph>): OnnxModel {
  const graph = { ...inner, ...changes };
  return withNodes(
    node('if', 'If', ['z'], ['y'], {
      then_branch: { type: 'graph', value: graph },
      else_branch: { type: 'graph', value: inner },
    }),
  );
}

describe('checkModel', () => {
  it('takes a valid model, also after writing and reading it', () => {
    checkModel(exampleModel());
    checkModel(decodeModel(encodeModel(exampleModel()), 'm.onnx'));
  });

  it('takes operators of other domains and names used in graphs inside nodes', () => {
    checkModel(withNodes(node('n', 'FusedThing', ['x'], ['y'], { any: { type: 'int', value: 1 } }, 'com.microsoft')));
    expect(findProblems(withInner({}))).toEqual([]);
  });

  it('says where, the first problem and how many more there are', () => {
    const model = withNodes(relu('first', 'a', 'b'), relu('second', 'b', 'c'));
    const error = (() => {
      try {
        checkModel(model, { where: 'm.onnx' });
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({
      code: 'ONNX_CHECK',
      message: 'm.onnx: not a valid ONNX model: node "first" (Relu): input "a" is defined nowhere (and 1 more)',
    });
  });
});

describe('findProblems', () => {
  it('says in one line each what is wrong with any model, and never throws', () => {
    fc.assert(
      fc.property(arbitraryModel, fc.boolean(), (model, foreign) => {
        for (const problem of findProblems(model, { foreign })) expect(problem).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]+$/u);
      }),
      { numRuns: 200 },
    );
  });

  it('is quick where a graph in each of many nodes sees many names', () => {
    const many = Array.from({ length: 10_000 }, (_, index) =>
      relu('', index === 0 ? 'x' : `v${index - 1}`, `v${index}`),
    );
    const branch = { type: 'graph' as const, value: { ...inner, nodes: [relu('', 'v0', 'i')] } };
    const ifs = many.map((_, index) =>
      node('', 'If', ['z'], [index === 0 ? 'y' : `y${index}`], { then_branch: branch, else_branch: branch }),
    );
    const start = performance.now();
    expect(findProblems(withNodes(...many, ...ifs))).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

describe('a rule is broken by', () => {
  const example = exampleModel();

  it.each<[string, OnnxModel, string]>([
    // the model
    ['no ir_version', { ...example, irVersion: 0 }, 'ir_version is 0, must be 1 to 13'],
    ['a version of the format to come', { ...example, irVersion: 14 }, 'ir_version is 14, must be 1 to 13'],
    [
      'an opset to come',
      { ...example, opsets: { ...example.opsets, '': 27 } },
      'opset of domain "ai.onnx" is 27, must be 1 to 26',
    ],
    [
      'an impossible opset of another domain',
      { ...example, opsets: { '': 17, 'com.microsoft': 0 } },
      'opset of domain "com.microsoft" is 0, must be a whole number from 1',
    ],
    // names of the graph
    ['a graph without name', withGraph({ name: '' }), 'the graph has no name'],
    ['a graph without outputs', withGraph({ outputs: [] }), 'the graph has no outputs'],
    [
      'an input without name',
      withGraph({ inputs: [...example.graph.inputs, value('')] }),
      'an input of the graph has no name',
    ],
    [
      'two inputs of one name',
      withGraph({ inputs: [...example.graph.inputs, value('x', ['N', 2, 4, 4])] }),
      'input "x" is defined before; each name must be defined once',
    ],
    [
      'two initializers of one name',
      withGraph({ initializers: [...example.graph.initializers, floatTensor('one', [], [1])] }),
      'initializer "one" is defined before; each name must be defined once',
    ],
    [
      'an initializer without name',
      withGraph({ initializers: [...example.graph.initializers, floatTensor('', [], [1])] }),
      'an initializer has no name',
    ],
    [
      'an initializer that is an input',
      withGraph({ inputs: [...example.graph.inputs, { name: 'one', dtype: 'float32', shape: [] }] }),
      'initializer "one" is an input of the graph too; its value would be fixed',
    ],
    [
      'an initializer that is no input in an old version',
      {
        ...withNodes(relu('n', 'x', 'y')),
        irVersion: 3,
        graph: { ...withNodes(relu('n', 'x', 'y')).graph, initializers: [floatTensor('w', [], [1])] },
      },
      'initializer "w" must also be an input in IR versions before 4',
    ],
    ['an output that nothing produces', withNodes(relu('n', 'x', 'w')), 'output "y" is produced by no node'],
    [
      'an output listed twice',
      withGraph({ outputs: [...example.graph.outputs, ...example.graph.outputs] }),
      'output "y" is listed twice',
    ],
    [
      'an output without name',
      withGraph({ outputs: [...example.graph.outputs, value('')] }),
      'an output of the graph has no name',
    ],
    // types
    [
      'an input without type',
      withGraph({ inputs: [...example.graph.inputs, { name: 't', dtype: 'other', elementType: 0, shape: null }] }),
      'input "t" has no type',
    ],
    [
      'an input of unknown rank',
      withGraph({ inputs: [...example.graph.inputs, value('t', null)] }),
      'input "t" has no shape',
    ],
    [
      'a negative dimension',
      withGraph({ inputs: [...example.graph.inputs, value('t', [2, -1])] }),
      'input "t" has dimension -1 in [2, -1], must be a whole number from 0 or a name',
    ],
    [
      'a dimension of empty name',
      withGraph({ inputs: [...example.graph.inputs, value('t', [''])] }),
      'input "t" has dimension \'\' in [""], must be a whole number from 0 or a name',
    ],
    [
      'a shape of too many elements',
      withGraph({ inputs: [...example.graph.inputs, value('t', [2 ** 40, 0, 2 ** 40])] }),
      'input "t" has a shape [1099511627776, 0, 1099511627776] of more than 2^53 elements',
    ],
    [
      'an initializer of the wrong size',
      withGraph({ initializers: [...example.graph.initializers, floatTensor('w', [3], [1])] }),
      'initializer "w" has 4 bytes of data, its shape [3] needs 12',
    ],
    [
      'an initializer of no known type',
      withGraph({ initializers: [...example.graph.initializers, { ...floatTensor('w', [], [1]), dtype: 'other' }] }),
      'initializer "w" has no known element type',
    ],
    [
      'a value info whose shape contradicts the output',
      withGraph({ valueInfos: [value('y', ['N', 4, 1])] }),
      'value info "y" is declared in two ways: ["N", ?] and ["N", 4, 1]',
    ],
    [
      'a value info whose type contradicts the input',
      withGraph({ valueInfos: [{ name: 'x', dtype: 'int64', shape: null }] }),
      'value info "x" is declared in two ways: FLOAT and INT64',
    ],
    ['a value info given twice', withGraph({ valueInfos: [value('h'), value('h')] }), 'value info "h" is given twice'],
    [
      'a value info of nothing',
      withGraph({ valueInfos: [value('nowhere')] }),
      'value info "nowhere" is of a value that nothing defines',
    ],
    // nodes
    [
      'two nodes of one name',
      withNodes(relu('n', 'x', 'a'), relu('n', 'a', 'y')),
      'node "n" (Relu): another node has the same name',
    ],
    ['a node without operator', withNodes(node('n', '', ['x'], ['y'])), 'node "n" (): has no operator type'],
    [
      'a domain that is not imported',
      withNodes(node('n', 'Op', ['x'], ['y'], {}, 'org.example')),
      'node "n" (org.example.Op): domain "org.example" is not among the opset imports',
    ],
    ['an unknown operator', withNodes(node('', 'Rely', ['x'], ['y'])), 'node 0 (Rely): is not an operator of ai.onnx'],
    [
      'an operator of a later opset',
      withNodes(node('n', 'Gelu', ['x'], ['y'])),
      'node "n" (Gelu): is an operator from opset 20 on, the model imports 17',
    ],
    [
      'a deprecated operator',
      withNodes(node('n', 'Upsample', ['x', 'z'], ['y'])),
      'node "n" (Upsample): is deprecated from opset 10 on, the model imports 17',
    ],
    ['too many inputs', withNodes(node('n', 'Relu', ['x', 'z'], ['y'])), 'node "n" (Relu): has 2 inputs, must have 1'],
    [
      'too few inputs',
      withNodes(node('n', 'Concat', [], ['y'], { axis: { type: 'int', value: 0 } })),
      'node "n" (Concat): has 0 inputs, must have 1 or more',
    ],
    [
      'too many outputs',
      withNodes(node('n', 'Dropout', ['x'], ['y', 'm', 'k'])),
      'node "n" (Dropout): has 3 outputs, must have 1 to 2',
    ],
    [
      'a required input left out',
      withNodes(node('n', 'Add', ['', 'x'], ['y'])),
      'node "n" (Add): input 0 is left out, it is required',
    ],
    [
      'an attribute that the operator does not have',
      withNodes(node('n', 'Softmax', ['x'], ['y'], { dim: { type: 'int', value: 1 } })),
      'node "n" (Softmax): has no attribute "dim"; allowed: axis',
    ],
    [
      'an attribute that became an input',
      withNodes(node('n', 'ReduceSum', ['x'], ['y'], { axes: { type: 'ints', value: [1] } })),
      'node "n" (ReduceSum): has no attribute "axes"; allowed: keepdims, noop_with_empty_axes',
    ],
    [
      'an attribute of the wrong type',
      withNodes(node('n', 'Softmax', ['x'], ['y'], { axis: { type: 'float', value: 1 } })),
      'node "n" (Softmax): attribute "axis" has type float, must be int',
    ],
    [
      'a required attribute left out',
      withNodes(node('n', 'Cast', ['x'], ['y'])),
      'node "n" (Cast): lacks the attribute "to"',
    ],
    [
      'an attribute without name',
      withNodes(node('n', 'Op', ['x'], ['y'], { '': { type: 'int', value: 1 } }, 'com.microsoft')),
      'node "n" (com.microsoft.Op): an attribute has no name',
    ],
    [
      'an attribute whose tensor has the wrong size',
      withNodes(node('n', 'Constant', [], ['y'], { value: { type: 'tensor', value: int64Tensor('', [2], [1n]) } })),
      'node "n" (Constant): attribute "value" has 8 bytes of data, its shape [2] needs 16',
    ],
    [
      'a constant without value',
      withNodes(node('n', 'Constant', [], ['y'])),
      'node "n" (Constant): has 0 attributes, must have one, its value',
    ],
    // the order of values
    [
      'an input that is defined nowhere',
      withNodes(relu('n', 'w', 'y')),
      'node "n" (Relu): input "w" is defined nowhere',
    ],
    [
      'nodes out of order',
      withNodes(relu('b', 'h', 'y'), relu('a', 'x', 'h')),
      'node "b" (Relu): input "h" is produced only by node "a" (Relu): not in topological order',
    ],
    [
      'a node that feeds itself',
      withNodes(node('n', 'Add', ['x', 'y'], ['y'])),
      'node "n" (Add): input "y" is produced only by node "n" (Add): not in topological order',
    ],
    [
      'a value that two nodes produce',
      withNodes(relu('a', 'x', 'y'), relu('b', 'x', 'y')),
      'node "b" (Relu): output "y" is defined before; each name must be defined once',
    ],
    [
      'a node that produces an input',
      withNodes(relu('a', 'x', 'z'), relu('b', 'x', 'y')),
      'node "a" (Relu): output "z" is defined before; each name must be defined once',
    ],
    // graphs inside nodes
    [
      'an unknown name inside',
      withInner({ nodes: [relu('inside', 'w', 'i')] }),
      'node "if" (If): attribute "then_branch": node "inside" (Relu): input "w" is defined nowhere',
    ],
    [
      'an outer name defined again inside',
      withInner({ nodes: [relu('inside', 'z', 'x'), relu('more', 'x', 'i')] }),
      'node "if" (If): attribute "then_branch": node "inside" (Relu): output "x" is defined before; each name must be defined once',
    ],
    [
      "the node's own output used inside",
      withInner({ nodes: [relu('inside', 'y', 'i')] }),
      'node "if" (If): attribute "then_branch": node "inside" (Relu): input "y" is defined nowhere',
    ],
  ])('%s', (_, model, problem) => {
    expect(findProblems(model)).toEqual([problem]);
    expect(() => checkModel(model)).toThrow(InputError);
  });

  it('no opset at all, for every node', () => {
    const problems = findProblems({ ...withNodes(relu('n', 'x', 'y')), opsets: {} });
    expect(problems).toEqual(['no opset is imported', 'node "n" (Relu): domain "" is not among the opset imports']);
  });
});

describe('options', () => {
  const bothInputAndInitializer = withGraph({
    inputs: [...exampleModel().graph.inputs, { name: 'one', dtype: 'float32', shape: [] }],
  });

  it('let initializers be inputs, if they agree', () => {
    expect(findProblems(bothInputAndInitializer, { initializersAsInputs: true })).toEqual([]);
    const different = withGraph({
      inputs: [...exampleModel().graph.inputs, { name: 'one', dtype: 'float32', shape: [2] }],
    });
    expect(findProblems(different, { initializersAsInputs: true })).toEqual([
      'initializer "one" is declared in two ways: [2] and []',
    ]);
  });

  it("let another exporter's model be loose where runtimes are, and no further", () => {
    const model: OnnxModel = {
      ...bothInputAndInitializer,
      graph: {
        ...bothInputAndInitializer.graph,
        outputs: [value('y', null), value('y', null)],
        nodes: bothInputAndInitializer.graph.nodes.map((node) => ({ ...node, name: 'same' })),
        valueInfos: [value('optimised away')],
      },
    };
    expect(findProblems(model, { foreign: true })).toEqual([]);
    expect(findProblems(model)).toHaveLength(10);
    expect(findProblems(withNodes(node('n', 'Rely', ['x'], ['y'])), { foreign: true })).toHaveLength(1);
  });
});
