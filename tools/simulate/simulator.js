/**
 * Simulates, event by event, workers that run their tasks on devices. A worker runs its tasks in the order given, each as soon as all it reads is on its
 * device; a device runs one task at a time, of the ready ones that with the lowest (step, rank). Pure: times in, times out.
 *
 * What a task makes is sent at once to the devices of other workers that read it, over one link for each pair of devices and direction, one value
 * after another. What nobody makes (images, labels) is wherever it is read.
 */

/**
 * @typedef {object} Value what passes between tasks; names tell values of different steps apart
 * @property {string} name
 * @property {number} bytes
 * @property {number} [sentBytes] between devices; default: bytes
 */

/**
 * @typedef {object} Task
 * @property {string} name
 * @property {number} step 1-based
 * @property {number} rank place in the order of a step, among all workers
 * @property {number} seconds
 * @property {readonly Value[]} reads
 * @property {readonly Value[]} makes
 */

/**
 * @typedef {object} Worker
 * @property {number} device
 * @property {readonly Task[]} tasks
 */

/**
 * @typedef {object} Network
 * @property {number} bytesPerSecond of each link, in each direction
 * @property {number} latencySeconds
 */

/** @typedef {{ worker: number, task: Task, start: number, end: number }} Span */

/**
 * @typedef {object} Run
 * @property {Span[]} spans in the order of their starts
 * @property {{ busySeconds: number, peakBytes: number }[]} devices `peakBytes`: the most of all values that are there at once; a value is there from the
 *   start of the task that makes it, or its arrival, to the end of the last task that reads it there
 * @property {{ from: number, to: number, bytes: number, busySeconds: number }[]} links those that were used
 */

/** @type {Network} */
export const NO_NETWORK = { bytesPerSecond: Infinity, latencySeconds: 0 };

/**
 * @param {readonly Worker[]} workers
 * @param {Network} [network]
 * @returns {Run}
 * @throws Error where tasks wait for each other for ever
 */
export function simulate(workers, network = NO_NETWORK) {
  return new Simulation(workers, network).run();
}

class Simulation {
  constructor(workers, network) {
    this.workers = workers;
    this.network = network;
    this.devices = Array.from({ length: Math.max(...workers.map(({ device }) => device)) + 1 }, () => new Device());
    this.next = workers.map(() => 0);
    this.readers = readersOf(workers);
    this.made = new Set(workers.flatMap(({ tasks }) => tasks.flatMap(({ makes }) => makes.map(({ name }) => name))));
    this.links = new Map();
    this.events = new EventQueue();
    this.spans = [];
  }

  run() {
    let now = 0;
    this.startWhatCan(now);
    while (this.events.length > 0) {
      now = this.events.time;
      while (this.events.length > 0 && this.events.time === now) this.events.pop()(now);
      this.startWhatCan(now);
    }
    const stuck = this.workers.findIndex(({ tasks }, i) => this.next[i] < tasks.length);
    if (stuck >= 0) {
      const { name, step } = this.workers[stuck].tasks[this.next[stuck]];
      throw new Error(`worker ${stuck} waits for ever to run ${name} of step ${step}`);
    }
    return {
      spans: this.spans,
      devices: this.devices.map(({ busySeconds, peakBytes }) => ({ busySeconds, peakBytes })),
      links: [...this.links.values()].map(({ from, to, bytes, busySeconds }) => ({ from, to, bytes, busySeconds })),
    };
  }

  startWhatCan(now) {
    const chosen = this.devices.map(() => -1);
    this.workers.forEach(({ device, tasks }, i) => {
      const task = tasks[this.next[i]];
      if (!task || this.devices[device].busy || !this.isReady(task, device)) return;
      const other = chosen[device] < 0 ? null : this.nextOf(chosen[device]);
      if (!other || task.step < other.step || (task.step === other.step && task.rank < other.rank)) chosen[device] = i;
    });
    for (const worker of chosen) if (worker >= 0) this.start(worker, now);
  }

  nextOf(worker) {
    return this.workers[worker].tasks[this.next[worker]];
  }

  isReady({ reads }, device) {
    return reads.every(({ name }) => !this.made.has(name) || this.devices[device].values.get(name)?.usable);
  }

  start(worker, now) {
    const task = this.nextOf(worker);
    const device = this.devices[this.workers[worker].device];
    this.next[worker]++;
    device.busy = true;
    for (const value of task.reads) if (!this.made.has(value.name)) device.hold(value, true);
    for (const value of task.makes) device.hold(value, false);
    const end = now + task.seconds;
    this.spans.push({ worker, task, start: now, end });
    this.events.push(end, (time) => this.finish(worker, task, time));
  }

