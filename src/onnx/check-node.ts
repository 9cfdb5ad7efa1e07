/** Checks of one node against its operator's signature. What its names stand for is the graph's matter. */
import { tensorProblem } from './check-types.js';
import type { OnnxAttribute, OnnxModel, OnnxNode } from './model.js';
import { MAX_OPSET, signatureOf, whyUnknown } from './operators.js';
import type { Count, Signature } from './operators.js';
import { quote } from './quote.js';

/** Reports what is wrong with a node. */
export function checkNode(node: OnnxNode, opsets: OnnxModel['opsets'], report: (problem: string) => void): void {
  for (const [name, attribute] of Object.entries(node.attributes)) {
    if (name === '') report('an attribute has no name');
    const problem = attribute.type === 'tensor' ? tensorProblem(attribute.value) : undefined;
    if (problem !== undefined) report(`attribute ${quote(name)} ${problem}`);
  }
  if (node.opType === '') return report('has no operator type');
  if (!Object.hasOwn(opsets, node.domain)) return report(`domain ${quote(node.domain)} is not among the opset imports`);
  // Operators of other domains belong to whoever runs them.
  if (node.domain !== '') return;
  const opset = opsets[''] as number;
  // That the opset is too new is the model's problem, not each node's.
  if (opset > MAX_OPSET) return;
  const reason = whyUnknown(node.opType, opset);
  if (reason !== undefined) return report(reason);
  const signature = signatureOf(node.opType, opset);
  if (signature !== undefined) checkSignature(node, signature, report);
}

function checkSignature(node: OnnxNode, signature: Signature, report: (problem: string) => void): void {
  checkCount('input', node.inputs, signature.inputs, report);
  checkCount('output', node.outputs, signature.outputs, report);
  checkAttributes(node.attributes, signature, report);
  if (node.opType === 'Constant' && Object.keys(node.attributes).length !== 1) {
    report(`has ${Object.keys(node.attributes).length} attributes, must have one, its value`);
  }
}

function checkCount(what: string, names: readonly string[], count: Count, report: (problem: string) => void): void {
  if (names.length < count.min || names.length > count.max) {
    report(`has ${names.length} ${what}s, must have ${range(count)}`);
  }
  const leftOut = names.slice(0, count.min).indexOf('');
  if (leftOut >= 0) report(`${what} ${leftOut} is left out, it is required`);
}

function range({ min, max }: Count): string {
  if (max === Infinity) return `${min} or more`;
  return min === max ? `${min}` : `${min} to ${max}`;
}

function checkAttributes(
  attributes: Readonly<Record<string, OnnxAttribute>>,
  signature: Signature,
  report: (problem: string) => void,
): void {
  for (const [name, { type }] of Object.entries(attributes)) {
    const expected = signature.attributes.get(name);
    if (expected === undefined) {
      const allowed = [...signature.attributes.keys()].join(', ') || 'none';
      report(`has no attribute ${quote(name)}; allowed: ${allowed}`);
      // A value that was not carried may be of any type.
    } else if (type !== expected.type && type !== 'other') {
      report(`attribute ${quote(name)} has type ${type}, must be ${expected.type}`);
    }
  }
  for (const [name, { required }] of signature.attributes) {
    if (required && !Object.hasOwn(attributes, name)) report(`lacks the attribute ${quote(name)}`);
  }
}
