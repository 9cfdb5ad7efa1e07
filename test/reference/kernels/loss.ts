/** Reference kernels of the losses. */
import type { LossOps } from '../../../src/graph/ops/loss.js';
import type { KernelsFor } from '../kernel.js';
import type { Tensor } from '../tensor.js';

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

const rows = ({ shape, data }: Tensor): Float64Array[] =>
  Array.from({ length: shape[0]! }, (_, row) => data.slice(row * shape[1]!, (row + 1) * shape[1]!));

function softmax(logits: Float64Array): Float64Array {
  const largest = Math.max(...logits);
  const powers = logits.map((z) => Math.exp(z - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** What a label stands for. */
const target = (own: boolean, classes: number, smoothing: number): number =>
  (own ? 1 - smoothing : 0) + smoothing / classes;

export const lossKernels: KernelsFor<LossOps> = {
  SoftmaxCrossEntropy: ([logits, labels], { smoothing }) => {
    const losses = rows(logits!).map((row, n) =>
      softmax(row).reduce(
        (loss, p, label) => loss - target(label === labels!.data[n], row.length, smoothing) * Math.log(p),
        0,
      ),
    );
    return [Float64Array.of(losses.reduce((sum, loss) => sum + loss, 0) / losses.length)];
  },
  SoftmaxCrossEntropyGrad: ([logits, labels, cotangent], { smoothing }) => {
    const [batch] = logits!.shape;
    const gradients = rows(logits!).map((row, n) =>
      softmax(row).map((p, label) => {
        return ((p - target(label === labels!.data[n], row.length, smoothing)) * cotangent!.data[0]!) / batch!;
      }),
    );
    return [Float64Array.from(gradients.flatMap((row) => [...row]))];
  },
  BinaryCrossEntropy: ([logits, targets]) => {
    const losses = logits!.data.map((z, at) => {
      const t = targets!.data[at]!;
      return -(t * Math.log(sigmoid(z)) + (1 - t) * Math.log(1 - sigmoid(z)));
    });
    return [Float64Array.of(losses.reduce((sum, loss) => sum + loss, 0) / losses.length)];
  },
  BinaryCrossEntropyGrad: ([logits, targets, cotangent]) => {
    const elements = logits!.data.length;
    return [logits!.data.map((z, at) => ((sigmoid(z) - targets!.data[at]!) * cotangent!.data[0]!) / elements)];
  },
};
