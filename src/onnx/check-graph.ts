/** Checks of a graph: every name is defined once and before it is used, and what is declared about it agrees. */
import { printable } from '../files/printable.js';
import { checkNode } from './check-node.js';
import { contradiction, dimensionsProblem, isTyped, tensorProblem } from './check-types.js';
import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValueInfo } from './model.js';
import { quote } from './quote.js';

/** What the checks of a graph need to know of its model. */
export interface CheckContext {
  readonly opsets: Readonly<Record<string, number>>;
  readonly foreign: boolean;
  /** Whether initializers must be inputs too (as in IR version 3 and before), may be, or must not be. */
  readonly initializersAsInputs: 'must' | 'may' | 'must not';
}

type Report = (problem: string) => void;

/** Reports what is wrong with the graph of a model. */
export function checkGraph(graph: OnnxGraph, context: CheckContext, report: Report): void {
  if (graph.outputs.length === 0) report('the graph has no outputs');
  for (const [what, values] of [
    ['input', graph.inputs],
    ['output', graph.outputs],
  ] as const) {
    for (const value of values) {
      // The graphs inside nodes take their types from the outside; a model has none.
      if (value.container === undefined && !isTyped(value)) report(`${what} ${quote(value.name)} has no type`);
      else if (value.shape === null && !context.foreign) report(`${what} ${quote(value.name)} has no shape`);
    }
  }
  new GraphCheck(graph, context, report, null).run();
}

/** The check of one graph, inside a node or not. */
class GraphCheck {
  /** Names that are defined so far in this graph. */
  private readonly defined = new Set<string>();
  private readonly types = new Map<string, OnnxValueInfo>();

  /** @param outer the check of the graph around this one, whose names can be used here */
  constructor(
    private readonly graph: OnnxGraph,
    private readonly context: CheckContext,
    private readonly report: Report,
    private readonly outer: GraphCheck | null,
  ) {}

  run(): void {
    if (this.graph.name === '') this.report('the graph has no name');
    for (const input of this.graph.inputs) this.input(input);
    const inputs = new Set(this.graph.inputs.map(({ name }) => name));
    for (const tensor of this.graph.initializers) this.initializer(tensor, inputs.has(tensor.name));
    this.nodes();
    this.outputs();
    this.valueInfos();
  }

  private input(input: OnnxValueInfo): void {
    const what = `input ${quote(input.name)}`;
    if (input.name === '') this.report('an input of the graph has no name');
    else this.define(input.name, what, this.report);
    this.declare(input, what);
  }

  private initializer(tensor: OnnxTensor, isInput: boolean): void {
    const { name } = tensor;
    const what = `initializer ${quote(name)}`;
    const problem = tensorProblem(tensor);
    if (problem !== undefined) this.report(`${what} ${problem}`);
    if (name === '') return this.report('an initializer has no name');
    if (!isInput) this.define(name, what, this.report);
    const rule = this.context.initializersAsInputs;
    if (rule === 'must' && !isInput) this.report(`${what} must also be an input in IR versions before 4`);
    if (rule === 'must not' && isInput) this.report(`${what} is an input of the graph too; its value would be fixed`);
    this.declare(tensor, what);
  }

  private nodes(): void {
    const names = new Set<string>();
    const producers = this.producers();
    for (const [index, node] of this.graph.nodes.entries()) {
      const report: Report = (problem) => this.report(`${nodeLabel(node, index)}: ${problem}`);
      if (node.name !== '' && names.has(node.name) && !this.context.foreign) report('another node has the same name');
      names.add(node.name);
      checkNode(node, this.context.opsets, report);
      this.uses(node, producers, report);
      this.innerGraphs(node, report);
      for (const output of node.outputs) if (output !== '') this.define(output, `output ${quote(output)}`, report);
    }
  }

  /** Value name → the node that produces it first. */
  private producers(): Map<string, string> {
    const producers = new Map<string, string>();
    for (const [index, node] of this.graph.nodes.entries()) {
      for (const output of node.outputs) {
        if (!producers.has(output)) producers.set(output, nodeLabel(node, index));
      }
    }
    return producers;
  }

  private uses(node: OnnxNode, producers: ReadonlyMap<string, string>, report: Report): void {
    for (const input of node.inputs) {
      if (input === '' || this.isDefined(input)) continue;
      const producer = producers.get(input);
      const reason =
        producer === undefined ? 'is defined nowhere' : `is produced only by ${producer}: not in topological order`;
      report(`input ${quote(input)} ${reason}`);
    }
  }

  private innerGraphs(node: OnnxNode, report: Report): void {
    for (const [name, attribute] of Object.entries(node.attributes)) {
      if (attribute.type !== 'graph') continue;
      const inner: Report = (problem) => report(`attribute ${quote(name)}: ${problem}`);
      new GraphCheck(attribute.value, this.context, inner, this).run();
    }
  }

  private outputs(): void {
    const names = new Set<string>();
    for (const output of this.graph.outputs) {
      const what = `output ${quote(output.name)}`;
      if (output.name === '') this.report('an output of the graph has no name');
      else if (!this.isDefined(output.name)) this.report(`${what} is produced by no node`);
      if (output.name !== '' && names.has(output.name) && !this.context.foreign) this.report(`${what} is listed twice`);
      names.add(output.name);
      this.declare(output, what);
    }
  }

  private valueInfos(): void {
    const names = new Set<string>();
    for (const value of this.graph.valueInfos ?? []) {
      const what = `value info ${quote(value.name)}`;
      if (names.has(value.name)) this.report(`${what} is given twice`);
      if (!this.isDefined(value.name) && !this.context.foreign)
        this.report(`${what} is of a value that nothing defines`);
      names.add(value.name);
      this.declare(value, what);
    }
  }

  private isDefined(name: string): boolean {
    return this.defined.has(name) || (this.outer?.isDefined(name) ?? false);
  }

  private define(name: string, what: string, report: Report): void {
    if (this.isDefined(name)) report(`${what} is defined before; each name must be defined once`);
    this.defined.add(name);
  }

  /** Takes note of a declared type; where there is one already, the two must agree. */
  private declare(value: OnnxValueInfo, what: string): void {
    const problem = value.shape === null ? undefined : dimensionsProblem(value.shape);
    if (problem !== undefined) this.report(`${what} ${problem}`);
    const known = this.types.get(value.name);
    const difference = known === undefined ? undefined : contradiction(known, value);
    if (difference !== undefined) this.report(`${what} is declared in two ways: ${difference}`);
    if (known === undefined) this.types.set(value.name, value);
  }
}

function nodeLabel({ name, domain, opType }: OnnxNode, index: number): string {
  const operator = domain === '' ? opType : `${domain}.${opType}`;
  return `node ${name === '' ? index : quote(name)} (${printable(operator, 100)})`;
}
