/** From measured modules to the workers of a simulation: modules that learn locally, and stages of plain back-propagation. Pure. */

/** @typedef {import('./simulator.js').Worker} Worker */
/** @typedef {import('./simulator.js').Task} Task */

/**
 * @typedef {object} Port what a task reads or makes besides weights
 * @property {string} name
 * @property {string} meaning as in a manifest: feature, stash, cotangent, relay, image, …
 * @property {number} bytes
 */

/**
 * @typedef {object} Module measured
 * @property {readonly { phase: string, rank: number, seconds: number, reads: readonly Port[], makes: readonly Port[] }[]} tasks of one step;
 *   `rank`: place in the order of a synchronous step
 * @property {{ forwardSeconds: number, backwardSeconds: number, optimizerSeconds: number }} backPropagation of its part of the network
 */

/** @typedef {typeof import('../../src/pipeline/schedule.js').moduleSchedule} Schedule */

/**
 * Modules that learn locally, one worker each.
 *
 * @param {readonly Module[]} modules
 * @param {object} setting
 * @param {Schedule} setting.schedule
 * @param {number} setting.delay
 * @param {number} setting.steps
 * @param {readonly number[]} setting.stages device of each module
 * @param {boolean} [setting.float16] send features and relays in half the bytes
 * @returns {Worker[]}
 */
export function localWorkers(modules, { schedule, delay, steps, stages, float16 = false }) {
  const relayed = new Set(
    modules.flatMap(({ tasks }) => tasks.flatMap(({ makes }) => makes.filter(isRelay).map(nameOf))),
  );
  return modules.map(({ tasks }, i) => {
    const byPhase = new Map(tasks.map((task) => [task.phase, task]));
    const awaitsRelay = tasks.some(({ reads }) => reads.some(({ name }) => relayed.has(name)));
    const shape = { phases: tasks.map(({ phase }) => phase), awaitsRelay };
    return {
      device: stages[i],
      tasks: schedule(shape, delay, { first: 1, last: steps }).map(({ phase, step }) => {
        const { rank, seconds, reads, makes } = byPhase.get(phase);
        const ofStep = ({ name, bytes }) => ({
          name: `${name}@${step}`,
          bytes,
          sentBytes: float16 ? bytes / 2 : bytes,
        });
        return { name: phase, step, rank, seconds, reads: reads.map(ofStep), makes: makes.map(ofStep) };
      }),
    };
  });
}

const isRelay = ({ meaning }) => meaning === 'relay';
const nameOf = ({ name }) => name;

/**
 * Stages of plain back-propagation, one worker each. A micro-batch takes its part of a batch's time and memory: better than real kernels do on small batches.
 *
 * @param {readonly Module[]} modules what they keep of a batch is taken to be what they keep when they learn locally
 * @param {object} setting
 * @param {import('./orders.js').Order} setting.order
 * @param {number} setting.microBatches
 * @param {number} setting.steps
 * @param {readonly number[]} setting.stages of each module, from 0
 * @param {boolean} [setting.float16]
 * @returns {Worker[]}
 */
export function backPropagationWorkers(modules, { order, microBatches, steps, stages, float16 = false }) {
  const count = stages.at(-1) + 1;
  const part = 1 / microBatches;
  const parts = Array.from({ length: count }, (_, stage) => modules.filter((_, i) => stages[i] === stage));
  const boundary = parts.map((own) => part * featureBytes(own.at(-1)));
  return parts.map((own, stage) => {
    const seconds = (phase) => own.reduce((sum, { backPropagation }) => sum + backPropagation[`${phase}Seconds`], 0);
    const kept = part * own.reduce((sum, module) => sum + keptBytes(module), 0);
    const stashBytes = kept - (stage === count - 1 ? 0 : boundary[stage]);
    const turn = (step, { phase, microBatch }, rank) => {
      const passing = (name, of) => {
        const bytes = boundary[of];
        return { name: `${name}/${of}@${step}.${microBatch}`, bytes, sentBytes: float16 ? bytes / 2 : bytes };
      };
      const below = stage > 0 ? [stage - 1] : [];
      const above = stage < count - 1 ? [stage] : [];
      const stash = { name: `stash/${stage}@${step}.${microBatch}`, bytes: stashBytes };
      const features = (list) => list.map((of) => passing('feature', of));
      const gradients = (list) => list.map((of) => passing('gradient', of));
      return phase === 'forward'
        ? { reads: features(below), makes: [stash, ...features(above)], name: phase, step, rank }
        : {
            reads: [...features(below), stash, ...features(above), ...gradients(above)],
            makes: gradients(below),
            name: phase,
            step,
            rank,
          };
    };
    const turns = order(stage, count, microBatches);
    const times = { forward: part * seconds('forward'), backward: part * seconds('backward') };
    const tasks = Array.from({ length: steps }, (_, i) => [
      ...turns.map((each, rank) => ({ ...turn(i + 1, each, rank), seconds: times[each.phase] })),
      { name: 'optimizer', step: i + 1, rank: turns.length, seconds: seconds('optimizer'), reads: [], makes: [] },
    ]).flat();
    return { device: stage, tasks };
  });
}

/** Of what a module's forward pass makes. */
function keptBytes({ tasks }) {
  const { makes } = tasks.find(({ phase }) => phase === 'forward');
  return makes.reduce((sum, { bytes }) => sum + bytes, 0);
}

function featureBytes({ tasks }) {
  const { makes } = tasks.find(({ phase }) => phase === 'forward');
  return makes.find(({ meaning }) => meaning === 'feature' || meaning === 'logits').bytes;
}

/** @param {Module} module @returns {number} of one batch, when it learns locally */
export const localSeconds = ({ tasks }) => tasks.reduce((sum, { seconds }) => sum + seconds, 0);

/** @param {Module} module @returns {number} of one batch, in plain back-propagation */
export const backPropagationSeconds = ({ backPropagation: { forwardSeconds, backwardSeconds, optimizerSeconds } }) =>
  forwardSeconds + backwardSeconds + optimizerSeconds;

/**
 * Cuts a row of costs into stages of consecutive ones so that the costliest stage costs as little as can be.
 *
 * @param {readonly number[]} costs
 * @param {number} count of stages, at most as many as costs
 * @returns {number[]} the stage of each
 */
export function balancedStages(costs, count) {
  const sums = [0];
  for (const cost of costs) sums.push(sums.at(-1) + cost);
  // best[k][n]: the first n costs in k stages; start[k][n]: where the last of these starts.
  const best = [[0, ...costs.map(() => Infinity)]];
  const start = [[]];
  for (let k = 1; k <= count; k++) {
    best.push(sums.map(() => Infinity));
    start.push(sums.map(() => 0));
    for (let n = k; n <= costs.length; n++) {
      for (let from = k - 1; from < n; from++) {
        const cost = Math.max(best[k - 1][from], sums[n] - sums[from]);
        if (cost < best[k][n]) [best[k][n], start[k][n]] = [cost, from];
      }
    }
  }
  const stages = costs.map(() => 0);
  for (let k = count, end = costs.length; k > 0; end = start[k][end], k--) stages.fill(k - 1, start[k][end], end);
  return stages;
}
