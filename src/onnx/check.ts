/**
 * Whether a model is one that ONNX allows: the rules of ONNX's own checker that a file can break, and a few that it does not
 * have. Types and shapes are not inferred through the operators; tools/check-onnx.py does that.
 */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { checkGraph } from './check-graph.js';
import type { OnnxModel } from './model.js';
import { MAX_OPSET } from './operators.js';
import { quote } from './quote.js';

/** The newest version of the file format that ONNX Runtime 1.30 loads. */
export const MAX_IR_VERSION = 13;

export interface CheckOptions {
  /** What the model is called in the message, e.g. its file. */
  readonly where?: string;
  /**
   * The model is not hpff's. Then inputs and outputs of unknown rank, nodes of equal names, outputs listed twice, types of
   * values that were optimised away, and initializers that are inputs too are let pass: exporters write them and runtimes
   * take them.
   */
  readonly foreign?: boolean;
  /** Initializers may be inputs too; ONNX Runtime then ignores what is fed to those inputs. */
  readonly initializersAsInputs?: boolean;
}

/**
 * Checks a model.
 * @throws InputError ONNX_CHECK with the first problem, its node and the rule, and the number of further ones
 */
export function checkModel(model: OnnxModel, options: CheckOptions = {}): void {
  const [first, ...more] = findProblems(model, options);
  if (first === undefined) return;
  const where = printable(options.where ?? 'model');
  const rest = more.length === 0 ? '' : ` (and ${more.length} more)`;
  throw new InputError('ONNX_CHECK', `${where}: not a valid ONNX model: ${first}${rest}`);
}

/** All that is wrong with a model, a line each; empty if nothing is. */
export function findProblems(model: OnnxModel, options: CheckOptions = {}): string[] {
  const problems: string[] = [];
  const report = (problem: string): void => void problems.push(problem);
  if (!Number.isInteger(model.irVersion) || model.irVersion < 1 || model.irVersion > MAX_IR_VERSION) {
    report(`ir_version is ${model.irVersion}, must be 1 to ${MAX_IR_VERSION}`);
  }
  checkOpsets(model.opsets, report);
  const foreign = options.foreign ?? false;
  const initializersAsInputs = ruleForInitializers(model.irVersion, options.initializersAsInputs ?? foreign);
  checkGraph(model.graph, { opsets: model.opsets, foreign, initializersAsInputs }, report);
  return problems;
}

function ruleForInitializers(irVersion: number, allowed: boolean): 'must' | 'may' | 'must not' {
  if (irVersion >= 1 && irVersion < 4) return 'must';
  return allowed ? 'may' : 'must not';
}

function checkOpsets(opsets: Readonly<Record<string, number>>, report: (problem: string) => void): void {
  if (Object.keys(opsets).length === 0) report('no opset is imported');
  for (const [domain, version] of Object.entries(opsets)) {
    const max = domain === '' ? MAX_OPSET : Number.MAX_SAFE_INTEGER;
    if (Number.isSafeInteger(version) && version >= 1 && version <= max) continue;
    const allowed = domain === '' ? `must be 1 to ${MAX_OPSET}` : 'must be a whole number from 1';
    report(`opset of domain ${quote(domain || 'ai.onnx')} is ${version}, ${allowed}`);
  }
}