  finish(worker, task, now) {
    const { device: here } = this.workers[worker];
    const device = this.devices[here];
    device.busy = false;
    device.busySeconds += task.seconds;
    for (const { name } of task.reads) this.release(here, name);
    for (const value of task.makes) {
      device.values.get(value.name).usable = true;
      const readers = this.readers.get(value.name);
      const others = [...(readers?.keys() ?? [])].filter((there) => there !== here);
      device.values.get(value.name).sending = others.length;
      for (const there of others) this.send(value, here, there, now);
      if (others.length === 0 && !readers?.has(here)) device.drop(value.name);
    }
  }

  /** One reader less. */
  release(device, name) {
    const readers = this.readers.get(name);
    readers.set(device, readers.get(device) - 1);
    this.dropIfDone(device, name);
  }

  dropIfDone(device, name) {
    const { sending } = this.devices[device].values.get(name);
    if (sending === 0 && !(this.readers.get(name).get(device) > 0)) this.devices[device].drop(name);
  }

  send(value, from, to, now) {
    const key = `${from} ${to}`;
    const link = this.links.get(key) ?? { from, to, bytes: 0, busySeconds: 0, free: 0 };
    this.links.set(key, link);
    const bytes = value.sentBytes ?? value.bytes;
    const seconds = bytes / this.network.bytesPerSecond;
    link.free = Math.max(link.free, now) + seconds;
    link.bytes += bytes;
    link.busySeconds += seconds;
    this.events.push(link.free, () => {
      this.devices[from].values.get(value.name).sending--;
      this.dropIfDone(from, value.name);
    });
    this.events.push(link.free + this.network.latencySeconds, () => this.devices[to].hold(value, true));
  }
}

class Device {
  busy = false;
  busySeconds = 0;
  bytes = 0;
  peakBytes = 0;
  /** By name. */
  values = new Map();

  hold({ name, bytes }, usable) {
    if (this.values.has(name)) return;
    this.values.set(name, { bytes, usable, sending: 0 });
    this.bytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.bytes);
  }

  drop(name) {
    this.bytes -= this.values.get(name).bytes;
    this.values.delete(name);
  }
}

/** How many tasks read a value, by its name and their device. */
function readersOf(workers) {
  const readers = new Map();
  for (const { device, tasks } of workers) {
    for (const { name } of tasks.flatMap(({ reads }) => reads)) {
      if (!readers.has(name)) readers.set(name, new Map());
      readers.get(name).set(device, (readers.get(name).get(device) ?? 0) + 1);
    }
  }
  return readers;
}

/** What happens when; at the same time, in the order in which it was put in. A binary heap. */
class EventQueue {
  heap = [];
  count = 0;

  get length() {
    return this.heap.length;
  }

  /** Of the next event. */
  get time() {
    return this.heap[0].time;
  }

  push(time, action) {
    const { heap } = this;
    let i = heap.push({ time, order: this.count++, action }) - 1;
    for (let above; i > 0 && before(heap[i], heap[(above = (i - 1) >> 1)]); i = above) swap(heap, i, above);
  }

  pop() {
    const { heap } = this;
    const [first] = heap;
    const last = heap.pop();
    if (heap.length > 0) heap[0] = last;
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      const below = right < heap.length && before(heap[right], heap[left]) ? right : left;
      if (below >= heap.length || !before(heap[below], heap[i])) return first.action;
      swap(heap, i, below);
      i = below;
    }
  }
}

const before = (a, b) => a.time < b.time || (a.time === b.time && a.order < b.order);

function swap(list, i, j) {
  [list[i], list[j]] = [list[j], list[i]];
}

/**
 * Seconds from one step to the next once a run has settled: from the middle of the run to its third quarter, by when each step is all done.
 *
 * @param {Run} run of eight steps at least, numbered from 1
 * @returns {number}
 */
export function steadyStepSeconds({ spans }) {
  const done = [];
  for (const { task, end } of spans) done[task.step] = Math.max(done[task.step] ?? 0, end);
  const steps = done.length - 1;
  const [first, last] = [Math.floor(steps / 2), Math.floor((3 * steps) / 4)];
  return (done[last] - done[first]) / (last - first);
}

/**
 * The most batches that one worker has begun and not ended at a time; parts of a batch count as parts.
 *
 * @param {Run} run
 * @param {readonly string[]} last names of the tasks that end a batch, or a part of it
 * @param {number} [parts] of a batch
 * @returns {number}
 */
export function mostBatchesKept({ spans }, last, parts = 1) {
  const changes = spans.flatMap(({ worker, task, start, end }) => {
    if (task.name === 'forward') return [{ worker, time: start, change: 1 }];
    return last.includes(task.name) ? [{ worker, time: end, change: -1 }] : [];
  });
  // What ends makes room for what begins.
  changes.sort((a, b) => a.time - b.time || a.change - b.change);
  const kept = new Map();
  let most = 0;
  for (const { worker, change } of changes) {
    kept.set(worker, (kept.get(worker) ?? 0) + change);
    most = Math.max(most, kept.get(worker));
  }
  return most / parts;
}
