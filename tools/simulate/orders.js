/** The order in which a stage of a pipelined back-propagation handles the micro-batches of one step. Pure functions; micro-batches count from 0. */

/** @typedef {{ phase: 'forward' | 'backward', microBatch: number }} Turn */

/** @typedef {(stage: number, stages: number, microBatches: number) => Turn[]} Order */

/**
 * GPipe (Huang et al., 2019): all forward passes, then all backward passes in reverse. Two stages, three micro-batches:
 *
 *     stage 0   F0 F1 F2 B2 B1 B0
 *     stage 1   F0 F1 F2 B2 B1 B0
 *
 * @type {Order}
 */
export const gpipe = (_stage, _stages, microBatches) => [
  ...range(0, microBatches).map(forward),
  ...range(0, microBatches).reverse().map(backward),
];

/**
 * 1F1B with a flush at each step (PipeDream-Flush, Narayanan et al., 2021): as many forward passes as there are stages above, then one
 * forward and one backward pass in turn. Two stages, three micro-batches:
 *
 *     stage 0   F0 F1 B0 F2 B1 B2
 *     stage 1   F0 B0 F1 B1 F2 B2
 *
 * @type {Order}
 */
export const oneForwardOneBackward = (stage, stages, microBatches) => {
  const ahead = Math.min(stages - 1 - stage, microBatches);
  return [
    ...range(0, ahead).map(forward),
    ...range(ahead, microBatches).flatMap((i) => [forward(i), backward(i - ahead)]),
    ...range(microBatches - ahead, microBatches).map(backward),
  ];
};

const forward = (microBatch) => ({ phase: 'forward', microBatch });
const backward = (microBatch) => ({ phase: 'backward', microBatch });

const range = (first, end) => Array.from({ length: end - first }, (_, i) => first + i);
