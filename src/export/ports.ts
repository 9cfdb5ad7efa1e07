/** The input and the output of an image classifier, found in its graph and held against what is allowed. */
import { InputError } from '../errors.js';
import { quoted } from '../files/printable.js';
import { elementCount } from '../files/tensor.js';
import type { OnnxGraph, OnnxValueInfo } from '../onnx/model.js';

export interface ClassifierPorts {
  /** Name of the input. */
  readonly input: string;
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
  /** Images that the model takes at once; null: any number. */
  readonly batch: number | null;
  /** Name of the output. */
  readonly output: string;
}

/** Of what runs at once where the batch is fixed, of one image elsewhere: 256 MiB. */
const maxElements = 2 ** 26;

const allowedInput = `one float32 input [N, channels, height, width], all but N fixed, of at most ${maxElements} elements`;
const allowedOutput = 'one float32 output [N, classes]';

/**
 * @param file for messages
 * @throws InputError `CLASSIFIER_INPUT`, `CLASSIFIER_OUTPUT`
 */
export function classifierPorts(graph: OnnxGraph, file: string): ClassifierPorts {
  const bound = new Set(graph.initializers.map(({ name }) => name)); // old exporters list weights as inputs, too
  const inputs = graph.inputs.filter(({ name }) => !bound.has(name));
  const [input] = inputs;
  const image = input && imageOf(input);
  if (!input || inputs.length > 1 || !image) {
    throw new InputError('CLASSIFIER_INPUT', `${file}: inputs: found ${listed(inputs)}, allowed: ${allowedInput}`);
  }
  const [output] = graph.outputs;
  if (!output || graph.outputs.length > 1 || !mayBeScores(output)) {
    throw new InputError(
      'CLASSIFIER_OUTPUT',
      `${file}: outputs: found ${listed(graph.outputs)}, allowed: ${allowedOutput}`,
    );
  }
  const batch = input.shape?.[0];
  return { input: input.name, image, batch: typeof batch === 'number' ? batch : null, output: output.name };
}

function imageOf(info: OnnxValueInfo): [number, number, number] | null {
  if (!isFloat(info) || info.shape?.length !== 4) return null;
  const [batch, ...image] = info.shape;
  const fixed = [typeof batch === 'number' ? batch : 1, ...image];
  if (!fixed.every((dim) => typeof dim === 'number' && dim > 0)) return null;
  return elementCount(fixed as number[]) <= maxElements ? (image as [number, number, number]) : null;
}

/** What the file leaves open is seen when the model runs. */
function mayBeScores(info: OnnxValueInfo): boolean {
  return isFloat(info) && (info.shape === null || info.shape.length === 2);
}

const isFloat = ({ dtype, container }: OnnxValueInfo): boolean => dtype === 'float32' && container === undefined;

function listed(infos: readonly OnnxValueInfo[]): string {
  if (infos.length === 0) return 'none';
  const shown = infos.slice(0, 4).map(described);
  return infos.length > shown.length ? `${shown.join(', ')} and ${infos.length - shown.length} more` : shown.join(', ');
}

function described({ name, dtype, shape, container }: OnnxValueInfo): string {
  const dims = shape === null ? 'of unknown rank' : `[${shape.map((dim) => dim ?? '?').join(', ')}]`;
  const type = dtype === 'other' ? 'another type' : dtype;
  return container === undefined ? `${quoted(name, 60)} ${type} ${dims}` : `${quoted(name, 60)}, no tensor`;
}
